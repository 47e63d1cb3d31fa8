"""Configs in run directories: config.json, and config_2.json and so on of resumed runs."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from vibe_rl.checkpoint import saved_steps
from vibe_rl.configs.train_config import TrainConfig, from_dict, to_dict
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import as_recorded
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import absolute
from vibe_rl.run_dir.group import AnyPath
from vibe_rl.system.folders import missing_folders, remove_empty
from vibe_rl.system.processes import broadcast_text, greatest, is_first

PLANS = re.compile(
    r"(config|manifest)(_\d+)?\.json|(sweep|population|tracking)\.json|(config|overrides)\.yaml"
)
"""The names of the files that are written before a run begins."""


@contextmanager
def new_run_dir(
    name: str,
    base_dir: AnyPath = "runs",
    elsewhere: AnyPath | None = None,
    run_id: str | None = None,
) -> Iterator[RunDir]:
    """A new run directory, removed again if its block fails before anything was learned.

    Of several processes, the first makes it and all use it. Where checkpoints lie `elsewhere`, a
    new one there says that something was. For `run_id` see `RunDir`.
    """
    made, known = missing_folders(base_dir), _steps_in(elsewhere)
    run_dir = _shared_run_dir(name, base_dir, run_id)
    try:
        yield run_dir
    except BaseException:
        if is_first() and holds_only_plans(run_dir) and _steps_in(elsewhere) == known:
            shutil.rmtree(run_dir)
            remove_empty(made)
        raise


def _steps_in(checkpoints: AnyPath | None) -> list[int]:
    return [] if checkpoints is None else saved_steps(absolute(checkpoints))


def holds_only_plans(run_dir: RunDir) -> bool:
    """Whether its files, and those of its members, are empty or say what was to be trained."""
    files = [path for path in run_dir.root.rglob("*") if not path.is_dir()]
    return all(PLANS.fullmatch(path.name) or not path.lstat().st_size for path in files)


def _shared_run_dir(name: str, base_dir: AnyPath, run_id: str | None) -> RunDir:
    path = broadcast_text(lambda: str(RunDir(name, base_dir, run_id=run_id)))
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


def write_run_files(
    run_dir: RunDir, config: TrainConfig, extra: Mapping[str, Any] | None = None
) -> None:
    """Writes the config, and a manifest of what the run is about to train on, and `extra`."""
    write_config(run_dir, config)
    known = {"seed": config.runner.seed, "matmul_precision": config.runner.matmul_precision}
    run_dir.save_manifest(known | dict(extra or {}))
