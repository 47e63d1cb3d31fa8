"""Scenarios as five tables, which people and other programs can write."""
