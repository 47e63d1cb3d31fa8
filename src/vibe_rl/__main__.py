"""`python -m vibe_rl` is the command line."""

from vibe_rl.cli import main

main()
