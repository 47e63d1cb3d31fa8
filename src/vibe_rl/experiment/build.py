"""From a config to the run that it describes, and what is written down of it."""

import json
import os
import time
from dataclasses import replace

from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, algorithm_name, from_dict, to_dict
from vibe_rl.env import AutoResetWrapper, HostEnvironment, make
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.manifest import versions
from vibe_rl.run_dir.plain import plain
from vibe_rl.runner.config import resolve_num_envs
from vibe_rl.runner.run import Run, prepare
from vibe_rl.system.processes import broadcast_text, check_same, greatest


def build(config: TrainConfig, *, check_memory: bool = True) -> Run:
    """The run that `config` describes; ConfigError if it cannot work.

    Without `check_memory` it may be larger than this machine: its agent can act all the same.
    """
    env, env_params = make(config.env_id, **config.env_kwargs)
    if not isinstance(env, HostEnvironment):
        env = AutoResetWrapper(env)
    builder = ALGORITHMS[algorithm_name(config)][1]
    algorithm = builder(env, env_params, config.algo, config.runner)
    num_envs = resolve_num_envs(config.algo.num_envs, config.runner)
    return prepare(
        algorithm,
        env,
        env_params,
        config.runner,
        num_envs,
        description=to_dict(config),
        check_memory=check_memory,
    )


def check_own_checkpoints(config: TrainConfig) -> None:
    """Raises ConfigError for settings about other checkpoints than the run directory's own."""
    runner = config.runner
    if runner.resume or runner.overwrite or runner.checkpoint_dir is not None:
        raise ConfigError(
            "runner.resume, runner.overwrite and runner.checkpoint_dir are for calls from "
            "Python, and a run keeps its checkpoints itself: go on with vibe-rl train --resume RUN."
        )


def check_same_config(config: TrainConfig) -> None:
    """Raises ConfigError if processes that are to train together have different ones."""
    check_same("config and versions", json.dumps(plain([to_dict(config), versions()])))


def new_run_dir(name: str, base_dir: str | os.PathLike[str]) -> RunDir:
    """A new run directory; of several processes, the first makes it and all use it."""
    path = broadcast_text(lambda: str(RunDir(name, base_dir)))
    if greatest(not is_there(path)):
        raise ConfigError(
            f"base_dir {base_dir}: {path} of process 0 is not there for all processes, give a "
            "folder on a file system that they share."
        )
    return RunDir.open(path)


def is_there(path: str, seconds: float = 10.0) -> bool:
    """Whether a folder is seen here; those of other machines may appear late."""
    until = time.monotonic() + seconds
    while not os.path.isdir(path) and time.monotonic() < until:
        time.sleep(0.1)
    return os.path.isdir(path)


def config_of(path: str | os.PathLike[str]) -> TrainConfig:
    """The config with which a run was begun or last gone on with."""
    return from_dict(RunDir.open(path).load_latest_config())


def record(run_dir: RunDir, config: TrainConfig) -> None:
    """Writes down what is about to be run, and on what."""
    record_config(run_dir, config)
    runner = config.runner
    run_dir.save_manifest({"seed": runner.seed, "matmul_precision": runner.matmul_precision})


def record_config(run_dir: RunDir, config: TrainConfig) -> None:
    """Writes a config down if it is not the latest one there."""
    settings = to_dict(config)
    if not (run_dir.root / "config.json").exists():
        run_dir.save_config(settings)
    elif plain(settings) != run_dir.load_latest_config():
        run_dir.save_next_config(settings)


def on_one_device(config: TrainConfig) -> TrainConfig:
    """The same run, with as many envs, on a machine that may have fewer devices."""
    num_envs = resolve_num_envs(config.algo.num_envs, config.runner)
    runner = replace(config.runner, num_envs=1, num_devices=None, fsdp_devices=1)
    return replace(config, algo=replace(config.algo, num_envs=num_envs), runner=runner)


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same run from another seed."""
    return replace(config, runner=replace(config.runner, seed=seed))
