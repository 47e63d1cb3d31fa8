"""Many seeds at once and one after another, by turns: how much sooner all of them are trained.

JAX_NUM_CPU_DEVICES=2 python bench/seeds.py cartpole_ppo --seeds 8 --rounds 5
"""

import argparse
import statistics
import time
from dataclasses import replace

from vibe_rl.configs import PRESETS
from vibe_rl.experiment.build import build, with_seed
from vibe_rl.runner import fit
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side


def seconds(train, *args) -> float:
    """How long a call takes; it waits for its evaluation at the end."""
    began = time.perf_counter()
    train(*args)
    return time.perf_counter() - began


def main(preset: str, seeds: int, rounds: int, steps: int | None, envs: int | None) -> None:
    config = PRESETS[preset][1]
    algo = config.algo if envs is None else replace(config.algo, num_envs=envs)
    steps = steps or config.runner.total_timesteps
    runner = replace(config.runner, total_timesteps=steps, progress_bar=False)
    config = replace(config, algo=algo, runner=runner)
    runs = [build(with_seed(config, seed)) for seed in range(seeds)]
    many = side_by_side(runs)
    compiling = seconds(fit_many, many) + seconds(fit, runs[0])
    ratios, together = [], []
    for i in range(rounds):
        one = seconds(fit, runs[i % seeds])
        together.append(seconds(fit_many, many))
        after = seconds(fit, runs[(i + 1) % seeds])
        ratios.append(seeds * (one + after) / 2 / together[-1])
    speed = seeds * steps / statistics.median(together)
    print(
        f"{preset}, {algo.num_envs} envs, {seeds} seeds: {speed:,.0f} steps/s in all, "
        f"{statistics.median(ratios):.2f} x one at a time (median of {rounds} rounds, first runs "
        f"with compilation {compiling:.0f} s)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--envs", type=int)
    main(**vars(parser.parse_args()))
