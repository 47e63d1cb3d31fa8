"""Configs in run directories: config.json, and config_2.json and so on of resumed runs."""

import os
import time

from vibe_rl.configs.train_config import TrainConfig, from_dict, to_dict
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import as_recorded
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.system.processes import broadcast_text, greatest


def new_run_dir(name: str, base_dir: AnyPath) -> RunDir:
    """A new run directory; of several processes, the first makes it and all use it."""
    path = broadcast_text(lambda: str(RunDir(name, base_dir)))
    if greatest(not wait_for_folder(path)):
        raise ConfigError(
            f"base_dir {base_dir}: not all processes see {path}, which process 0 made: give a "
            "folder on a file system that they share."
        )
    return RunDir.open(path)


def wait_for_folder(path: str, seconds: float = 10.0) -> bool:
    """Whether a folder can be seen here within some seconds; other machines' may appear late."""
    deadline = time.monotonic() + seconds
    while not os.path.isdir(path) and time.monotonic() < deadline:
        time.sleep(0.1)
    return os.path.isdir(path)


def read_config(path: AnyPath) -> TrainConfig:
    """The newest config of the run in a directory."""
    return from_dict(RunDir.open(path).load_latest_config())


def write_config(run_dir: RunDir, config: TrainConfig) -> None:
    """Writes the config as recorded into the run directory, unless it is the newest one there."""
    config = as_recorded(config)
    if not (run_dir.root / "config.json").exists() or read_config(run_dir) != config:
        fields = to_dict(config)
        run_dir.save_next_config(fields)


def write_run_files(run_dir: RunDir, config: TrainConfig) -> None:
    """Writes the config, and a manifest of what the run is about to train on."""
    write_config(run_dir, config)
    runner = config.runner
    run_dir.save_manifest({"seed": runner.seed, "matmul_precision": runner.matmul_precision})
