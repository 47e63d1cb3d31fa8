"""Driving: one vehicle among others, in scenes that were recorded or generated."""
