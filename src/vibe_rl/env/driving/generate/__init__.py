"""Scenes of highways, merges, intersections and roundabouts, made at random by a seed."""

import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import jax

from vibe_rl.env.driving.generate.making import WantedScene, made
from vibe_rl.env.driving.knobs import Knobs
from vibe_rl.env.driving.scenarios.codes import GENERATED
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario
from vibe_rl.errors import ConfigError, unknown

PIECE = 32
"""Scenes that a process makes at a time."""

__all__ = ["GENERATED", "Knobs", "generate"]


def generate(
    seed: int,
    count: int,
    families: Sequence[str] = GENERATED,
    knobs: Knobs = Knobs(),  # noqa: B008 - immutable
    processes: int = 1,
    dims: Dims = Dims(),  # noqa: B008 - immutable
) -> Iterator[tuple[str, Scenario]]:
    """Scenes in a fixed order, each with its group, `family/seed/index`.

    A scene is the same for its seed, family, index and knobs, whatever the count, the families and
    the number of processes are; on another kind of machine or device up to rounding.

    Args:
        seed: 0 or more.
        count: how many.
        families: names among `GENERATED`, mixed by the shares of the knobs.
        knobs: how hard the scenes are.
        processes: that work at the same time, on CPUs; with 1, this one.
        dims: slots, at least those of the default.

    Raises:
        ConfigError: a family does not exist or has no share; no scene can be driven with the knobs.
    """
    _check(seed, count, families, processes)
    wanted = islice(_order(seed, families, knobs), count)
    if processes == 1:
        return made(wanted, knobs, dims)
    return _by_processes(wanted, partial(_made_list, knobs=knobs, dims=dims), processes)


def _check(seed: int, count: int, families: Sequence[str], processes: int) -> None:
    if not families:
        raise ConfigError(f"families (): name some of {', '.join(GENERATED)}.")
    for family in families:
        if family not in GENERATED:
            raise unknown("family", family, GENERATED)
    if min(seed, count) < 0 or processes < 1:
        raise ConfigError(
            f"seed {seed}, count {count}, processes {processes}: give 0 or more, and at least one "
            "process."
        )


def _order(seed: int, families: Sequence[str], knobs: Knobs) -> Iterator[WantedScene]:
    """Without end: always the family that lacks most of its share."""
    shares: Mapping[str, float] = {family: getattr(knobs, family) for family in families}
    whole = sum(shares.values())
    if whole <= 0:
        raise ConfigError("knobs: the shares of the families are all 0: give one of them more.")
    taken = dict.fromkeys(shares, 0)
    while True:
        total = sum(taken.values()) + 1
        family = max(shares, key=lambda f: shares[f] / whole * total - taken[f])
        yield WantedScene(seed, family, taken[family])
        taken[family] += 1


def _made_list(wanted: list[WantedScene], knobs: Knobs, dims: Dims) -> list[tuple[str, Scenario]]:
    return list(made(wanted, knobs, dims))


def _by_processes(
    wanted: Iterable[WantedScene], make: partial[list[tuple[str, Scenario]]], processes: int
) -> Iterator[tuple[str, Scenario]]:
    wanted = iter(wanted)
    pieces = iter(lambda: list(islice(wanted, PIECE)), [])
    with multiprocessing.get_context("spawn").Pool(processes, _stay_on_cpu) as pool:
        for piece in pool.imap(make, pieces):
            yield from piece


def _stay_on_cpu() -> None:
    """A process that makes scenes takes nothing of a GPU's memory."""
    jax.config.update("jax_platforms", "cpu")
