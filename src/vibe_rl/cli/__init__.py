"""The command line: `vibe-rl train | evaluate | plot | compare | envs`."""

from vibe_rl.cli.program import main

__all__ = ["main"]
