"""Where MLflow keeps runs: a database in the folder of the runs, or what the environment names."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from vibe_rl.errors import ConfigError, without_password
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import read_json
from vibe_rl.run_dir.group import group_of
from vibe_rl.system.lock import wait_for_lock

LOGGER = logging.getLogger("vibe_rl")
URI = "MLFLOW_TRACKING_URI"
DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
STAMPED = re.compile(r"(.+)_\d{8}_\d{6}(_\d+)?")


def default_address(base: Path) -> str:
    """The database in a folder."""
    return f"sqlite:///{base / DATABASE}"


def given_address() -> str | None:
    """What the environment names."""
    return os.environ.get(URI) or None


def check_address(uri: str) -> str:
    """The address; ConfigError for a folder: MLflow 3 writes only to databases and servers."""
    is_name = re.fullmatch(r"(databricks|uc)([-:].*)?", uri)
    if uri.startswith("file:") or not ("://" in uri or is_name):
        raise ConfigError(
            f"{URI} {without_password(uri)}: MLflow no longer writes to folders, give "
            "sqlite:///FILE or http://HOST:PORT, or leave it out."
        )
    return uri


@contextmanager
def alone_at_first(uri: str) -> Iterator[None]:
    """Lets one process at a time make the tables of a database file."""
    path = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
    with nullcontext() if path is None else wait_for_lock(path.with_name(f".{path.name}.lock")):
        yield


def folder_of_runs(run_dir: RunDir) -> Path:
    """Where the run, or its group, is kept."""
    return (group_of(run_dir) or run_dir.root).parent


def experiment_of(run_dir: RunDir | None) -> str:
    """What the manifest of a run, or of its group, says; else its directory's name without time."""
    if run_dir is None:
        return "vibe_rl"
    folder = group_of(run_dir) or run_dir.root
    manifest = folder / "manifest.json"
    named = read_json(manifest).get("experiment") if manifest.exists() else None
    stamped = STAMPED.fullmatch(folder.name)
    return named or (stamped[1] if stamped else folder.name)


def find_experiment(client: Any, name: str, artifacts: Path) -> str:
    """The id of the experiment of this name; one that was deleted is restored, and that is said."""
    found = client.get_experiment_by_name(name)
    if found is None:
        is_local = client.tracking_uri.startswith("sqlite")
        with suppress(Exception):  # another process may just have made it
            return client.create_experiment(name, artifacts.as_uri() if is_local else None)
        found = client.get_experiment_by_name(name)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        LOGGER.warning(
            f"MLflow's experiment {name} was deleted: it is restored, for its name is taken."
        )
    return found.experiment_id
