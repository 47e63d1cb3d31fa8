"""What scenarios can be imported from, by name."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from vibe_rl.env.driving.io.loading import Folder
from vibe_rl.env.driving.io.scenarionet.reading import read_scenarionet
from vibe_rl.env.driving.io.tables.files import read_tables
from vibe_rl.env.driving.io.womd.reading import read_womd
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario
from vibe_rl.errors import ConfigError, unknown

Importer = Callable[[Folder, Dims], Iterator[tuple[str, Scenario]]]
"""A path and slots to scenarios, each after the name of its group."""
IMPORTERS: Mapping[str, Importer] = {
    "csv": partial(read_tables, "csv"),
    "parquet": partial(read_tables, "parquet"),
    "scenarionet": read_scenarionet,
    "womd": read_womd,
}


def importer(kind: str) -> Importer:
    """The importer of this name; ConfigError if there is none."""
    if kind not in IMPORTERS:
        raise unknown("kind of import", kind, IMPORTERS)
    return IMPORTERS[kind]


def parse_dims(text: str) -> Dims:
    """Slots such as `N=32,P=4000`; those that are not named are the usual ones.

    Raises:
        ConfigError: the text is not like that.
    """
    pairs = [pair.partition("=") for pair in text.replace(" ", "").split(",") if pair]
    for axis, _, size in pairs:
        if axis not in Dims._fields:
            raise unknown("axis", axis, Dims._fields)
        if not size.isdecimal() or int(size) < 1:
            raise ConfigError(f"slots {axis}={size}: give a whole number of at least 1.")
    return Dims(**{axis: int(size) for axis, _, size in pairs})
