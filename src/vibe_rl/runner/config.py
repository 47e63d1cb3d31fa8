"""What a run does around its algorithm: budget, evaluation, logging, devices, files."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax

from vibe_rl.errors import ConfigError, Typed, check_bounds
from vibe_rl.system.notices import say_once
from vibe_rl.types import COUNTABLE, choice, number

DEFAULT_SHARE = 0.01
OF_CHECKPOINTS = (
    "checkpoint_dir",
    "checkpoint_minutes",
    "checkpoint_share",
    "checkpoint_replay",
    "save_params",
    "max_checkpoints",
    "keep_period",
    "resume",
    "overwrite",
)
"""Settings that mean nothing without checkpoints."""


@dataclass(frozen=True)
class RunnerConfig(Typed):
    """Settings of the outer loop; the algorithm's own live in its config.

    They may be passed by position, so a new field comes last.
    """

    section: ClassVar[str] = "runner."

    total_timesteps: int = number(100_000, least=1)
    """Budget in env steps over all envs; whole updates that fit are made."""

    eval_every: int = number(5_000, least=0)
    """Env steps between evaluations; 0 evaluates at the end only."""
    eval_episodes: int = number(10, least=0, most=COUNTABLE)
    """Episodes per evaluation; 0 never evaluates."""

    log_interval: int = number(1_000, least=0)
    """Env steps between rows of metrics; 0 writes one row per update."""

    buffer_size: int = number(100_000, least=1, most=2**53)
    """Replay capacity in transitions (off-policy algorithms)."""
    warmup_steps: int = number(1_000, least=0)
    """Uniformly random env steps before learning begins (off-policy algorithms)."""

    num_devices: int | None = number(None, least=1)
    """Devices to train on; None takes one, but all in train_ppo_multigpu and where several
    processes train together."""
    num_envs: int = number(1, least=1)
    """Environments on each of several devices; on one device the algorithm's config goes first."""
    fsdp_devices: int = number(1, least=1)
    """Devices over which large parameters are split."""

    seed: int = number(0, least=0, most=2**64 - 1)
    """Seed of everything random in the run; evaluations draw from a stream of their own."""

    checkpoint_dir: str | None = None
    """Directory of checkpoints; None takes that of the run directory, if there is one."""
    checkpoint_interval: int | None = number(5_000, least=0)
    """Env steps between checkpoints; 0 saves by time, at the end and at a new best evaluation;
    None never saves."""
    max_checkpoints: int = number(5, least=1)
    """Recent checkpoints that are kept."""
    keep_period: int | None = number(None, least=1)
    """Env steps between checkpoints that are kept for good, however often others are written."""
    resume: bool = False
    """Whether to resume from the latest checkpoint."""
    overwrite: bool = False
    """Whether to delete existing checkpoints."""

    plot: bool = True
    """Whether to draw the reward curve after training."""

    eval_max_steps: int = number(10_000, least=1)
    """Step limit of an evaluation episode."""
    log_episodes: bool | None = None
    """Whether every single episode has a row of its own; None: where there is a replay."""
    progress_bar: bool = True
    """Whether to show step, speed, time left and return while training."""
    replay_on: str = choice("device", "host")
    """Where the replay is: device, or host if the device's memory is too small."""
    matmul_precision: str = choice("highest", "high", "default")
    """Of float32 products: default (TF32 on recent GPUs), high or highest; no effect on a CPU."""
    checkpoint_minutes: float | None = number(10.0, least=0)
    """Minutes after which a checkpoint is due, whatever the number of steps; None leaves it to
    checkpoint_interval."""
    checkpoint_share: float | None = number(None, least=0)
    """Largest share of the time that saving every checkpoint_interval may take; a checkpoint that
    is due sooner waits for the next interval. 1 saves every time; None is 1 if checkpoint_interval
    is given, else 0.01."""
    checkpoint_replay: bool = True
    """Whether checkpoints hold the replay; without it, a resumed run learns from an empty one."""
    track: tuple[str, ...] = ()
    """Trackers that get the run besides its log: tensorboard, wandb, mlflow, sqlite."""
    health_entropy: float | None = number(0.3, least=0, most=1)
    """Share of a uniform policy's entropy, or where actions are masked of the largest so far, below
    which a line says so; None never does. Not of continuous actions."""
    health_kl: float | None = number(0.06, least=0)
    """The approx_kl of a row above which a line says so; None never does."""
    health_clip: float | None = number(0.3, least=0, most=1)
    """The clip_fraction of a row above which a line says so; None never does."""
    health_value: int | None = number(20, least=1)
    """Rows in a row with an explained_variance below 0 after which a line says so, the first 20
    rows apart; None never does."""
    health_q: float | None = number(2.0, least=1)
    """How many times what episodes pay their values may be in three evaluations in a row before a
    line says so; None never does."""
    health_stall: float | None = number(1 / 3, above=0)
    """Share of the run without a better return than at its beginning after which a line says so;
    None never does."""
    save_params: bool = False
    """Whether params_N.npz, what the agent acts with after N updates, lies in the run directory for
    every checkpoint."""
    eval_lanes: int | None = number(None, least=1)
    """Episodes of an evaluation that are played side by side, a round of them after another; None
    plays all at once."""
    log_times: bool = False
    """Whether rows say where the seconds since the row before went: data_time waiting for
    env_params, training_time, eval_time, log_time the host's other work, iter_time all."""


