"""Runs and groups of a directory at a glance: how each stands, as its files and its lock say."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.errors import ConfigError, reason
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.group import AnyPath, is_group
from vibe_rl.run_dir.notes import health_of, last_session, sessions_of
from vibe_rl.system.lock import is_locked
from vibe_rl.tracking.jsonl import furthest_step, read_metrics

STATES = ("running", "broken", "died", "diverged", "interrupted", "finished")
"""What a run may be; of a group, its members' first in this order."""
LAST_RETURNS = ("episode_return_mean", "episode_return")


class Listed(NamedTuple):
    """A run, or a group of them."""

    name: str
    state: str  # of STATES
    step: int | None  # env steps that were made; of a group, of all members
    total: int | None  # env steps that it is to make
    best: float | int | None  # the best evaluation's mean return
    last: float | int | None  # the last return of training; of a group, the members' mean
    began: float  # seconds since 1970
    size: int  # bytes on the disk
    members: int | None = None  # of a group
    note: str = ""  # what is broken, or how many members are in which state


def list_runs(base_dir: AnyPath = "runs") -> list[Listed]:
    """The runs and groups in a directory, or the members of a group, by when they began.

    Raises:
        ConfigError: there is no such directory.
    """
    base = Path(base_dir)
    if not base.is_dir():
        raise ConfigError(f"{base} is no directory: name one that holds runs.")
    folder = base / "members" if is_group(base) else base
    found = [_listed(path) for path in folder.iterdir() if looks_like_run(path)]
    return sorted(found, key=lambda run: (run.began, run.name))


def looks_like_run(path: Path) -> bool:
    """Whether a directory holds what those of runs hold."""
    return path.is_dir() and any((path / name).exists() for name in ("logs", "config.json"))


def _listed(path: Path) -> Listed:
    """A run or a group, whatever is wrong with its files."""
    try:
        return of_group(path) if is_group(path) else _of_run(path)
    except (ConfigError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        nothing = None, None, None, None
        return Listed(
            path.name, "broken", *nothing, began(path), _size_of(path), note=reason(error)
        )


def _of_run(path: Path) -> Listed:
    """A run, as its log and its notes say."""
    run_dir = RunDir.open(path)
    config, rows = config_of(run_dir), read_metrics(run_dir)
    last = [row[name] for row in rows for name in LAST_RETURNS if row.get(name) is not None]
    return Listed(
        name=path.name,
        state=state_of(run_dir, config, step := furthest_step(rows)),
        step=step,
        total=config.get("runner", {}).get("total_timesteps"),
        best=max(
            (r["eval_return"] for r in rows if r.get("eval_return") is not None), default=None
        ),
        last=last[-1] if last else None,
        began=began(path),
        size=_size_of(path),
    )


def config_of(run_dir: RunDir) -> dict[str, Any]:
    """The newest config of a run; empty where none was recorded."""
    exists = (run_dir.root / "config.json").exists()
    return run_dir.load_latest_config() if exists else {}


def state_of(run_dir: RunDir, config: dict[str, Any], step: int) -> str:
    """How a run stands whose last row is of this env step."""
    elsewhere = config.get("runner", {}).get("checkpoint_dir")
    if is_locked(run_dir.checkpoints if elsewhere is None else Path(elsewhere)):
        return "running"
    if divergence_of(run_dir) is not None:
        return "diverged"
    last = last_session(sessions_of(run_dir), step)
    if last is None:
        return "died"
    if last.status != "failed":
        return last.status
    return "diverged" if any(x.rule == "non_finite" for x in health_of(run_dir)) else "died"


def of_group(path: Path) -> Listed:
    """A group, by its members."""
    runs = list_runs(path)
    counts = Counter(run.state for run in runs)
    state = next((state for state in STATES if counts[state]), "died")
    return Listed(
        name=path.name,
        state="running" if is_locked(path / "checkpoints") else state,
        step=over(sum, [run.step for run in runs]),
        total=over(sum, [run.total for run in runs]),
        best=over(max, [run.best for run in runs]),
        last=over(_mean, [run.last for run in runs]),
        began=began(path),
        size=_size_of(path),
        members=len(runs),
        note=", ".join(f"{counts[state]} {state}" for state in STATES if counts[state]),
    )


def over(reduce: Callable[[Sequence[Any]], Any], values: Iterable[Any]) -> Any:
    """What is known of them, reduced; None if nothing is."""
    known = [value for value in values if value is not None]
    return reduce(known) if known else None


def _mean(values: Sequence[float | int]) -> float:
    """Their mean."""
    return sum(values) / len(values)


def began(path: Path) -> float:
    """When the directory got its config, or was changed last, in seconds since 1970."""
    with suppress(OSError):
        return (path / "config.json").stat().st_mtime
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _size_of(path: Path) -> int:
    """Bytes of all files below; those that vanish meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
