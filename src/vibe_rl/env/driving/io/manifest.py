"""What lies in a directory of scenarios: `manifest.json`, which names and seals every shard."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vibe_rl.env.driving.io.split import Members, SplitRule, members_of_split
from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.driving.scenarios.scenario import DT, Dims
from vibe_rl.errors import ConfigError, reason, shown
from vibe_rl.run_dir.files import write_atomically

MANIFEST = "manifest.json"
FORMAT, VERSION, UNITS = "vibe-scenarios", 1, "m,rad,s"


class Shard(NamedTuple):
    """A file of scenarios."""

    file: str  # its name in the directory
    count: int
    sha256: str


class Manifest(NamedTuple):
    """What is known of a set of scenarios without opening its shards."""

    dims: Dims
    shards: Sequence[Shard]
    split: SplitRule
    ids: Sequence[int]  # of each scenario, in the shards' order
    groups: Sequence[str]  # of each scenario
    families: Sequence[str]  # of each scenario
    generator: Mapping[str, Any]  # where they come from

    def members(self, split: str) -> Members:
        """The scenarios of a split."""
        return members_of_split(self.ids, self.groups, self.split, split)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes `manifest.json`, whole or not at all."""
    entries = {
        "format": FORMAT,
        "version": VERSION,
        "units": UNITS,
        "dt": DT,
        "dims": manifest.dims._asdict(),
        "count": len(manifest.ids),
        "shards": [shard._asdict() for shard in manifest.shards],
        "split": manifest.split._asdict(),
        "ids": manifest.ids,
        "groups": manifest.groups,
        "families": manifest.families,
        "generator": manifest.generator,
    }
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items())
    with write_atomically(directory / MANIFEST) as file:
        file.write(("{\n" + ",\n".join(lines) + "\n}\n").encode())


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a set of scenarios.

    Raises:
        ConfigError: there is none, or it is damaged, contradicts itself or is of another version.
    """
    path = directory / MANIFEST
    try:
        entries = json.loads(path.read_bytes())
        _check_kind(path, entries)
        manifest = _parsed(entries)
    except FileNotFoundError:
        raise ConfigError(
            f"{shown(directory)} has no {MANIFEST}: name a directory of `vibe-rl scenarios`."
        ) from None
    except ConfigError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        raise ConfigError(
            f"{shown(path)} is damaged ({type(error).__name__}: {reason(error)}): copy or write "
            "the set anew."
        ) from None
    _check_whole(path, manifest, entries.get("count"))
    return manifest


def _check_kind(path: Path, entries: Any) -> None:
    if not isinstance(entries, dict) or entries.get("format") != FORMAT:
        raise ConfigError(
            f'{shown(path)} is not of the format "{FORMAT}": name a set of scenarios.'
        )
    if entries.get("version") != VERSION:
        raise ConfigError(
            f"{shown(path)} has version {entries.get('version')} and version {VERSION} is what can "
            "be read: update vibe_rl, or write the set anew."
        )
    if entries.get("units") != UNITS or entries.get("dt") != DT:
        raise ConfigError(
            f"{shown(path)} has units {entries.get('units')!r} and dt {entries.get('dt')}: give "
            f"{UNITS!r} and {DT}."
        )


def _parsed(entries: Mapping[str, Any]) -> Manifest:
    split = entries["split"]
    return Manifest(
        Dims(**{name: int(n) for name, n in entries["dims"].items()}),
        [Shard(str(s["file"]), int(s["count"]), str(s["sha256"])) for s in entries["shards"]],
        SplitRule(str(split["salt"]), float(split["valid_fraction"])),
        [int(uid) for uid in entries["ids"]],
        [str(group) for group in entries["groups"]],
        [str(family) for family in entries["families"]],
        dict(entries["generator"]),
    )


def _check_whole(path: Path, manifest: Manifest, count: Any) -> None:
    """Raises ConfigError where parts of a manifest contradict each other."""
    lengths = {"ids": manifest.ids, "groups": manifest.groups, "families": manifest.families}
    wrong = [f"{len(part)} {name}" for name, part in lengths.items() if len(part) != count]
    in_shards = sum(shard.count for shard in manifest.shards)
    wrong += [f"{in_shards} scenarios in its shards"] if in_shards != count else []
    wrong += ["ids that occur twice"] if len({*manifest.ids}) < len(manifest.ids) else []
    wrong += [f"{s.file!r} as a shard" for s in manifest.shards if Path(s.file).name != s.file]
    wrong += [f"the family {name!r}" for name in sorted({*manifest.families} - {*FAMILIES})]
    wrong += [] if min(manifest.dims) > 0 else [f"{manifest.dims}"]
    fraction = manifest.split.valid_fraction
    wrong += [] if 0 <= fraction <= 1 else [f"the valid_fraction {fraction}"]
    wrong += [] if manifest.ids else ["no scenario"]
    if wrong:
        raise ConfigError(
            f"{shown(path)} counts {count!r} scenarios and has {wrong[0]}: copy or write the set "
            "anew."
        )
