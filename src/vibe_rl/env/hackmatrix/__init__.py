"""HackMatrix: a game of eight stages on a board of 6 x 6 cells, 28 actions and 23 programs."""
