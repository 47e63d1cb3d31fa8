"""The commands of scenario driving."""
