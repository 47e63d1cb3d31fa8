"""The 23 programs: when they may be executed, and what each does."""
