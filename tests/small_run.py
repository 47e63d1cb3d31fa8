"""A PPO run of CartPole that takes a moment: what tests of many runs share."""

from dataclasses import replace

from vibe_rl.configs import PRESETS

PRESET = PRESETS["cartpole_ppo"][1]
CONFIG = replace(
    PRESET,
    algo=replace(PRESET.algo, hidden_sizes=(8,), n_steps=32),  # updates of 128 env steps
    runner=replace(
        PRESET.runner,
        total_timesteps=1024,
        eval_every=256,
        eval_episodes=2,
        log_interval=128,
        progress_bar=False,
        plot=False,
    ),
)
DRAWN = replace(CONFIG, runner=replace(CONFIG.runner, plot=True))
