"""From a config to the run that it describes."""

from dataclasses import replace

from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, algorithm_name, to_dict
from vibe_rl.env import AutoResetWrapper, HostEnvironment, make
from vibe_rl.errors import ConfigError
from vibe_rl.runner.config import resolve_num_envs
from vibe_rl.runner.from_config import prepare_from_config
from vibe_rl.runner.run import Run, prepare_together
from vibe_rl.system.folders import same_directory


@same_directory()
def build(config: TrainConfig) -> Run:
    """The run that `config` describes; ConfigError if it cannot work.

    Its replay may be too large for this machine: the agent can act all the same.
    """
    env, env_params = make(config.env_id, **config.env_kwargs)
    if not isinstance(env, HostEnvironment):
        env = AutoResetWrapper(env)
    kind = ALGORITHMS[algorithm_name(config)][1]
    return prepare_from_config(
        kind, env, env_params, config.algo, config.runner, description=to_dict(config)
    )


def build_for_run_dir(config: TrainConfig, resume: bool = False) -> Run:
    """A run whose checkpoints are in its run directory, checked before anything is written there.

    Raises:
        ConfigError: it cannot work, or processes that train together have different configs.
    """
    config = with_own_checkpoints(config, resume)
    return prepare_together(lambda: build(config))


def with_own_checkpoints(config: TrainConfig, resume: bool) -> TrainConfig:
    """`config` for a run that keeps its checkpoints in its run directory, resumed or not.

    Raises:
        ConfigError: the config asks for other checkpoints.
    """
    runner = config.runner
    if runner.resume or runner.overwrite or runner.checkpoint_dir is not None:
        raise ConfigError(
            "runner.resume, runner.overwrite and runner.checkpoint_dir are for calls from "
            "Python, and a run keeps its checkpoints itself: use vibe-rl train --resume RUN."
        )
    return replace(config, runner=replace(runner, resume=resume))


def for_one_device(config: TrainConfig) -> TrainConfig:
    """The same run, with as many envs, for a machine that may have fewer devices."""
    num_envs = resolve_num_envs(config.algo.num_envs, config.runner)
    runner = replace(config.runner, num_envs=1, num_devices=None, fsdp_devices=1)
    return replace(config, algo=replace(config.algo, num_envs=num_envs), runner=runner)


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same run from another seed."""
    return replace(config, runner=replace(config.runner, seed=seed))