def check_runner(config: RunnerConfig) -> None:
    """Raises ConfigError for a field outside its bounds."""
    check_bounds(config, "runner.")


def devices_of(config: RunnerConfig) -> int:
    """How many devices a run is spread over.

    Raises:
        ConfigError: there are several processes, and not all of their devices are to take part.
    """
    n_processes, n_devices = jax.process_count(), jax.device_count()
    if n_processes == 1:
        return config.num_devices or 1
    if config.num_devices not in (None, n_devices):
        raise ConfigError(
            f"num_devices {config.num_devices}: {n_processes} processes have {n_devices} devices, "
            "and each has to take part: leave it out."
        )
    return n_devices


def check_replay_unused(config: RunnerConfig) -> None:
    """Raises ConfigError for replay settings where the algorithm has no replay."""
    for name in ("buffer_size", "warmup_steps", "replay_on", "checkpoint_replay"):
        if is_given(config, name):
            raise ConfigError(
                f"runner.{name} {getattr(config, name)} is only used by algorithms with a replay: "
                "leave it out."
            )


def check_budget(total_timesteps: int, steps_per_update: int) -> int:
    """How many updates the budget holds; ConfigError if not one."""
    if total_timesteps < steps_per_update:
        raise ConfigError(
            f"total_timesteps {total_timesteps} is less than one update of {steps_per_update} env "
            f"steps: give at least {steps_per_update}."
        )
    if steps_per_update > COUNTABLE:
        raise ConfigError(
            f"an update of {steps_per_update:,} env steps: give fewer envs or steps, at most "
            f"{COUNTABLE:,} in all."
        )
    return total_timesteps // steps_per_update


def is_given(config: Any, name: str) -> bool:
    """Whether a field of a config differs from its default."""
    return getattr(config, name) != getattr(type(config), name)


def with_num_envs(
    config: Any, runner_config: RunnerConfig, per_device: bool = False
) -> tuple[Any, RunnerConfig]:
    """The two configs with the number of envs on all devices, which the algorithm's then holds.

    Several devices have the runner's number on each if it is given, and one device has the
    algorithm's. Where both are given a line says which is used.

    Args:
        config: the algorithm's.
        runner_config: the runner's.
        per_device: treats one device as several.
    """
    n_devices = devices_of(runner_config)
    own, runners = config.num_envs, runner_config.num_envs * n_devices
    if not is_given(config, "num_envs"):
        num_envs = runners if is_given(runner_config, "num_envs") else max(own, runners)
    elif not is_given(runner_config, "num_envs"):
        num_envs = own
    else:
        num_envs = runners if n_devices > 1 or per_device else own
        if own != runners:
            say_once(
                f"num_envs: {num_envs} envs are used, where the algorithm's config gives {own} and "
                f"the runner's {runners}."
            )
    return replace(config, num_envs=num_envs), replace(runner_config, num_envs=1)


def share_for_saving(config: RunnerConfig) -> float:
    """The largest share of the time that saving may take."""
    if config.checkpoint_share is not None:
        return config.checkpoint_share
    return 1.0 if is_given(config, "checkpoint_interval") else DEFAULT_SHARE


def check_checkpoints_used(config: RunnerConfig) -> None:
    """Raises ConfigError for settings of checkpoints where none are written."""
    for name in ("checkpoint_interval", *OF_CHECKPOINTS):
        value = getattr(config, name)
        if is_given(config, name) and not (name == "checkpoint_interval" and value is None):
            raise ConfigError(
                f"runner.{name} {value} needs checkpoints: give a run_dir or a checkpoint_dir, and "
                "a checkpoint_interval that is not None."
            )
