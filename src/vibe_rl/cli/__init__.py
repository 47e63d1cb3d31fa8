"""The command line: `vibe-rl train | sweep | search | evaluate | plot | envs`."""

from vibe_rl.cli.program import main

__all__ = ["main"]
