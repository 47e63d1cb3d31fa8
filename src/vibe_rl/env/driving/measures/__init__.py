"""What is measured of a drive, at each step and of a whole episode."""
