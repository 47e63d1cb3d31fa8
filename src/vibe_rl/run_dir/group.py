"""Groups of runs: many seeds, sweeps, whose settings have some seeds each, and populations."""

import os
from collections.abc import Iterable
from pathlib import Path

from vibe_rl.errors import ConfigError, shown
from vibe_rl.run_dir.directory import RunDir, find_runs
from vibe_rl.run_dir.divergence import divergence_of

AnyPath = str | os.PathLike[str]
"""Of a run, a group or a file; here, as `vibe_rl.types` imports JAX and reading needs none."""


def is_group(path: AnyPath) -> bool:
    """Whether it is a group of runs."""
    return (Path(path) / "members").is_dir()


def check_single(path: AnyPath) -> None:
    """Raises ConfigError if a group is given where a single run is meant."""
    if is_group(path):
        raise ConfigError(
            f"{shown(path)} is a group of runs: name one of its members, or resume all by "
            "resume_seeds, resume_sweep or resume_population."
        )


def is_sweep(path: AnyPath) -> bool:
    """Whether it is a group with several settings."""
    return (Path(path) / "sweep.json").exists()


def is_population(path: AnyPath) -> bool:
    """Whether it is a group whose members exchange states."""
    return (Path(path) / "population.json").exists()


def group_of(run: AnyPath) -> Path | None:
    """The directory of the group that a run is a member of; None for a single run."""
    folder = Path(run).absolute().parent
    return folder.parent if folder.name == "members" else None


def members(path: AnyPath) -> list[RunDir]:
    """The runs of a group, by name; of a single run none."""
    return find_runs(Path(path) / "members")


def by_setting(runs: Iterable[RunDir]) -> list[RunDir]:
    """The runs in the order of their settings, the seeds of each setting together."""
    return sorted(runs, key=setting_of)


def setting_of(run: AnyPath) -> str:
    """What the name of a member holds before its seed; nothing where only seeds differ."""
    return Path(run).name.rpartition("_seed_")[0]


def why_diverged(run: AnyPath) -> str | None:
    """What in a run became NaN or infinite; None if nothing did."""
    divergence = divergence_of(RunDir.open(run))
    return None if divergence is None else divergence.reason
