"""What a classifier has to beat: where targets are and what they are, without a network."""
