"""Scenarios from what others have recorded: windows, routes, and what the files do not say."""
