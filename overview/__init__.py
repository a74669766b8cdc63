"""What runs and results there are: what runs.py shows."""
