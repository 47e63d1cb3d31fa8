"""Adapters for environments of other suites, one module each."""
