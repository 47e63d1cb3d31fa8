"""Presets of environments in Python, with settings that others have published; each says whose.

"RL Zoo" is RL Baselines3 Zoo, `hyperparams/*.yml` of DLR-RM/rl-baselines3-zoo; what it leaves out
is Stable-Baselines3's default. Where this library lacks a part of theirs, the comment says so.
"""

from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.runner.config import RunnerConfig

HOST_PRESETS: dict[str, tuple[str, TrainConfig]] = {
    "lunarlander_ppo": (  # RL Zoo's ppo.yml, LunarLander
        "PPO lands LunarLander-v3: 1M steps; needs vibe-rl[box2d].",
        TrainConfig(
            env_id="gymnasium:LunarLander-v3",
            algo=PPOConfig(
                num_envs=16,
                n_steps=1024,
                n_minibatches=256,
                n_epochs=4,
                lr=3e-4,
                gamma=0.999,
                gae_lambda=0.98,
                ent_coef=0.01,
            ),
            runner=RunnerConfig(total_timesteps=1_000_000, eval_every=50_000),
        ),
    ),
    "lunarlander_dqn": (  # SLM-Lab's ddqn_per_lunar.json; gamma, steps, widths, batch are ours
        "DQN lands LunarLander-v3, double and prioritised: 300k steps; needs vibe-rl[box2d].",
        TrainConfig(
            env_id="gymnasium:LunarLander-v3",
            algo=DQNConfig(
                hidden_sizes=(256, 256),
                lr=5e-4,
                lr_end=0.0,
                gamma=0.995,
                batch_size=64,
                num_envs=8,
                replay_ratio=0.5,
                n_step=5,
                loss="huber",
                prioritized=True,
                target_update_freq=50,  # gradient steps, in 100 env steps
                epsilon_end=0.01,
                epsilon_decay_steps=50_000.0,
            ),
            runner=RunnerConfig(
                total_timesteps=300_000, eval_every=25_000, buffer_size=100_000, warmup_steps=1_000
            ),
        ),
    ),
    "bipedalwalker_sac": (  # RL Zoo's sac.yml, without its state-dependent exploration
        "SAC walks BipedalWalker-v3: 500k steps; needs vibe-rl[box2d].",
        TrainConfig(
            env_id="gymnasium:BipedalWalker-v3",
            algo=SACConfig(
                hidden_sizes=(400, 300),
                actor_lr=7.3e-4,
                critic_lr=7.3e-4,
                alpha_lr=7.3e-4,
                gamma=0.98,
                tau=0.02,
                train_every=64,
            ),
            runner=RunnerConfig(
                total_timesteps=500_000, eval_every=50_000, buffer_size=300_000, warmup_steps=10_000
            ),
        ),
    ),
    "halfcheetah_sac": (  # RL Zoo's sac.yml, HalfCheetah
        "SAC runs HalfCheetah-v5: 1M steps; needs vibe-rl[mujoco].",
        TrainConfig(
            env_id="gymnasium:HalfCheetah-v5",
            algo=SACConfig(),
            runner=RunnerConfig(
                total_timesteps=1_000_000,
                eval_every=50_000,
                buffer_size=1_000_000,
                warmup_steps=10_000,
            ),
        ),
    ),
    # CleanRL's ppo_continuous_action.py; values are normalised, not rewards, and are not clipped
    "hopper_ppo": (
        "PPO hops Hopper-v5: 1M steps; needs vibe-rl[mujoco].",
        TrainConfig(
            env_id="gymnasium:Hopper-v5",
            algo=PPOConfig(
                num_envs=1,
                n_steps=2048,
                n_minibatches=32,
                n_epochs=10,
                lr=3e-4,
                lr_end=0.0,
                ent_coef=0.0,
                normalize_obs=True,
                normalize_values=True,
            ),
            runner=RunnerConfig(total_timesteps=1_000_000, eval_every=50_000),
        ),
    ),
    "pong_ppo": (  # RL Zoo's ppo.yml, Atari
        "PPO plays Pong from pixels: 10M steps of 4 frames; needs vibe-rl[ale].",
        TrainConfig(
            env_id="ale:Pong",
            algo=PPOConfig(
                hidden_sizes=(512,),
                activation="relu",
                shared_backbone=True,
                num_envs=8,
                n_steps=128,
                n_minibatches=4,
                n_epochs=4,
                lr=2.5e-4,
                lr_end=0.0,
                clip_eps=0.1,
                clip_eps_end=0.0,
                ent_coef=0.01,
            ),
            runner=RunnerConfig(total_timesteps=10_000_000, eval_every=250_000),
        ),
    ),
}
