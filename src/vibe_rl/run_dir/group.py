"""Groups of runs: many seeds, sweeps, whose settings have some seeds each, and populations."""

import os
from pathlib import Path

from vibe_rl.run_dir.directory import RunDir, find_runs
from vibe_rl.run_dir.divergence import divergence_of


def is_group(path: str) -> bool:
    """Whether it is a group of runs."""
    return (Path(path) / "members").is_dir()


def is_sweep(path: str) -> bool:
    """Whether it is a group with several settings."""
    return (Path(path) / "sweep.json").exists()


def is_population(path: str) -> bool:
    """Whether it is a group whose members exchange states."""
    return (Path(path) / "population.json").exists()


def members_of(path: str) -> list[str]:
    """The runs of a group, each setting's together; of a single run none."""
    from vibe_rl.run_dir.directory import find_runs  # noqa: PLC0415

    return sorted((str(run) for run in find_runs(Path(path) / "members")), key=setting_of)


def setting_of(member: str) -> str:
    """What the name of a member says before its seed; nothing where only seeds differ."""
    return Path(member).name.rpartition("_seed_")[0]


def why_diverged(member: str) -> str | None:
    """What of a member was not finite; None if it is sound."""
    from vibe_rl.run_dir.directory import RunDir  # noqa: PLC0415

    divergence = divergence_of(RunDir.open(member))
    return None if divergence is None else divergence.reason


def tell_divergences(path: str) -> None:
    """A line for every member that diverged."""
    for member in members_of(path):
        reason = why_diverged(member)
        if reason is not None:
            print(f"Diverged | {Path(member).name}: {reason}")


def members(path: str | os.PathLike[str]) -> list[RunDir]:
    """The runs of a group; of a single run none."""
    return find_runs(Path(path) / "members")
