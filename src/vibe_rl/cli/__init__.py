"""The command line: `vibe-rl train | sweep | evaluate | plot | compare | envs`."""

from vibe_rl.cli.program import main

__all__ = ["main"]
