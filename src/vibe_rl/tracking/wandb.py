"""Runs of Weights & Biases: online where one is logged in and the service answers, else offline.

Offline files are sent later by `wandb sync`. The run's id is kept in the run directory, so that a
resumed run continues it. Rows of one env step are one row there, as its steps only grow.
"""

import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from typing_extensions import override

from vibe_rl.extras import require
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.run_dir.group import group_of
from vibe_rl.tracking.base import Status, Tracker, is_finite
from vibe_rl.tracking.settings import read_settings

LOGGER = logging.getLogger("vibe_rl")
ID_FILE = "wandb_id.txt"
STEP_FILE = "wandb_step.txt"
BRANCH_FILE = "wandb_branch.txt"
"""From which run, and which of its steps, a run that went back continues."""
PROJECT = "vibe_rl"
SERVICE = "https://api.wandb.ai"
SECONDS, INIT_SECONDS = 2.0, 5.0
"""Within which the service has to answer, and to begin a run."""
NOT_THERE = ("offline", "disabled")
"""Modes in which no service is asked."""
EXIT_CODES: dict[Status, int] = {"finished": 0, "failed": 1, "interrupted": 130}


class WandbTracker(Tracker):
    """A run of Weights & Biases, new or continued.

    It is opened by what is told first. `WANDB_MODE`, `WANDB_PROJECT`, `WANDB_ENTITY` and the
    service's other variables count where an argument is not given.

    Args:
        project: None takes `WANDB_PROJECT`, or `vibe_rl`.
        entity: a user or a team; None takes the default one.
        config: settings to record.
        run_dir: keeps the run's id, and its files while it is offline.
        new: begins a run though the run directory names one.
        artifacts: whether files are sent.
        **init_kwargs: for `wandb.init`.

    Raises:
        ConfigError: wandb is not installed.
    """

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        config: Mapping[str, Any] | None = None,
        run_dir: str | os.PathLike[str] | None = None,
        *,
        new: bool = False,
        artifacts: bool = True,
        **init_kwargs: Any,
    ):
        self._wandb = require("wandb", "wandb", "Weights & Biases trackers")
        self._how = {
            "project": project or os.environ.get("WANDB_PROJECT") or PROJECT,
            "entity": entity,
            "config": None if config is None else dict(config),
            **init_kwargs,
        }
        self._run_dir = None if run_dir is None else Path(run_dir)
        self._run: Any = None
        self._artifacts = artifacts
        self._new, self._id = new, None if new else self._read(ID_FILE)
        self._known = int(self._read(STEP_FILE) or -1) if self._id else -1  # the last step there
        self._step = self._known  # of the last row
        self._rewind_to: int | None = None
        self._closed = False

    @cached_property
    def _mode(self) -> str | None:
        return mode(self._wandb)

    @property
    def run_id(self) -> str:
        """The run's id; of the service, or of an offline file."""
        return self._open().id

    @override
    def rewind(self, step: int) -> None:
        if self._known > step:
            self._rewind_to = step

    @override
    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        row = {name: x for name, x in metrics.items() if is_finite(x)}
        step = row.get("step") if step is None else step
        run = self._open()
        if step is None or step > self._known:
            run.log(row, step=step)
            self._step = max(self._step, int(step or 0))

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        self._open().config.update(dict(config), allow_val_change=True)

    @override
    def log_file(self, path: str | os.PathLike[str]) -> None:
        if not self._artifacts:
            return
        path, run = Path(path), self._open()
        kind = "model" if path.is_dir() or path.suffix == ".npz" else "figure"
        stem = "checkpoint" if path.is_dir() else path.stem
        artifact = self._wandb.Artifact(re.sub(r"[^\w.-]", "-", f"{run.id}-{stem}"), type=kind)
        (artifact.add_dir if path.is_dir() else artifact.add_file)(str(path))
        run.log_artifact(artifact)

    def flush(self) -> None:
        """Notes which row was the last, for a run that resumes."""
        if self._run is not None and str(self._step) != self._read(STEP_FILE):
            self._write(STEP_FILE, str(self._step))

    @override
    def close(self, status: Status = "finished") -> None:
        if not self._closed:
            self._closed = True
            self.flush()
            if self._run is not None:
                self._run.finish(exit_code=EXIT_CODES[status])

    def _open(self) -> Any:
        if self._run is None:
            self._run = self._continued() or self._branched() or self._init()
            self._write(ID_FILE, self._run.id)
            if self._run_dir is not None:
                (self._run_dir / BRANCH_FILE).unlink(missing_ok=True)
        return self._run

    def _branched(self) -> Any:
        """The run that this one has gone back in, where the service rewinds it; else None.

        Another run then gets all rows up to there.
        """
        place = None if self._new else self._read(BRANCH_FILE)
        if place is None or self._mode in NOT_THERE:
            return None
        with suppress(self._wandb.Error):
            run = self._init(resume_from=place)
            self._known = self._step = int(place.rpartition("=")[2])
            return run
        return None

    def _continued(self) -> Any:
        """The run that continues an earlier one, if there is one.

        Where the service can, it forgets rows later than the resumed step; else those stay, and
        their repetitions are left out.
        """
        if self._id is None:
            return None
        if self._rewind_to is not None and self._mode not in NOT_THERE:
            with suppress(self._wandb.Error):
                run = self._init(resume_from=f"{self._id}?_step={self._rewind_to}")
                self._known = self._step = self._rewind_to
                return run
        return self._init(id=self._id, resume="allow")

    def _init(self, **how: Any) -> Any:
        settings = self._wandb.Settings(
            silent=True, console="off", disable_git=True, init_timeout=INIT_SECONDS
        )
        defaults = {"settings": settings, "reinit": "create_new", "mode": self._mode}
        return self._wandb.init(**(defaults | self._place() | self._how | how))

    def _place(self) -> dict[str, Any]:
        """What the run is called, and where its files are."""
        if self._run_dir is None:
            return {}
        group = group_of(self._run_dir)
        return {
            "dir": str(self._run_dir / "logs"),
            "name": self._run_dir.name,
            "group": None if group is None else group.name,
        }

    def _read(self, name: str) -> str | None:
        path = None if self._run_dir is None else self._run_dir / name
        return path.read_text().strip() if path is not None and path.exists() else None

    def _write(self, name: str, text: str) -> None:
        if self._run_dir is not None:
            with write_atomically(self._run_dir / name) as file:
                file.write(f"{text}\n".encode())


