"""Runs of MLflow 3: parameters, metrics in batches, files, nested runs for the members of a group.

Without `MLFLOW_TRACKING_URI` they are in a database in the folder of the runs, `mlflow.db`, with
the files in `mlartifacts` beside it: `mlflow server --backend-store-uri sqlite:///runs/mlflow.db`.
MLflow cannot forget metrics: a resumed run leaves out rows that its MLflow run has already.
"""

import json
import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import override

from vibe_rl.errors import without_password
from vibe_rl.extras import require
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import read_json, write_atomically
from vibe_rl.run_dir.group import group_of
from vibe_rl.tracking.base import Status, Tracker, is_finite
from vibe_rl.tracking.mlflow_store import (
    ARTIFACTS,
    alone_at_first,
    check_address,
    default_address,
    experiment_of,
    find_experiment,
    folder_of_runs,
    given_address,
)

LOGGER = logging.getLogger("vibe_rl")
ID_FILE = "mlflow.json"
MOST_METRICS, MOST_PARAMS, LONGEST = 1000, 100, 6000
"""Of one request, and the letters of a parameter."""
SOON = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}
"""A dead server is given up within seconds, unless the user has set these."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What it says of itself, and to whom."""
CHATTY = ("mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store", "alembic")
"""Loggers that are heard from warnings on."""
STATUSES: dict[Status, str] = {
    "finished": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}
INTERVAL = 1.0  # seconds in which rows gather
PARENT = "mlflow.parentRunId"
NOT_SHOWN = ("step",)


