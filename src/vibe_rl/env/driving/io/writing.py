"""Writing sets of scenarios: shards and a manifest, which appear together when all is written."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vibe_rl.env.driving.io.manifest import Manifest, Shard, write_manifest
from vibe_rl.env.driving.io.npz import checksum_of_shard, shard_bytes
from vibe_rl.env.driving.io.split import SplitRule, check_rule
from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario, dims_of, stacked
from vibe_rl.env.driving.scenarios.validate import check, naming_scenario
from vibe_rl.errors import ConfigError, shown, writing
from vibe_rl.run_dir.files import absolute
from vibe_rl.run_dir.plain import plain

Source = Iterable[Scenario | tuple[str, Scenario]]
"""Scenarios, each alone or after the name of its group."""
PER_SHARD = 256


def write_scenarios(
    directory: str | os.PathLike[str],
    scenarios: Source,
    *,
    generator: Mapping[str, Any] | None = None,
    split: SplitRule = SplitRule(),  # noqa: B008 - immutable
    per_shard: int = PER_SHARD,
) -> Manifest:
    """Writes a set of scenarios; only one shard of them is in memory at a time.

    Args:
        directory: must be empty or not there; it appears when all is written, and not at all
            where something fails.
        scenarios: any number, all with the same slots; a pair says the group of its scenario,
            which without one is a group of its own.
        generator: what is written down of where they come from, as JSON.
        split: how groups are divided into training and held out.
        per_shard: scenarios in a file.

    Returns:
        The manifest.

    Raises:
        ConfigError: the directory is not empty; there is no scenario; one is refused by `validate`,
            has other slots than the first, or the uid of another.
    """
    check_no_set(directory)
    check_rule(split)
    if per_shard < 1:
        raise ConfigError(f"per_shard {per_shard}: give at least 1.")
    with appearing(absolute(directory)) as draft:
        files = _Files(draft)
        for item in scenarios:
            group, scenario = (None, item) if isinstance(item, Scenario) else item
            files.add(group, scenario)
            if len(files.waiting) == per_shard:
                files.flush()
        return files.finish(split, plain(generator or {}))


def check_no_set(directory: str | os.PathLike[str]) -> None:
    """Raises ConfigError if there is something where a directory is to be written."""
    path = Path(directory)
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{shown(path)} is a file: name a directory that does not exist.")
    if path.is_dir() and any(path.iterdir()):
        raise ConfigError(f"{shown(path)} is not empty: name a directory that does not exist.")


@contextmanager
def appearing(directory: Path) -> Iterator[Path]:
    """A hidden directory that becomes `directory` when the block ends, or goes if that fails."""
    draft = directory.with_name(f".{directory.name}.{os.getpid()}")
    with writing(directory):
        draft.mkdir(parents=True)
    try:
        yield draft
        with writing(directory):
            draft.replace(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


class _Files:
    """The shards that are being written."""

    def __init__(self, draft: Path):
        self.draft, self.shards = draft, list[Shard]()
        self.waiting = list[Scenario]()
        self.groups, self.families = list[str](), list[str]()
        self.places = dict[int, int]()  # of each uid
        self.dims: Dims | None = None

    def add(self, group: str | None, scenario: Scenario) -> None:
        """Checks a scenario and keeps it for the next shard; without a group it is its own."""
        place = len(self.places)
        check(place, scenario)
        for wrong in self._unlike(scenario):
            raise ConfigError(naming_scenario(place, scenario, wrong))
        uid, family = int(scenario.scenario_uid), FAMILIES[scenario.family]
        self.places[uid] = place
        self.groups.append(f"{family}/{uid}" if group is None else group)
        self.families.append(family)
        self.waiting.append(scenario)

    def _unlike(self, scenario: Scenario) -> Iterator[str]:
        """What keeps a valid scenario from standing beside those before it."""
        dims, uid = dims_of(scenario), int(scenario.scenario_uid)
        self.dims = self.dims or dims
        if dims != self.dims:
            yield f"its {dims} are not those of the first, {self.dims}: give both the same slots."
        if uid in self.places:
            yield f"scenario {self.places[uid]} has the same uid: give each its own."

    def flush(self) -> None:
        """Writes a shard, whose name does not say yet how many there will be."""
        content = shard_bytes(stacked(self.waiting))
        with writing(self.draft):
            (self.draft / f"{len(self.shards)}").write_bytes(content)
        self.shards.append(Shard("", len(self.waiting), checksum_of_shard(content)))
        self.waiting.clear()

    def finish(self, split: SplitRule, generator: Mapping[str, Any]) -> Manifest:
        """Writes what is left, and the manifest."""
        if self.waiting:
            self.flush()
        if self.dims is None:
            raise ConfigError("there is no scenario to write: give at least one.")
        total = len(self.shards)
        for i, shard in enumerate(self.shards):
            self.shards[i] = shard._replace(file=f"shard-{i:05d}-of-{total:05d}.npz")
            with writing(self.draft):
                (self.draft / f"{i}").replace(self.draft / self.shards[i].file)
        ids = list(self.places)
        manifest = Manifest(
            self.dims, self.shards, split, ids, self.groups, self.families, generator
        )
        write_manifest(self.draft, manifest)
        return manifest
