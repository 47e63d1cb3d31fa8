"""Metrics under other names, for one of several trackers: the run's own log keeps ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from vibe_rl.errors import ConfigError
from vibe_rl.tracking.base import LogBackend, Tee


class Renamed(Tee):
    """A tracker that gets metrics under the names of a table.

    Args:
        tracker: what gets them.
        table: from our name of a metric to theirs, or to several of theirs. Where two of ours have
            one name, and a row has both, the one that is later in the table counts.
        keep_others: whether metrics that are not in the table come under their own names, or not.

    Raises:
        ConfigError: the table has something else than names.
    """

    def __init__(
        self,
        tracker: LogBackend,
        table: Mapping[str, str | Sequence[str]],
        *,
        keep_others: bool = True,
    ):
        super().__init__(tracker)
        self._theirs = {ours: names_elsewhere(ours, theirs) for ours, theirs in table.items()}
        self._keep_others = keep_others

    @override
    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        row = rename(metrics, self._theirs, self._keep_others)
        if row:
            super().log(row, step)


def rename(
    metrics: Mapping[str, Any], theirs: Mapping[str, Sequence[str]], keep_others: bool
) -> dict[str, Any]:
    """A row under the names of a table, later entries of which win; see `Renamed`."""
    row = {name: x for name, x in metrics.items() if keep_others and name not in theirs}
    for ours, names in theirs.items():
        if ours in metrics:
            row |= dict.fromkeys(names, metrics[ours])
    return row


def names_elsewhere(ours: str, theirs: str | Sequence[str]) -> tuple[str, ...]:
    """The names that a metric has elsewhere."""
    several = isinstance(theirs, Sequence) and not isinstance(theirs, str)
    names: tuple[Any, ...] = tuple(theirs) if several else (theirs,)
    if not names or not all(isinstance(name, str) and name for name in (ours, *names)):
        raise ConfigError(f"Renamed: {ours!r} becomes {theirs!r}: give a name, or several.")
    return names