class MLflowTracker(Tracker):
    """A run of MLflow, new or continued.

    Args:
        run_dir: keeps the run's id; without one, each tracker begins a run.
        tracking_uri: None takes `MLFLOW_TRACKING_URI`, or a database in the folder of the runs.
        experiment: None takes the run directory's name without its time.
        new: begins a run though the run directory names one.
        live: whether the run is being trained; the machine's load is logged where
            `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING` asks for it.

    Raises:
        ConfigError: mlflow is not installed, or the address is a folder.
    """

    def __init__(
        self,
        run_dir: RunDir | None = None,
        *,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        new: bool = False,
        live: bool = True,
    ):
        base = Path.cwd() if run_dir is None else folder_of_runs(run_dir)
        self.tracking_uri = check_address(tracking_uri or given_address() or default_address(base))
        self._mlflow = load_mlflow()
        self._run_dir, self._rows = run_dir, list[tuple[int, Mapping[str, Any]]]()
        self._known = -1  # rows up to this step are there
        self._due = time.monotonic() + INTERVAL  # when rows that have gathered are sent
        self._closed = False
        with alone_at_first(self.tracking_uri):
            self.client = self._mlflow.MlflowClient(self.tracking_uri)
            experiment = experiment or experiment_of(run_dir)
            self.experiment_id = find_experiment(self.client, experiment, base / ARTIFACTS)
        self._parent = self._find_parent()
        found = None if new else self._find_run()
        self.run_id, self._began = found or self._new_run()
        self._monitor = start_monitor(self.run_id, self.tracking_uri) if live else None

    @override
    def rewind(self, step: int) -> None:
        history = self.client.get_metric_history(self.run_id, "wall_time")
        self._known = max((metric.step for metric in history), default=-1)

    @override
    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        step = int(metrics.get("step", 0) if step is None else step)
        if step > self._known:
            self._rows.append((step, dict(metrics)))
        if time.monotonic() > self._due:
            self.flush()

    def flush(self) -> None:
        """Sends the rows that have gathered, apart from those of the last step: more may come."""
        last = self._rows[-1][0] if self._rows else 0
        self._due = time.monotonic() + INTERVAL
        self._send([row for row in self._rows if row[0] != last])
        self._rows = [row for row in self._rows if row[0] == last]

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        flat = dict(_flattened(config))
        before = self.client.get_run(self.run_id).data.params
        fresh = {name: text for name, text in flat.items() if name not in before}
        entities = self._mlflow.entities
        for some in pieces(list(fresh.items()), MOST_PARAMS):
            params = [entities.Param(name, text) for name, text in some]
            self.client.log_batch(self.run_id, params=params)
        self._note({name: text for name, text in flat.items() if before.get(name, text) != text})

    def _note(self, changed: Mapping[str, str]) -> None:
        """Sets tags for settings of a resumed run that are not as they were."""
        for name, text in changed.items():
            self.client.set_tag(self.run_id, f"resumed.{name}", text)
        if changed:
            LOGGER.warning(
                f"MLflow keeps parameters as they were: {', '.join(sorted(changed))} of the "
                "resumed run are tags named resumed.*."
            )

    @override
    def log_file(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), f"checkpoints/{path.name}")
        else:
            self.client.log_artifact(self.run_id, str(path), artifact_folder(path, self._run_dir))

    @override
    def close(self, status: Status = "finished") -> None:
        if self._closed:
            return
        self._closed = True
        self._send(self._rows)
        if self._monitor is not None:
            self._monitor.finish()
        self.client.set_terminated(self.run_id, STATUSES[status])
        if self._parent is not None:
            self._end_parent(self._parent, STATUSES[status])

    def _end_parent(self, run_id: str, status: str) -> None:
        """Ends the group's run as its worst member ended."""
        now = self.client.get_run(run_id).info.status
        ranked = ["RUNNING", *STATUSES.values()]
        if ranked.index(status) > ranked.index(now):
            self.client.set_terminated(run_id, status)

    def _send(self, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        for some in pieces(list(self._metrics(rows)), MOST_METRICS):
            self.client.log_batch(self.run_id, metrics=some)

    def _metrics(self, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> Iterator[Any]:
        for step, row in rows:
            stamp = self._began + int(1000 * float(row.get("wall_time") or 0.0))
            for name, value in row.items():
                if is_finite(value) and name not in NOT_SHOWN:
                    yield self._mlflow.entities.Metric(mlflow_name(name), value, stamp, step)

    def _find_run(self) -> tuple[str, int] | None:
        """The id and the beginning of the run that the run directory names, if it is there."""
        known = read_ids(self._run_dir)
        if known.get("tracking_uri") != without_password(self.tracking_uri):
            return None
        with suppress(self._mlflow.MlflowException):
            run = self.client.get_run(known["run_id"])
            if run.info.lifecycle_stage == "active":
                self.client.update_run(run.info.run_id, status="RUNNING")
                return run.info.run_id, run.info.start_time
        return None

    def _new_run(self) -> tuple[str, int]:
        named = None if self._run_dir is None else self._run_dir.root.name
        began = int(1000 * time.time())
        tags = {} if self._parent is None else {PARENT: self._parent}
        run = self.client.create_run(self.experiment_id, began, tags, named)
        write_ids(self._run_dir, self.tracking_uri, run.info.run_id)
        return run.info.run_id, began

    def _find_parent(self) -> str | None:
        """The id of the group's run, if the run directory is a member's."""
        group = None if self._run_dir is None else group_of(self._run_dir)
        if group is None:
            return None
        of_group = RunDir.open(group)
        return MLflowTracker(of_group, tracking_uri=self.tracking_uri, live=False).run_id


def artifact_folder(path: Path, run_dir: RunDir | None) -> str | None:
    """Where a file of a run goes: as in the run directory, without its folder `artifacts`."""
    if run_dir is None or not path.is_relative_to(run_dir.root):
        return "figures"
    folder = path.relative_to(run_dir.root).parent
    if folder.parts[:1] == ("artifacts",):
        folder = folder.relative_to("artifacts") if len(folder.parts) > 1 else Path("figures")
    return folder.as_posix() if folder.parts else None


def start_monitor(run_id: str, tracking_uri: str) -> Any:
    """What logs the machine's load, if `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING` asks for it."""
    if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "").lower() not in ("true", "1"):
        return None
    module = require("mlflow.system_metrics.system_metrics_monitor", "mlflow", "monitors")
    monitor = module.SystemMetricsMonitor(run_id, tracking_uri=tracking_uri, resume_logging=True)
    monitor.start()
    return monitor


def load_mlflow() -> Any:
    """The module, told to be brief; ConfigError if it is not installed."""
    for name, value in {**SOON, **QUIET}.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", "The ``noload`` loader strategy", DeprecationWarning)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow = require("mlflow", "mlflow", "MLflow trackers")
    require("mlflow.entities", "mlflow", "MLflow trackers")
    return mlflow


def read_ids(run_dir: RunDir | None) -> dict[str, str]:
    """What a run directory knows of its MLflow run."""
    path = None if run_dir is None else run_dir.log_path(ID_FILE)
    return {} if path is None or not path.exists() else read_json(path)


def branch(run_dir: RunDir, step: int, folder: Path) -> None:
    """Sets the ids of a run aside: metrics stay there for good, so what resumes has another run."""
    path = run_dir.root / ID_FILE
    if path.exists():
        path.rename(folder / ID_FILE)


def write_ids(run_dir: RunDir | None, tracking_uri: str, run_id: str) -> None:
    """Lets a resumed run find its MLflow run."""
    if run_dir is not None:
        text = json.dumps({"tracking_uri": without_password(tracking_uri), "run_id": run_id})
        with write_atomically(run_dir.log_path(ID_FILE)) as file:
            file.write(f"{text}\n".encode())


def _flattened(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and texts of all values, cut at what MLflow takes."""
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield mlflow_name(f"{prefix}{name}"), str(value)[:LONGEST]


def mlflow_name(name: str) -> str:
    """A name as MLflow takes it: letters, digits and `_-. :/`."""
    return "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in name)


def pieces(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The items in pieces of at most `size`."""
    return (items[i : i + size] for i in range(0, len(items), size))


def check_settings() -> None:
    """Raises ConfigError if the environment names an address that cannot work."""
    check_address(given_address() or default_address(Path.cwd()))


def open_for(run_dir: RunDir, new: bool, live: bool) -> MLflowTracker:
    """The tracker of a run."""
    return MLflowTracker(run_dir, new=new, live=live)
