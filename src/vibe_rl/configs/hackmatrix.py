"""Settings for HackMatrix: those that were published, and our own once they are measured."""

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.runner.config import RunnerConfig

ENV_ID = "HackMatrix-v0"

SETTINGS = {
    "published": TrainConfig(
        env_id=ENV_ID,
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
    ),
}
SETTINGS["preset"] = SETTINGS["published"]
"""`published` are the defaults of the script, `preset` those of `hackmatrix_ppo`."""
