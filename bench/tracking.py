"""What trackers cost a run: cartpole_ppo with and without them, in turns, in one process.

    python bench/tracking.py --track tensorboard,mlflow --pairs 5

The first run of each kind, which compiles and makes the store, is not counted.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from statistics import median

from vibe_rl.configs import PRESETS
from vibe_rl.experiment import train
from vibe_rl.tracking.jsonl import read_metrics


def seconds(track: tuple[str, ...], steps: int, folder: str) -> tuple[float, float, float]:
    """Of the loop, from its first row to its last; of the whole call; and of its CPU time."""
    _, config = PRESETS["cartpole_ppo"]
    runner = replace(config.runner, total_timesteps=steps, plot=False, progress_bar=False)
    began = time.perf_counter(), time.process_time()
    run_dir, _ = train(replace(config, runner=replace(runner, track=track)), folder)
    took = time.perf_counter() - began[0], time.process_time() - began[1]
    rows = read_metrics(run_dir)
    return (rows[-1]["wall_time"] - rows[0]["wall_time"], *took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track", default="tensorboard,mlflow")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1_000_000)
    given = parser.parse_args()
    kinds = ((), tuple(given.track.split(",")))
    with tempfile.TemporaryDirectory() as folder:
        for track in kinds:
            seconds(track, given.steps, folder)
        ratios = []
        for pair in range(given.pairs):
            took = {t: seconds(t, given.steps, folder) for t in kinds[:: 1 if pair % 2 else -1]}
            plain, tracked = (took[track] for track in kinds)
            ratios.append([after / before for before, after in zip(plain, tracked, strict=True)])
            print(f"without {plain[1]:.2f} s, with {tracked[1]:.2f} s", flush=True)
    for name, column in zip(("loop", "wall", "cpu"), zip(*ratios, strict=True), strict=True):
        print(f"{name} | {median(column):.3f} [{min(column):.3f}, {max(column):.3f}]")


if __name__ == "__main__":
    main()
