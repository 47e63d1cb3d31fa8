"""Where a training is written: its run directory and its models, new or gone on with."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vibe_rl.errors import shown
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.manifest import versions
from vibe_rl.system.lock import lock_directory
from vibe_rl.system.notices import say_once
from vibe_rl.tracking.jsonl import read_metrics, rewind
from vibe_rl.trainers.sb3.loading import hyperparameters_of
from vibe_rl.trainers.sb3.models import Models, check_model_writable
from vibe_rl.trainers.sb3.settings import Settings

NAME = "maskable_ppo_hack"
"""What the names of runs begin with."""
PACKAGES = ("torch", "stable_baselines3", "sb3_contrib", "gymnasium")


@dataclass(frozen=True)
class Place:
    """Where a run is written, and what of it was there before."""

    run_dir: RunDir
    models: Models
    step: int | None  # where it resumes; None for a new run
    rows: Sequence[Mapping[str, Any]]  # of its log, up to that step

    @property
    def episodes(self) -> int:
        """How many have ended before."""
        return sum("episode_return" in row for row in self.rows)

    @property
    def best_return(self) -> float | None:
        """Of the evaluations before, if their best model is there."""
        returns = [row["eval_return"] for row in self.rows if "eval_return" in row]
        there = self.models.path("best").exists()
        return max(returns, default=None) if there else None


@contextmanager
def open_place(settings: Settings, step: int | None) -> Iterator[Place]:
    """The directories of the run, locked; what is later than where it resumes is set aside.

    Args:
        settings: which name the directories.
        step: where the run resumes; None for a new run.
    """
    run_dir, models = directories(settings)
    with lock_directory(run_dir.checkpoints):
        if step is None:
            yield Place(run_dir, models, None, ())
            return
        for path in (rewind(run_dir.log_path(), step), models.set_aside_after(step)):
            if path is not None:
                say_once(f"what was made after env step {step} is in {shown(path)}.")
        yield Place(run_dir, models, step, read_metrics(run_dir))


def directories(settings: Settings) -> tuple[RunDir, Models]:
    """The run's directory and its folder of models: new ones, or those of the model resumed."""
    if settings.resume is not None:
        folder = Path(settings.resume).absolute().parent
        named = Path(settings.log_dir, folder.name)
        if (named / "logs").is_dir():
            check_model_writable(folder)
            return RunDir.open(named), Models(folder)
        say_once(f"{shown(named)} is no run directory, so what goes on is a new run.")
    check_model_writable(Path(settings.model_dir))  # before hours of training end there
    name = "_".join(filter(None, (NAME, settings.run_suffix)))
    run_dir = RunDir(name, settings.log_dir)
    return run_dir, Models(Path(settings.model_dir, run_dir.root.name))


def record_place(settings: Settings, place: Place, model: Any) -> None:
    """Writes down what is trained, and with what."""
    new = not (place.run_dir.root / "config.json").exists()
    save = place.run_dir.save_config if new else place.run_dir.save_next_config
    save(description_of_training(settings, model))
    place.run_dir.save_manifest({"experiment": NAME, "versions": all_versions()})


def description_of_training(settings: Settings, model: Any) -> dict[str, Any]:
    """The settings, with the hyperparameters that the model has."""
    return {**asdict(settings), **hyperparameters_of(model), "algorithm": "MaskablePPO"}


def all_versions() -> dict[str, str]:
    """Versions of the packages that decide what is computed."""
    return versions() | {name: version(name) for name in PACKAGES}