def resume_wandb(
    run_dir: str | os.PathLike[str],
    *,
    project: str | None = None,
    entity: str | None = None,
    config: Mapping[str, Any] | None = None,
    **init_kwargs: Any,
) -> WandbTracker:
    """The run whose id a run directory keeps, or a new one."""
    return WandbTracker(project, entity, config, run_dir, **init_kwargs)


def mode(wandb: Any) -> str | None:
    """That of the environment, or offline for who is not logged in, or gets no answer."""
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    logged_in = wandb.login(prompt=False, verify=False)
    address = os.environ.get("WANDB_BASE_URL") or SERVICE
    if logged_in and answers(address):
        return None
    why = "gets no answer" if logged_in else "is not logged in"
    LOGGER.warning(
        f"wandb {why}: the run is kept offline in its folder logs, wandb sync sends it later."
    )
    return "offline"


def answers(address: str, seconds: float = SECONDS) -> bool:
    """Whether a server answers at an http address, whatever it says."""
    try:
        with urlopen(Request(address, method="HEAD"), timeout=seconds):
            return True
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False


def branch(run_dir: RunDir, step: int, folder: Path) -> None:
    """Sets the id of a run aside, and notes where what resumes is to continue it."""
    path = run_dir.root / ID_FILE
    if not path.exists():
        return
    with write_atomically(run_dir.root / BRANCH_FILE) as file:
        file.write(f"{path.read_text().strip()}?_step={step}\n".encode())
    for name in (STEP_FILE, ID_FILE):
        if (run_dir.root / name).exists():
            (run_dir.root / name).rename(folder / name)


def open_for(run_dir: RunDir, new: bool, live: bool) -> WandbTracker:
    """The tracker of a run."""
    settings = read_settings(run_dir).wandb
    return WandbTracker(
        settings.project,
        settings.entity,
        run_dir=run_dir.root,
        new=new,
        artifacts=settings.artifacts,
    )
