"""Loading sets of scenarios: into a bank, if the memory is there, or one after another."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vibe_rl.env.driving.io.manifest import Manifest, read_manifest
from vibe_rl.env.driving.io.npz import read_shard
from vibe_rl.env.driving.io.split import Members, at_most, check_disjoint
from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.driving.scenarios.scenario import (
    Dims,
    Scenario,
    bytes_of,
    chosen,
    dtype_of,
    shape_of,
)
from vibe_rl.env.driving.scenarios.validate import check
from vibe_rl.errors import ConfigError, shown
from vibe_rl.system.memory import format_bytes, free_on_device, free_on_host
from vibe_rl.system.notices import say_once

Folder = str | os.PathLike[str]


class Banks(NamedTuple):
    """Scenarios to train with and those held out."""

    train: Scenario
    valid: Scenario


def load_bank(path: Folder, split: str = "train", limit: int | None = None) -> Scenario:
    """The scenarios of a set in one bank, in the host's memory.

    What it takes is said before, and refused where it is more than there is here or on the device.

    Args:
        path: a directory that `write_scenarios` wrote.
        split: "train", "valid" or "all".
        limit: the most scenarios, chosen by a hash; None takes all of the split.

    Raises:
        ConfigError: there is no such set or split, no scenario in it, a shard is damaged, a
            scenario is refused by `validate`, or the memory is not there.
    """
    manifest = read_manifest(Path(path))
    check_disjoint(manifest.members("train"), manifest.members("valid"))
    return _loaded(Path(path), manifest, _wanted(Path(path), manifest, split, limit), split)


def load_banks(
    train: Folder,
    valid: Folder | None = None,
    *,
    limit: int | None = None,
    valid_limit: int | None = None,
) -> Banks:
    """The scenarios to train with and those held out, which have no group in common.

    Args:
        train: a set.
        valid: another, all of which is held out, and nothing of `train`; None holds out the split
            "valid" of `train`.
        limit, valid_limit: see `load_bank`.

    Raises:
        ConfigError: as `load_bank`; or both have a scenario or a group in common.
    """
    first, second = Path(train), Path(train if valid is None else valid)
    sides = ("train", "valid") if valid is None else ("all", "all")
    of_train, of_valid = read_manifest(first), read_manifest(second)
    check_disjoint(of_train.members(sides[0]), of_valid.members(sides[1]))
    wanted = _wanted(first, of_train, sides[0], limit)
    held_out = _wanted(second, of_valid, sides[1], valid_limit)
    return Banks(
        _loaded(first, of_train, wanted, sides[0]), _loaded(second, of_valid, held_out, sides[1])
    )


def iterate(path: Folder, split: str = "all") -> Iterator[Scenario]:
    """The scenarios of a split, one after another; only one shard is in memory at a time."""
    manifest = read_manifest(Path(path))
    places = manifest.members(split).places
    for i, (begin, end) in enumerate(bounds(manifest)):
        inside = places[(places >= begin) & (places < end)] - begin
        if inside.size:
            bank = shard(Path(path), manifest, i)
            yield from (chosen(bank, row) for row in inside)


def bounds(manifest: Manifest) -> list[tuple[int, int]]:
    """The places of each shard's scenarios in their set: the first, and the first of the next."""
    ends = np.cumsum([each.count for each in manifest.shards]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def check_rows(bank: Scenario, rows: np.ndarray, first: int) -> None:
    """Raises ConfigError for the first of some scenarios of a shard that `validate` refuses.

    Args:
        bank: of the shard.
        rows: which of it.
        first: the place of its first scenario in the set.
    """
    for row in rows.tolist():
        check(first + row, chosen(bank, row))


def shard(path: Path, manifest: Manifest, number: int) -> Scenario:
    """The bank of one shard; ConfigError if it is damaged or not what the manifest says."""
    file, count, sha256 = manifest.shards[number]
    bank = read_shard(path / file, sha256, count, manifest.dims)
    begin, end = bounds(manifest)[number]
    families = [FAMILIES.index(name) for name in manifest.families[begin:end]]
    known = list(manifest.ids[begin:end]), families
    if (bank.scenario_uid.tolist(), bank.family.tolist()) != known:
        raise ConfigError(
            f"{shown(path / file)} holds other scenarios than its manifest says: write the set "
            "anew."
        )
    return bank


def _wanted(path: Path, manifest: Manifest, split: str, limit: int | None) -> Members:
    if limit is not None and limit < 1:
        raise ConfigError(f"limit {limit}: give at least 1, or None for all.")
    found = at_most(manifest.members(split), limit, manifest.split)
    if not found.ids:
        raise ConfigError(
            f"{shown(path)} has no scenario of the split {split!r}: add scenarios, write it with "
            f"another valid_fraction than {manifest.split.valid_fraction:g}, take split all, or "
            "name another set, as path_dataset_eval."
        )
    return found


def _loaded(path: Path, manifest: Manifest, wanted: Members, split: str) -> Scenario:
    """The bank of these places."""
    count = len(wanted.ids)
    largest = max(each.count for each in manifest.shards)
    check_room(f"{count:,} scenarios of {shown(path)}", count, manifest.dims, largest)
    held_out = len(manifest.members("valid").ids)
    say_once(
        f"{shown(path)}: {len(manifest.ids) - held_out:,} scenarios to train with and {held_out:,} "
        f"held out; {count:,} ({split}) take {format_bytes(bytes_of(count, manifest.dims))}."
    )
    bank = Scenario(
        *(
            np.empty((count, *shape_of(field, manifest.dims)), dtype_of(field))
            for field in Scenario._fields
        )
    )
    for i, (begin, end) in enumerate(bounds(manifest)):
        rows = np.flatnonzero((wanted.places >= begin) & (wanted.places < end))
        if rows.size:
            _fill(bank, rows, shard(path, manifest, i), wanted.places[rows], begin)
    return bank


def _fill(
    bank: Scenario, rows: np.ndarray, source: Scenario, places: np.ndarray, begin: int
) -> None:
    """Takes scenarios from a shard that begins at a place, once all of them are valid."""
    inside = places - begin
    check_rows(source, inside, begin)
    for array, part in zip(bank, source, strict=True):
        array[rows] = part[inside]


def check_room(what: str, count: int, dims: Dims, per_shard: int) -> None:
    """Raises ConfigError if the host, or the device, cannot hold so many scenarios.

    Args:
        what: they are, at the head of the sentence.
        count: of them.
        dims: their slots.
        per_shard: those of the largest file, which are held twice while it is read.
    """
    one = bytes_of(1, dims)
    rooms = {"here": free_on_host() - one * per_shard, "on the device": free_on_device()}
    for where, free in rooms.items():
        if count * one > free:
            most = free // one
            fewer = f"give a limit of at most {most:,}, or " if most > 0 else ""
            raise ConfigError(
                f"{what} take {format_bytes(count * one)} and {format_bytes(max(free, 0))} are "
                f"free {where}: {fewer}use a ScenarioStream, as scenarios.stream=1024 does."
            )
