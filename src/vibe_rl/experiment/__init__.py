"""From a config to a directory: single runs, many seeds, sweeps, populations, searches."""

from vibe_rl.experiment.single import evaluate_run, load_run, resume, train

__all__ = ["evaluate_run", "load_run", "resume", "train"]
