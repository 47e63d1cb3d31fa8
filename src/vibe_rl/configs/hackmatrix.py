"""Settings for HackMatrix: those that were published, and our own."""

from dataclasses import replace

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.runner.config import RunnerConfig

PUBLISHED = TrainConfig(
    env_id="HackMatrix-v0",
    algo=PPOConfig(
        num_envs=256,
        n_steps=128,
        n_minibatches=4,
        n_epochs=4,
        lr=2.5e-4,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        vf_coef=0.5,
        ent_coef=0.15,
        max_grad_norm=0.5,
        adam_eps=1e-8,
        hidden_sizes=(256, 256),
        activation="relu",
        shared_backbone=True,
    ),
    runner=RunnerConfig(total_timesteps=10_000_000, eval_every=0, eval_episodes=32),
)
"""The defaults of `vibe-rl train-hackmatrix`."""

PRESET = replace(
    PUBLISHED,
    env_kwargs={"observation": "parts", "shaping": "signed"},
    algo=replace(
        PUBLISHED.algo,
        lr=7e-4,
        lr_end=1e-4,
        gamma=0.995,
        ent_coef=0.03,
        adam_eps=1e-5,
        encoder="rolled",
        cell_width=8,
        normalize_values=True,
    ),
    runner=replace(PUBLISHED.runner, total_timesteps=20_000_000),
)
"""Those of `hackmatrix_ppo`."""
