"""What lies in the directory of a run, or of a group of runs."""

from vibe_rl.run_dir.directory import RunDir, find_runs

__all__ = ["RunDir", "find_runs"]
