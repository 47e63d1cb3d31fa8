"""Tuned starting points, one per task: a name, a line about it, and a whole config."""

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.runner.config import RunnerConfig

PRESETS: dict[str, tuple[str, TrainConfig]] = {
    "cartpole_ppo": (
        "PPO balances CartPole-v1: 100k steps, seconds.",
        TrainConfig(
            env_id="CartPole-v1",
            algo=PPOConfig(num_envs=4, lr=2.5e-3, lr_end=0.0),
            runner=RunnerConfig(total_timesteps=100_000),
        ),
    ),
    "gridworld_ppo": (
        "PPO walks the shortest way through GridWorld-v0: 50k steps.",
        TrainConfig(
            env_id="GridWorld-v0",
            algo=PPOConfig(num_envs=8, n_steps=32, lr=3e-3, lr_end=0.0),
            runner=RunnerConfig(total_timesteps=50_000),
        ),
    ),
    "pendulum_ppo": (
        "PPO swings up Pendulum-v1 with continuous torques: 200k steps.",
        TrainConfig(
            env_id="Pendulum-v1",
            algo=PPOConfig(
                num_envs=4,
                n_steps=512,
                n_minibatches=32,
                n_epochs=10,
                lr=1.5e-3,
                lr_end=0.0,
                gamma=0.97,
                gae_lambda=0.9,
                ent_coef=0.0,
                reward_scale=0.1,
            ),
            runner=RunnerConfig(total_timesteps=200_000),
        ),
    ),
}
"""Mutable: a program may add its own before it calls the command line."""
