"""From a config to the run that it describes."""

from collections.abc import Callable
from dataclasses import replace

from vibe_rl.configs.env_schedules import scheduled_params
from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, algorithm_name, to_dict
from vibe_rl.env import AutoResetWrapper, HostEnvironment, make
from vibe_rl.env.params.many import held_out
from vibe_rl.errors import ConfigError, check_kind
from vibe_rl.run_dir.files import absolute
from vibe_rl.runner.config import check_checkpoints_used, is_given, with_num_envs
from vibe_rl.runner.from_config import prepare_from_config
from vibe_rl.runner.run import Run, prepare_together
from vibe_rl.system.folders import same_directory


@same_directory()
def build(config: TrainConfig) -> Run:
    """The run that `config` describes; ConfigError if it cannot work.

    Its replay may be too large for this machine: the agent can act all the same.
    """
    env, env_params = make(config.env_id, **config.env_kwargs)
    params = scheduled_params(config.env_schedule, env_params)
    if not isinstance(env, HostEnvironment):
        env = AutoResetWrapper(env)
    kind = ALGORITHMS[algorithm_name(config)][1]
    return prepare_from_config(
        kind,
        env,
        params,
        config.algo,
        config.runner,
        eval_params=None if params is env_params else held_out(env, env_params, env_params),
        description=to_dict(as_recorded(config)),
    )


def as_recorded(config: TrainConfig) -> TrainConfig:
    """The config with what depends on the machine or on the call resolved, as files record it.

    The number of envs is that on all devices, nothing says whether the run was resumed, and readers
    may be in another directory.
    """
    algo, runner = with_num_envs(config.algo, config.runner)
    folder = None if runner.checkpoint_dir is None else str(absolute(runner.checkpoint_dir))
    runner = replace(runner, resume=False, overwrite=False, checkpoint_dir=folder)
    return replace(config, algo=algo, runner=runner)


def build_for_run_dir(config: TrainConfig, change: Callable[[TrainConfig], TrainConfig]) -> Run:
    """A run with a run directory, checked before anything is written there.

    Args:
        config: the run.
        change: `check_new` or `resumed`.

    Raises:
        ConfigError: it cannot work, or processes that train together have different configs.
    """

    def checked() -> Run:
        changed = change(config)
        if changed.runner.checkpoint_interval is None:
            check_checkpoints_used(changed.runner)
        return build(changed)

    return prepare_together(checked)


def check_new(config: TrainConfig) -> TrainConfig:
    """The config, unless a new run is to find checkpoints in its new directory: ConfigError."""
    check_kind("config", config, TrainConfig)
    runner = config.runner
    for name in ("resume", "overwrite"):
        if getattr(runner, name) and runner.checkpoint_dir is None:
            raise ConfigError(
                f"runner.{name} True: a new run has no checkpoints, give runner.checkpoint_dir or "
                "use vibe-rl train --resume RUN."
            )
    return config


def resumed(config: TrainConfig) -> TrainConfig:
    """The config of a run that resumes from what its directory holds, if that is anything.

    Raises:
        ConfigError: it asks to delete that.
    """
    check_kind("config", config, TrainConfig)
    if config.runner.overwrite:
        raise ConfigError(
            "runner.overwrite True: a resumed run keeps its checkpoints, leave it out."
        )
    return replace(config, runner=replace(config.runner, resume=True))


def as_member(config: TrainConfig) -> TrainConfig:
    """The config of a member of a group, which resumes from what its own directory holds.

    Raises:
        ConfigError: it asks for other checkpoints, or none.
    """
    check_kind("config", config, TrainConfig)
    runner = config.runner
    for name in ("checkpoint_dir", "resume", "overwrite"):
        if is_given(runner, name):
            raise ConfigError(
                f"runner.{name} {getattr(runner, name)}: each run of a group has checkpoints in "
                "its own directory, leave it out."
            )
    if runner.checkpoint_interval is None:
        raise ConfigError(
            "runner.checkpoint_interval None: groups need checkpoints, give a number."
        )
    return resumed(config)


def for_one_device(config: TrainConfig) -> TrainConfig:
    """The same run, with as many envs, for a machine that may have fewer devices."""
    algo, runner = with_num_envs(config.algo, config.runner)
    runner = replace(runner, num_devices=None, fsdp_devices=1)
    return replace(config, algo=algo, runner=runner)


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same run from another seed."""
    check_kind("config", config, TrainConfig)
    return replace(config, runner=replace(config.runner, seed=seed))
