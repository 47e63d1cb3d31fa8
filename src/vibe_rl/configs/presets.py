"""Tuned starting points, one per task: a name, a line about it, and a whole config."""

from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.configs.hackmatrix import PRESET
from vibe_rl.configs.host_presets import HOST_PRESETS
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.runner.config import RunnerConfig

PRESETS: dict[str, tuple[str, TrainConfig]] = {
    "cartpole_ppo": (
        "PPO balances CartPole-v1: 100k steps, seconds.",
        TrainConfig(
            env_id="CartPole-v1",
            algo=PPOConfig(num_envs=4, lr=2.5e-3, lr_end=0.0, reward_scale=0.05),
            runner=RunnerConfig(total_timesteps=100_000),
        ),
    ),
    "gridworld_ppo": (
        "PPO finds the shortest path through GridWorld-v0: 50k steps.",
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
    "cartpole_dqn": (
        "DQN balances CartPole-v1: 100k steps.",
        TrainConfig(
            env_id="CartPole-v1",
            algo=DQNConfig(
                hidden_sizes=(128, 128),
                lr=5e-4,
                lr_end=0.0,
                batch_size=128,
                n_step=10,
                target_update_freq=1,
                tau=0.005,
                epsilon_end=0.02,
                epsilon_decay_steps=25_000.0,
                num_envs=4,
                replay_ratio=0.5,
            ),
            runner=RunnerConfig(total_timesteps=100_000, buffer_size=50_000),
        ),
    ),
    "gridworld_dqn": (
        "DQN finds the shortest path through GridWorld-v0: 50k steps.",
        TrainConfig(
            env_id="GridWorld-v0",
            algo=DQNConfig(
                hidden_sizes=(64, 64),
                lr=5e-4,
                batch_size=32,
                target_update_freq=500,
                epsilon_decay_steps=20_000.0,
            ),
            runner=RunnerConfig(total_timesteps=50_000, buffer_size=50_000, warmup_steps=500),
        ),
    ),
    "acrobot_dqn": (
        "DQN swings Acrobot-v1 up: 100k steps.",
        TrainConfig(
            env_id="Acrobot-v1",
            algo=DQNConfig(
                hidden_sizes=(128, 128),
                lr=1e-3,
                lr_end=0.0,
                batch_size=128,
                n_step=5,
                target_update_freq=1,
                tau=0.01,
                epsilon_end=0.05,
                epsilon_decay_steps=20_000.0,
                num_envs=4,
                replay_ratio=0.25,
            ),
            runner=RunnerConfig(total_timesteps=100_000),
        ),
    ),
    "mountaincar_dqn": (
        "DQN drives MountainCar-v0 out of the valley: 120k steps.",
        TrainConfig(
            env_id="MountainCar-v0",
            algo=DQNConfig(
                hidden_sizes=(64, 64),
                lr=1e-3,
                lr_end=0.0,
                batch_size=128,
                n_step=3,
                target_update_freq=1,
                tau=0.01,
                exploration_hold=24,
                epsilon_end=0.05,
                epsilon_decay_steps=40_000.0,
                num_envs=8,
                replay_ratio=0.25,
                normalize_obs=True,
            ),
            runner=RunnerConfig(total_timesteps=120_000),
        ),
    ),
    "pendulum_sac": (
        "SAC swings up Pendulum-v1: 20k steps.",
        TrainConfig(
            env_id="Pendulum-v1",
            algo=SACConfig(
                hidden_sizes=(64, 64),
                batch_size=128,
                actor_lr=1e-3,
                critic_lr=1e-3,
                alpha_lr=1e-3,
                init_alpha=0.2,
            ),
            runner=RunnerConfig(total_timesteps=20_000),
        ),
    ),
    "mountaincar_continuous_sac": (
        "SAC drives MountainCarContinuous-v0 out of the valley: 50k steps.",
        TrainConfig(
            env_id="MountainCarContinuous-v0",
            algo=SACConfig(
                hidden_sizes=(64, 64),
                batch_size=128,
                n_step=5,
                critic_lr=1e-3,
                init_alpha=0.1,
                exploration_hold=16,
                num_envs=4,
                replay_ratio=0.25,
                normalize_obs=True,
            ),
            runner=RunnerConfig(total_timesteps=50_000),
        ),
    ),
    "minatar_ppo": (
        "PPO plays a game of MinAtar, gymnax's Breakout unless --env names another: 10M steps.",
        TrainConfig(
            env_id="gymnax:Breakout-MinAtar",
            algo=PPOConfig(
                num_envs=64,
                n_steps=128,
                n_minibatches=8,
                lr=5e-3,
                lr_end=0.0,
                shared_backbone=True,
                hidden_sizes=(64,),
                conv_layers=((32, 4, 3),),  # of 10 x 10 cells, patches at 3 x 3 places
                activation="relu",
            ),
            runner=RunnerConfig(total_timesteps=10_000_000),
        ),
    ),
    "minatar_dqn": (
        "DQN plays a game of MinAtar, gymnax's Breakout unless --env names another: 1M steps.",
        TrainConfig(
            env_id="gymnax:Breakout-MinAtar",
            algo=DQNConfig(
                num_envs=8,
                hidden_sizes=(128,),
                conv_layers=((16, 3, 1),),
                activation="relu",
                lr=3e-4,
                batch_size=64,
                replay_ratio=0.25,
                target_update_freq=1_000,
                epsilon_end=0.02,
                epsilon_decay_steps=100_000.0,
            ),
            runner=RunnerConfig(total_timesteps=1_000_000, buffer_size=100_000, warmup_steps=5_000),
        ),
    ),
    "hackmatrix_ppo": (
        "PPO plays HackMatrix-v0 with masked actions: 20M steps.",
        PRESET,
    ),
    **HOST_PRESETS,
}
"""Mutable: a program may add its own before it calls the command line."""
