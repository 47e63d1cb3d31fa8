"""How an environment wants its metrics reduced, and names of columns that say so.

`episode_metrics` and `step_metrics`, attributes of an environment or of a layer around it, are
tables such as `{"highest_stage": "max"}`. What is in none of them is averaged: metrics of steps
over the steps, those of episodes over the episodes that ended.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from vibe_rl.env.wrappers import layers

REDUCTIONS = ("mean", "max", "min", "sum")
"""What a table may say."""
TABLES = {"metrics": "step_metrics", "episode": "episode_metrics"}
"""The attribute that says how the scalars of such an entry of `info` are reduced."""


class _Column(NamedTuple):
    """A metric of the environment's own, and the column of figures that chunks have of it."""

    entry: str  # of info
    how: str
    name: str

    @property
    def plain(self) -> bool:
        """Whether it is reduced as all metrics are, so that nothing needs to be said of it."""
        return self.entry == "metrics" and self.how == "mean"

    def __str__(self) -> str:
        """The name of the column."""
        return self.name if self.plain else f"{self.entry} {self.how} {self.name}"

    @property
    def row_name(self) -> str:
        """What the reduced metric is called in rows."""
        return self.name if self.plain else f"{self.name}_{self.how}"

    @property
    def names(self) -> set[str]:
        """All that it is called in rows: of updates, of evaluations, of single episodes."""
        of_episodes = {self.name, f"eval_{self.row_name}"} if self.entry == "episode" else set()
        return {self.row_name, *of_episodes}


def column(name: str) -> _Column | None:
    """The column of this name; None for a plain metric, of which rows have the mean."""
    entry, _, rest = name.partition(" ")
    how, _, own = rest.partition(" ")
    return _Column(entry, how, own) if entry in TABLES and how in REDUCTIONS else None


def reductions(env: Any, entry: str) -> dict[str, str]:
    """What an environment and its layers say of an entry of `info`; the outermost wins."""
    merged: dict[str, str] = {}
    for layer in layers(env):
        merged = dict(getattr(layer, TABLES[entry], {})) | merged
    return merged


def columns(env: Any, info: Mapping[str, Any], entry: str) -> dict[_Column, Any]:
    """The scalars of an entry of `info`, by their columns."""
    table = reductions(env, entry)
    scalars = info.get(entry, {})
    return {
        _Column(entry, table.get(name, "mean"), name): scalars[name] for name in sorted(scalars)
    }


def named_columns(env: Any, info: Mapping[str, Any], entry: str) -> dict[str, Any]:
    """The same by the names of their columns."""
    return {str(own): value for own, value in columns(env, info, entry).items()}


def unfit_tables(env: Any, info: Mapping[str, Any]) -> Iterator[str]:
    """What cannot work of the tables for the scalars of `info`, one sentence each."""
    for entry, attribute in TABLES.items():
        for name, how in reductions(env, entry).items():
            if how not in REDUCTIONS:
                yield f"{attribute} says {how!r} of {name}: say {', '.join(REDUCTIONS)}."
            elif name not in info.get(entry, {}):
                there = f'info["{entry}"]'
                yield f"{attribute} names {name}, which {there} lacks: write it there every step."


def taken_names(env: Any, info: Mapping[str, Any], taken: Iterable[str]) -> Iterator[str]:
    """A sentence for each scalar of `info` whose name in rows is `taken`, or another's."""
    used = set(taken)
    for entry in TABLES:
        for own in columns(env, info, entry):
            if used & own.names or column(own.name) is not None:
                where = f'info["{entry}"][{own.name!r}]'
                yield f"{where} has a name that is taken: rename it, such as env_{own.name}."
            used |= own.names
