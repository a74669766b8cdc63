"""What test.py does: a generator from a run or a file, and the loop over images."""
