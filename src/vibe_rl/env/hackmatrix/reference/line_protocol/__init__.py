"""The game for other programs, by lines of JSON: its states written, and set as they are given."""
