"""Starting points for an algorithm in any environment, by what its spaces are; none is tuned."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.env import make
from vibe_rl.env.host import HostEnvironment
from vibe_rl.errors import ConfigError
from vibe_rl.networks.encoder import array_spaces
from vibe_rl.networks.vectors import is_image
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.spaces import Box


class Kind(NamedTuple):
    """What an environment is like."""

    pictures: bool  # whether it shows some
    numbers: bool  # whether it shows nothing but real numbers
    continuous: bool  # whether its actions are
    on_host: bool  # whether it runs in Python


def kind_of_env(env_id: str, env_kwargs: Mapping[str, Any]) -> Kind:
    """What the environment of a name is like."""
    env, env_params = make(env_id, **env_kwargs)
    seen = array_spaces(env.observation_space(env_params))
    pictures = any(is_image(space) for space in seen)
    return Kind(
        pictures=pictures,
        numbers=not pictures and all(isinstance(x, Box) and not x.whole for x in seen),
        continuous=isinstance(env.action_space(env_params), Box),
        on_host=isinstance(env, HostEnvironment),
    )


def _ppo(kind: Kind) -> tuple[PPOConfig, RunnerConfig]:
    """Rewards of any size, a rate that falls to zero; many envs, but where they run in Python."""
    algo = PPOConfig(
        num_envs=8 if kind.on_host else 64,
        n_minibatches=32 if kind.continuous else 8,
        n_epochs=10 if kind.continuous else 4,
        lr=3e-4 if kind.continuous else 1e-3,
        lr_end=0.0,
        ent_coef=0.0 if kind.continuous else 0.01,
        hidden_sizes=(128,) if kind.pictures else (64, 64),
        activation="relu" if kind.pictures else "tanh",
        normalize_obs=kind.numbers,
        normalize_values=True,
    )
    return algo, runner(10_000_000 if kind.pictures else 1_000_000)


def _dqn(kind: Kind) -> tuple[DQNConfig, RunnerConfig]:
    """Gradient steps on many examples, one for several env steps."""
    steps = 1_000_000 if kind.pictures else 500_000
    algo = DQNConfig(
        num_envs=8 if kind.on_host else 16,
        replay_ratio=0.25,
        batch_size=128,
        n_step=3,
        lr=2.5e-4 if kind.pictures else 5e-4,
        loss="huber",
        target_update_freq=1,
        tau=0.005,
        epsilon_decay_steps=steps / 10,
        hidden_sizes=(128,) if kind.pictures else (128, 128),
        normalize_obs=kind.numbers,
    )
    return algo, runner(steps, warmup_steps=5_000)


def _sac(kind: Kind) -> tuple[SACConfig, RunnerConfig]:
    """A gradient step for every second env step."""
    algo = SACConfig(
        num_envs=4,
        replay_ratio=0.5,
        hidden_sizes=(128,) if kind.pictures else (256, 256),
        normalize_obs=kind.numbers,
    )
    return algo, runner(1_000_000 if kind.pictures else 200_000, warmup_steps=5_000)


FOR_ANY_ENV = {"ppo": _ppo, "dqn": _dqn, "sac": _sac}
"""The presets that are called after an algorithm."""


def runner(steps: int, **fields: Any) -> RunnerConfig:
    """A budget, with twenty evaluations and two hundred rows of metrics on the way."""
    often = {"eval_every": steps // 20, "log_interval": steps // 200}
    return RunnerConfig(total_timesteps=steps, **often, **fields)


def config_for(algorithm: str, env_id: str, env_kwargs: Mapping[str, Any]) -> TrainConfig:
    """Where an algorithm may start in an environment.

    Args:
        algorithm: in `FOR_ANY_ENV`.
        env_id: see `vibe_rl.env.make`.
        env_kwargs: its arguments.

    Raises:
        ConfigError: the environment cannot be made, or has no name.
    """
    if not env_id:
        raise ConfigError(
            f"{algorithm} is a preset without an environment: say which, such as "
            f"vibe-rl train {algorithm} --env CartPole-v1; vibe-rl envs lists them."
        )
    algo, how = FOR_ANY_ENV[algorithm](kind_of_env(env_id, env_kwargs))
    return TrainConfig(env_id, algo, how)
