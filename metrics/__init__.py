"""What is measured: the metrics themselves, the evaluation of sets of images, and its report."""
