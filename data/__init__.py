"""Everything between image files and batches."""
