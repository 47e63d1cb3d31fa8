"""The commands of HackMatrix."""
