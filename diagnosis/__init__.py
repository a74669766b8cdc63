"""What a machine has and lacks for the project: what doctor.py tells."""
