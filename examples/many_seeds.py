"""Eight seeds side by side in one program, and what they say together."""

import sys
from dataclasses import replace
from math import inf

from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.configs import PRESETS
from vibe_rl.experiment import train


def main(steps: int = 50_000) -> None:
    _, config = PRESETS["cartpole_ppo"]
    config = replace(config, runner=replace(config.runner, total_timesteps=steps))
    group, results = train(config, seeds=range(8))

    evaluations = [result.evaluation for result in results]  # None for a seed that diverged
    returns = [float(each.mean_return) if each else -inf for each in evaluations]
    iqm, low, high, n_seeds = aggregate(returns)
    print(f"Returns of the last evaluations: {', '.join(f'{each:.1f}' for each in returns)}")
    print(
        f"Interquartile mean of {n_seeds} seeds: {iqm:.1f}, 95 % interval [{low:.1f}, {high:.1f}]"
    )
    print(f"All runs lie in {group}.")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
