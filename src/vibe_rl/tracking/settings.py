"""What the trackers of one run are told besides its rows: `tracking.json` in its directory.

It stays there, so that a run that is resumed, or sent later, has the same names and places:

    names   metrics under other names, see `Renamed`
    sums    further metrics, each a weighted sum of others
    wandb   project, entity, and whether files are sent
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from typing_extensions import override

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import read_json, write_atomically
from vibe_rl.tracking.base import Status, Tracker
from vibe_rl.tracking.renamed import names_elsewhere, rename

FILE = "tracking.json"
Sums = Mapping[str, Mapping[str, float]]
"""By the new metric's name, the weights of those that it is made of."""


@dataclass(frozen=True)
class WandbSettings:
    """Where a run of Weights & Biases is, and whether it gets files."""

    project: str | None = None
    entity: str | None = None
    artifacts: bool = True


@dataclass(frozen=True)
class TrackingSettings:
    """What a run tells its trackers."""

    names: Mapping[str, Any] = field(default_factory=dict)
    sums: Sums = field(default_factory=dict)
    wandb: WandbSettings = field(default_factory=WandbSettings)


class Translated(Tracker):
    """A tracker that gets rows as the settings of its run say.

    Args:
        tracker: what gets them.
        settings: see `TrackingSettings`.
        keep_others: whether metrics without another name come under their own, or not.
    """

    def __init__(self, tracker: Any, settings: TrackingSettings, *, keep_others: bool = True):
        self._tracker, self._sums, self._keep_others = tracker, settings.sums, keep_others
        self._names = {
            ours: names_elsewhere(ours, theirs) for ours, theirs in settings.names.items()
        }

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        row = {**weighted_sums(metrics, self._sums), **metrics}
        self._tracker.log(rename(row, self._names, self._keep_others), step)

    @override
    def log_config(self, config: Mapping[str, Any]) -> None:
        self._tracker.log_config(config)

    @override
    def log_file(self, path: str | os.PathLike[str]) -> None:
        self._tracker.log_file(path)

    @override
    def rewind(self, step: int) -> None:
        self._tracker.rewind(step)

    def flush(self) -> None:
        """Sends the rows that have gathered."""
        getattr(self._tracker, "flush", lambda: None)()

    @override
    def close(self, status: Status = "finished") -> None:
        self._tracker.close(status)


def weighted_sums(metrics: Mapping[str, Any], sums: Sums) -> dict[str, float]:
    """The sums of which a row has every part."""
    return {
        name: sum(weight * metrics[part] for part, weight in weights.items())
        for name, weights in sums.items()
        if all(metrics.get(part) is not None for part in weights)
    }


def read_settings(run_dir: RunDir) -> TrackingSettings:
    """The settings of a run; the defaults if it has none."""
    path = run_dir.root / FILE
    if not path.exists():
        return TrackingSettings()
    found = read_json(path)
    return TrackingSettings(found["names"], found["sums"], WandbSettings(**found["wandb"]))


def write_settings(run_dir: RunDir, settings: TrackingSettings) -> None:
    """Keeps the settings of a run in its directory."""
    with write_atomically(run_dir.root / FILE) as file:
        file.write(json.dumps(asdict(settings), indent=2).encode() + b"\n")
