"""A PPO run of CartPole that takes a moment: what tests of many runs share."""

from dataclasses import replace
from itertools import count

from vibe_rl.configs import PRESETS, TrainConfig

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
SIZES = count(33)
DRAWN = replace(CONFIG, runner=replace(CONFIG.runner, plot=True))


def of_its_own(config: TrainConfig) -> TrainConfig:
    """The run with a network that no other has, so that its programs have not been compiled yet."""
    return replace(config, algo=replace(config.algo, hidden_sizes=(next(SIZES),)))
