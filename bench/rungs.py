"""What a rung costs: how long so many runs take to go on from their checkpoints by one update.

JAX_NUM_CPU_DEVICES=2 python bench/rungs.py cartpole_ppo --members 8 24 --rounds 5
"""

import argparse
import statistics
import time
from dataclasses import replace
from tempfile import TemporaryDirectory

import jax

from vibe_rl.configs import PRESETS
from vibe_rl.experiment.build import build
from vibe_rl.experiment.sweep import resume_sweep, sweep


def seconds(train, *args) -> float:
    """How long a call takes; all is on the disk when it returns."""
    began = time.perf_counter()
    train(*args)
    return time.perf_counter() - began


def to(updates, steps_per_update):
    """What makes a config one of so many updates."""

    def change(config):
        runner = replace(config.runner, total_timesteps=updates * steps_per_update)
        return replace(config, runner=runner)

    return change


def main(preset: str, members: list[int], rounds: int) -> None:
    jax.config.update("jax_enable_compilation_cache", False)  # the one on the disk
    config = PRESETS[preset][1]
    run = build(config)
    config = replace(config, runner=replace(config.runner, progress_bar=False))
    first, size = run.warmup_updates + 1, run.steps_per_update
    for n in members:
        with TemporaryDirectory() as folder:
            begun = to(first, size)(config)
            group, _ = sweep(begun, {"algo.lr": [config.algo.lr]}, range(n), base_dir=folder)
            jax.clear_caches()
            cold, *warm = [
                seconds(resume_sweep, group, to(first + i, size)) for i in range(1, rounds + 2)
            ]
        print(
            f"{preset}, {n} members: {statistics.median(warm):.1f} s to go on by one update, "
            f"{cold:.1f} s where programs are compiled (median of {rounds}, and once)"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--members", type=int, nargs="+", default=[8, 24])
    parser.add_argument("--rounds", type=int, default=5)
    main(**vars(parser.parse_args()))
