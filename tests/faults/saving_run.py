"""A run that saves often, for tests that kill it: python saving_run.py RUN [--new]."""

import sys

from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.configs import TrainConfig
from vibe_rl.experiment import resume
from vibe_rl.experiment.config_files import read_config
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig

CONFIG = TrainConfig(
    env_id="CartPole-v1",
    algo=DQNConfig(hidden_sizes=(8,), batch_size=16, num_envs=4, replay_ratio=0.25),
    runner=RunnerConfig(
        total_timesteps=100_000,
        warmup_steps=64,
        buffer_size=2_000,
        log_interval=400,
        eval_every=0,
        eval_episodes=0,
        checkpoint_interval=400,
        checkpoint_share=1.0,
        max_checkpoints=3,
        progress_bar=False,
    ),
)


def new_run(base_dir):
    """An empty run directory with this config."""
    from vibe_rl.configs import to_dict  # noqa: PLC0415

    run_dir = RunDir("faults", base_dir)
    run_dir.save_config(to_dict(CONFIG))
    return run_dir


if __name__ == "__main__":
    resume(sys.argv[1], read_config(sys.argv[1]))
