"""What exchange costs, and what it gains: populations, and the same members left alone.

JAX_NUM_CPU_DEVICES=2 python bench/population.py cartpole_ppo --low 1e-7 --high 1e-2 --seeds 5
"""

import argparse
import statistics
import time
from dataclasses import replace
from tempfile import TemporaryDirectory

import jax

from vibe_rl.configs import PRESETS, TrainConfig, from_dict
from vibe_rl.experiment.build import build
from vibe_rl.experiment.population import evolve
from vibe_rl.run_dir.group import members
from vibe_rl.runner.many.fit import Hosts, fit_many
from vibe_rl.runner.many.runs import side_by_side

SECONDS: list[float] = []
"""Of each exchange."""


def timed(exchanged):
    """The method, which leaves its seconds in `SECONDS`."""

    def method(self, state, update):
        jax.block_until_ready(state)
        began = time.perf_counter()
        state = jax.block_until_ready(exchanged(self, state, update))
        SECONDS.append(time.perf_counter() - began)
        return state

    return method


def returns(config: TrainConfig, range_, n_members: int, every: int, seed: int):
    """The members' last returns with exchange and without, both in order."""
    with TemporaryDirectory() as folder:
        group, found = evolve(config, {"algo.lr": range_}, n_members, every, seed, folder)
        first = [from_dict(run.load_config()) for run in members(group)]
    alone = fit_many(side_by_side([build(each) for each in first]))
    without = [float(result.evaluation.mean_return) for result in alone]
    return sorted(member.last_return for member in found), sorted(without)


def main(preset: str, low: float, high: float, n_members: int, every: int, seeds: int) -> None:
    Hosts.exchange = timed(Hosts.exchange)
    config = PRESETS[preset][1]
    config = replace(config, runner=replace(config.runner, progress_bar=False))
    medians = []
    for seed in range(seeds):
        pair = returns(config, (low, high), n_members, every, seed)
        medians.append([statistics.median(each) for each in pair])
        print(seed, *([f"{x:.0f}" for x in each] for each in pair))
    within, alone = zip(*medians, strict=True)
    print(
        f"{preset}, {n_members} members, lr {low:g}:{high:g}, every {every}, {seeds} populations: "
        f"median member {statistics.mean(within):.0f} ({min(within):.0f} to {max(within):.0f}), "
        f"without exchange {statistics.mean(alone):.0f} ({min(alone):.0f} to {max(alone):.0f}); "
        f"{statistics.median(SECONDS):.2f} s an exchange (median of {len(SECONDS)}), the first "
        f"{SECONDS[0]:.2f} s with compilation"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--low", type=float, default=1e-7)
    parser.add_argument("--high", type=float, default=1e-2)
    parser.add_argument("--members", type=int, default=8, dest="n_members")
    parser.add_argument("--every", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=5)
    main(**vars(parser.parse_args()))
