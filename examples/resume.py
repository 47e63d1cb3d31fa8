"""A run of half the budget, resumed with all of it, equals one that never stopped, to the bit."""

import sys
from dataclasses import replace

import jax

from vibe_rl.configs import PRESETS, TrainConfig
from vibe_rl.experiment import resume, train


def main(steps: int = 20_000) -> None:
    _, config = PRESETS["cartpole_dqn"]
    # both halves follow the schedules of the whole
    config = replace(config, algo=replace(config.algo, schedule_steps=float(steps)))

    run_dir, stopped = train(with_budget(config, steps // 2))
    _, resumed = resume(run_dir, with_budget(config, steps))
    _, uninterrupted = train(with_budget(config, steps))

    print(f"Stopped at {stopped.step:,} env steps, resumed to {resumed.step:,}.")
    leaves = [jax.tree.leaves(run.state.agent_state) for run in (resumed, uninterrupted)]
    assert all((mine == its).all() for mine, its in zip(*leaves, strict=True))
    print("Both agents are equal: networks, optimiser and replay.")


def with_budget(config: TrainConfig, steps: int) -> TrainConfig:
    return replace(config, runner=replace(config.runner, total_timesteps=steps))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
