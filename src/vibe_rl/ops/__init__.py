"""The mathematics of an update: pure functions without a state of their own."""
