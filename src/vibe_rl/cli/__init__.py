"""The command line, `vibe-rl`: a module for each command."""

from vibe_rl.cli.program import main

__all__ = ["main"]
