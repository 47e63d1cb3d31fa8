"""What saving costs the loop: the same run with and without checkpoints, by turns.

python bench/saving.py [cartpole_ppo] [cartpole_dqn] --repeats 9
"""

import argparse
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jax

from vibe_rl.configs import PRESETS
from vibe_rl.experiment.build import build
from vibe_rl.metrics import MetricsLogger
from vibe_rl.runner import fit
from vibe_rl.runner.saving import Saver
from vibe_rl.tracking import Tee

RUNS = {
    "cartpole_ppo": {"total_timesteps": 3_000_000},
    "cartpole_dqn": {"total_timesteps": 100_000, "buffer_size": 100_000},
}


def seconds(run, saves: bool) -> float:
    """The time of one run, everything on the disk at its end."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with closing(Tee(MetricsLogger(Path(folder) / "metrics.jsonl"))) as tracker:
            saver = Saver(run, Path(folder) / "checkpoints") if saves else None
            jax.block_until_ready(fit(run, tracker, saver=saver).state.key)
            if saver is not None:
                saver.close()
        return time.perf_counter() - began


def main(presets: list[str], repeats: int) -> None:
    for name in presets:
        config, changes = PRESETS[name][1], RUNS[name]
        run = build(replace(config, runner=replace(config.runner, progress_bar=False, **changes)))
        times = {saves: [] for saves in (False, True)}
        for saves in (False, True):
            seconds(run, saves)  # compiles
        for i in range(repeats):
            for saves in (False, True) if i % 2 else (True, False):
                times[saves].append(seconds(run, saves))
        ratios = [b / a for a, b in zip(times[False], times[True], strict=True)]
        without, saving = (statistics.median(times[saves]) for saves in (False, True))
        cost = 100 * (statistics.median(ratios) - 1)
        print(f"{name} {changes}: {without:.2f} s without, {saving:.2f} s saving: {cost:+.1f} %")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=list(RUNS))
    parser.add_argument("--repeats", type=int, default=9)
    main(**vars(parser.parse_args()))
