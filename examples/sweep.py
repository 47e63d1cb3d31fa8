"""Which learning rate and which discount? Every combination with four seeds, and a ranking."""

import sys
from dataclasses import replace

from vibe_rl.configs import PRESETS
from vibe_rl.experiment.sweep import sweep

AXES = {"algo.lr": [3e-4, 1e-3, 3e-3], "algo.gamma": [0.9, 0.99]}


def main(steps: int = 50_000) -> None:
    _, config = PRESETS["cartpole_ppo"]
    config = replace(config, runner=replace(config.runner, total_timesteps=steps))
    group, standings = sweep(config, AXES, seeds=range(4))
    for each in standings:
        print(f"{each.setting:24} {each.iqm:6.1f} [{each.low:.1f}, {each.high:.1f}]")
    print(f"All runs lie in {group}.")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
