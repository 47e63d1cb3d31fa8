"""Trackers by name, as `--track tensorboard,mlflow` gives them; finished runs are sent to one."""

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.errors import ConfigError, reason, unknown
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.files import read_json
from vibe_rl.run_dir.group import is_group, members
from vibe_rl.run_dir.notes import Status, last_session, sessions_of
from vibe_rl.system.lock import lock_directory
from vibe_rl.tracking.jsonl import furthest_step, read_metrics
from vibe_rl.tracking.settings import Translated, read_settings


class Named(NamedTuple):
    """A tracker that has a name."""

    module: str  # of `open_for(run_dir, new, live)`; it may have `check_settings()` and `branch`
    package: str | None  # that has to be installed
    apart: bool = False  # whether it takes time, or may hang, and has a process of its own
    files: bool = True  # whether it keeps any


class Story(NamedTuple):
    """What a tracker is told of a run that nobody trains."""

    rows: Sequence[Mapping[str, Any]]  # each with its `step`
    config: Mapping[str, Any]
    files: Sequence[Path]


TRACKERS = {
    "tensorboard": Named("vibe_rl.tracking.tensorboard", "tensorboardX"),
    "wandb": Named("vibe_rl.tracking.wandb", "wandb", apart=True),
    "mlflow": Named("vibe_rl.tracking.mlflow", "mlflow", apart=True),
    "sqlite": Named("vibe_rl.tracking.sqlite", None, files=False),
}


def check_names(names: Sequence[str]) -> None:
    """Raises ConfigError for a tracker that does not exist, or whose settings cannot work."""
    for name in names:
        if name not in TRACKERS:
            raise unknown("tracker", name, TRACKERS)
        module = import_module(TRACKERS[name].module)
        getattr(module, "check_settings", lambda: None)()
    twice = {name for name in names if list(names).count(name) > 1}
    if twice:
        raise ConfigError(f"track {','.join(names)}: name each tracker once.")


def check_installed(names: Sequence[str]) -> None:
    """Raises ConfigError for a tracker whose package is missing; none is imported."""
    for name in names:
        package = TRACKERS[name].package
        if package is not None and find_spec(package) is None:
            raise ConfigError(f"track {name} needs {package}: pip install 'vibe-rl[{name}]'.")


def branch(run_dir: RunDir, step: int, folder: Path) -> None:
    """Tells the trackers of a run that it goes back to an env step and then may take another way.

    Those that cannot forget rows begin another run there; what named the old one is moved.

    Args:
        run_dir: of the run, which nobody trains.
        step: the last whose rows stay.
        folder: where what is set aside goes.
    """
    for tracker in TRACKERS.values():
        module = import_module(tracker.module)
        getattr(module, "branch", lambda *_: None)(run_dir, step, folder)


def caught_up(name: str, run_dir: RunDir, step: int | None, size: int | None = None) -> Any:
    """A tracker of a run, which knows all that the run's log has up to a step.

    Args:
        name: in TRACKERS.
        run_dir: of the run.
        step: where the run resumes; None for a new run, and -1 if who trains tells all rows again.
        size: bytes of the log that were there before; what comes later is told by who trains.
    """
    tracker = opened(name, run_dir, new=step is None, live=True)
    if step is not None:
        tracker.rewind(step)
    if step is not None and step >= 0:  # else the log may be cut back meanwhile
        replay(_rows_of(run_dir.log_path(), size), tracker, step)
    return tracker


def opened(name: str, run_dir: RunDir, new: bool, live: bool) -> Any:
    """A tracker of a run, which speaks as the settings of the run say."""
    tracker = import_module(TRACKERS[name].module).open_for(run_dir, new=new, live=live)
    settings = read_settings(run_dir)
    return Translated(tracker, settings) if settings.names or settings.sums else tracker


def _rows_of(path: Path, size: int | None = None) -> list[dict[str, Any]]:
    """The rows of a log, or of its first bytes."""
    if size is None or not path.exists():
        return read_metrics(path)
    with path.open("rb") as file:
        return [json.loads(line) for line in file.read(size).splitlines() if line.strip()]


def send(name: str, run_dir: RunDir, story: Story | None = None) -> None:
    """Sends a run that nobody trains to a tracker: what the tracker has already stays as it is.

    Args:
        name: in TRACKERS.
        run_dir: of the run, or of a group, of which the files are sent.
        story: what was told while it was trained; None: what its log holds.

    Raises:
        ConfigError: the tracker's package is not installed, or it cannot be reached, or the run is
            being trained.
    """
    try:
        with lock_directory(run_dir.checkpoints):
            rows, config, files = story or _story_of(run_dir)
            tracker = opened(name, run_dir, new=False, live=False)
            tracker.rewind(sys.maxsize)
            replay(rows, tracker, sys.maxsize)
            tracker.log_config(config)
            for path in files:
                tracker.log_file(path)
            tracker.close(how_it_ended(run_dir))
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{name}: {reason(error)}: see that it can be reached.") from error


def _story_of(run_dir: RunDir) -> Story:
    """What the directory of a run, or of a group, holds."""
    return Story(read_metrics(run_dir), described(run_dir), finished_files(run_dir))


WORST_FIRST: tuple[Status, ...] = ("failed", "interrupted", "finished")


def how_it_ended(run_dir: RunDir) -> Status:
    """What a run's last session says; one that was killed has failed, and says nothing.

    A log whose rows count no updates is of no training of ours, and has no sessions. A group has
    ended as its worst member has.
    """
    if is_group(run_dir):
        ended = {how_it_ended(member) for member in members(run_dir)}
        worst: list[Status] = [status for status in WORST_FIRST if status in ended]
        return worst[0] if worst else "finished"
    rows = read_metrics(run_dir)
    if divergence_of(run_dir) is not None:
        return "failed"
    if last := last_session(sessions_of(run_dir), furthest_step(rows)):
        return last.status
    return "failed" if any("update" in row for row in rows) else "finished"


def described(run_dir: RunDir) -> dict[str, Any]:
    """The newest config of a run, with the versions and the commit of its manifest."""
    manifest = run_dir.root / "manifest.json"
    about = read_json(manifest) if manifest.exists() else {}
    known = {key: about[key] for key in ("versions", "commit") if key in about}
    config = run_dir.root / "config.json"
    return {**(run_dir.load_latest_config() if config.exists() else {}), **known}


def finished_files(run_dir: RunDir) -> list[Path]:
    """The figures of a run, the tables of a group, and the best checkpoint if one is marked."""
    best = run_dir.best_checkpoint
    kinds = (*run_dir.artifacts.rglob("*.png"), *run_dir.artifacts.glob("*.csv"))
    return [*sorted(kinds), *([] if best is None else [best])]


def replay(rows: Sequence[Mapping[str, Any]], tracker: Any, until: int) -> None:
    """Tells a tracker the rows of a log up to a step; it leaves out those that it has."""
    last = 0
    for row in rows:
        last = row.get("step", last)
        if last <= until:
            tracker.log(row, last)
