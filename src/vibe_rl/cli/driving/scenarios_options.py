"""The options of `vibe-rl scenarios`."""

from dataclasses import dataclass

import tyro

from vibe_rl.env.driving.knobs import Knobs
from vibe_rl.errors import Typed, check_bounds
from vibe_rl.types import number


@dataclass(frozen=True, kw_only=True)
class OutputOptions(Typed):
    """Where a set of scenarios is written, and what of it is held out."""

    out: str
    """The directory; must not exist, or be empty."""
    valid_fraction: float = number(0.1, least=0, most=1)
    """Of the groups, about, that are held out."""
    salt: str = "vibe"
    """Another one holds out other groups."""

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self, "--")


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(OutputOptions, Knobs):
    """Scenarios of the procedural generator, the same for the same seed."""

    section = "--"

    count: int = number(1000, least=1)
    """How many."""
    seed: int = number(0, least=0)
    """Of all random numbers."""
    families: str = "highway,merge,intersection,roundabout"
    """Kinds of scenes, with commas between them."""
    processes: int = number(1, least=1)
    """That generate at the same time; the scenes are the same."""


@dataclass(frozen=True, kw_only=True)
class ImportOptions(OutputOptions):
    """Scenarios from files that others have recorded or written."""

    source: tyro.conf.Positional[str]
    """The file or directory."""
    kind: str
    """What is in it: csv or parquet, tables; scenarionet, pickles; womd, TFRecords."""
    slots: str = ""
    """Of the arrays, where the usual ones are too few: N=32,P=4000."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions(Typed):
    """A set as five tables; routes, conflicts and who yields are not in them."""

    path: tyro.conf.Positional[str]
    """A set of scenarios."""
    kind: str
    """csv or parquet."""
    out: str
    """The directory; must not exist, or be empty."""


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Typed):
    """What a set of scenarios holds."""

    path: tyro.conf.Positional[str]
    """A set of scenarios."""
    uid: int | None = None
    """Of one of them, to show that instead."""
    png: str | None = None
    """Draws it, or the first, into this file."""
