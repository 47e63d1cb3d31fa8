"""Environments of other makes, one module for each."""
