"""What a training run is: how it begins, its loop, its folder, what it says, shows and keeps."""
