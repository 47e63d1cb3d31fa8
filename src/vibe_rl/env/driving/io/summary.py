"""What a set of scenarios holds, and one of them, as lines to print."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vibe_rl.env.driving.io.loading import bounds, shard
from vibe_rl.env.driving.io.manifest import Manifest
from vibe_rl.env.driving.scenarios.codes import EDGES, LANES
from vibe_rl.env.driving.scenarios.scenario import DT, EGO, Scenario, bytes_of, chosen
from vibe_rl.env.driving.scenarios.validate import problems_of_scenario
from vibe_rl.errors import ConfigError, shown
from vibe_rl.system.memory import format_bytes, free_on_host

_USERS = ("unset", "vehicles", "pedestrians", "cyclists", "others")


def summary_of_set(path: Path, manifest: Manifest) -> list[str]:
    """Families, groups, splits and memory of a set, a line each; opens no shard."""
    shards = [path / each.file for each in manifest.shards]
    missing = [file for file in shards if not file.exists()]
    if missing:
        raise ConfigError(f"there is no {shown(missing[0])}: copy the set of scenarios anew.")
    on_disk = format_bytes(sum(file.stat().st_size for file in shards))
    train, valid = (manifest.members(split) for split in ("train", "valid"))
    memory = [format_bytes(bytes_of(len(x), manifest.dims)) for x in (train.ids, valid.ids)]
    slots = ", ".join(f"{axis} {size}" for axis, size in manifest.dims._asdict().items())
    return [
        f"Set | {shown(path)} | {len(manifest.ids):,} scenarios in {len(shards):,} shards, "
        f"{on_disk} on disk",
        f"Families | {counted(manifest.families)}",
        f"Groups | {len({*manifest.groups}):,}",
        f"Split | {len(train.ids):,} to train with, {len(valid.ids):,} held out (salt "
        f"{manifest.split.salt}, valid_fraction {manifest.split.valid_fraction:g})",
        f"Memory | {memory[0]} to train with, {memory[1]} held out; {format_bytes(free_on_host())} "
        "are free here",
        f"Slots | {slots}",
        f"From | {manifest.generator or 'unknown'}",
    ]


def summary_of_scenario(s: Scenario) -> list[str]:
    """Road users, drive, map and what is wrong with a scenario, a line each."""
    users = s.log_valid.any(1)
    kinds = counted(_USERS[kind] if 0 <= kind < len(_USERS) else "?" for kind in s.obj_type[users])
    drive = s.log_xy[EGO, s.log_valid[EGO]]
    metres = float(np.linalg.norm(np.diff(drive, axis=0), axis=1).sum())
    seconds = DT * (s.log_valid.shape[1] - 1)
    kept = s.map_type[s.map_valid]
    points = f"{np.isin(kept, LANES).sum():,} of lanes, {np.isin(kept, EDGES).sum():,} of edges"
    return [
        f"Road users | {kinds}; {int(s.reactive.sum())} react",
        f"Ego | {metres:.1f} m in {seconds:.1f} s",
        f"Map | {len(kept):,} points: {points}; {int(s.light_valid.sum())} lights",
        f"Ways | {int(s.path_valid.any(1).sum())} paths of the ego, {int((s.route_len > 0).sum())} "
        "routes",
        *(f"Problem | {problem}" for problem in problems_of_scenario(s)),
    ]


def counted(names: Iterable[str]) -> str:
    """How often each name occurs, such as `3 vehicles, 1 pedestrians`."""
    return (
        ", ".join(f"{count:,} {name}" for name, count in sorted(Counter(names).items())) or "none"
    )


def find_scenario(path: Path, manifest: Manifest, uid: int) -> Scenario:
    """The scenario with this uid; ConfigError if there is none."""
    if uid not in manifest.ids:
        raise ConfigError(
            f"{shown(path)} has no scenario {uid}: its first is {manifest.ids[0]}, see ids in its "
            "manifest."
        )
    place = manifest.ids.index(uid)
    number = next(i for i, (_, end) in enumerate(bounds(manifest)) if place < end)
    return chosen(shard(path, manifest, number), place - bounds(manifest)[number][0])
