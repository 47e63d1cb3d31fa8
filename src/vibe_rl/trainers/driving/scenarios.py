"""Where scenarios come from: the options of the tree's group `scenarios`, and their folders."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from vibe_rl.configs.env_schedules import STREAM
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.env.driving.io import Manifest, read_manifest, write_scenarios
from vibe_rl.env.driving.io.importing import importer
from vibe_rl.env.driving.io.loading import check_room
from vibe_rl.env.driving.io.writing import PER_SHARD
from vibe_rl.env.driving.knobs import Knobs, knobs_of
from vibe_rl.env.driving.scenarios.codes import GENERATED
from vibe_rl.env.driving.scenarios.scenario import FIRST_FRAME, Dims
from vibe_rl.errors import ConfigError, Typed, check_bounds, shown, unknown
from vibe_rl.system.notices import say_once
from vibe_rl.system.processes import greatest, run_on_first
from vibe_rl.trainers.driving.keys import PipelineKeys
from vibe_rl.types import number


@dataclass(frozen=True)
class Procedural(Knobs):
    """Scenarios that are generated once and kept in a folder."""

    section = "scenarios."

    stream: int = number(0, least=0)
    """Scenarios on the devices at a time, others in every iteration; 0 keeps all there."""
    count: int = number(2_560, least=2)
    """Scenarios in all; about a tenth of them is held out."""
    seed: int = number(0, least=0)
    """Of the generator."""
    families: tuple[str, ...] = GENERATED
    """Kinds of scene."""
    processes: int = number(1, least=1)
    """That generate at the same time; the scenes are the same."""
    folder: str = "scenarios"
    """Where sets are kept, each in a folder of its own."""


@dataclass(frozen=True)
class Files(Typed):
    """A folder that `vibe-rl scenarios` has written: path_dataset."""

    section = "scenarios."

    stream: int = number(0, least=0)
    """Scenarios on the devices at a time, others in every iteration; 0 keeps all there."""

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self, self.section)


@dataclass(frozen=True)
class ScenarioNet(Files):
    """Files of ScenarioNet in path_dataset, imported once."""

    folder: str = "scenarios"
    """Where imported sets are kept."""


@dataclass(frozen=True)
class Womd(ScenarioNet):
    """Records of WOMD or ScenarioMax in path_dataset, imported once."""


Source = Procedural | Files | ScenarioNet | Womd

SOURCES: dict[str, type[Source]] = {
    "procedural": Procedural,
    "files": Files,
    "scenarionet": ScenarioNet,
    "womd": Womd,
}


def with_scenarios_of(config: TrainConfig, source: Source, keys: PipelineKeys) -> TrainConfig:
    """The config with the folders of its scenarios, which are written if they are not there.

    Raises:
        ConfigError: there are no such scenarios, or they are of another length.
    """
    check_source(source, keys)
    folders = [folder_of(source, path) for path in paths_of(source, keys)]
    manifests = [read_manifest(folder) for folder in folders]
    for folder, manifest in zip(folders, manifests, strict=True):
        check_length(folder, manifest, keys)
    held_out = len(manifests[-1].members("valid" if len(folders) == 1 else "all").ids)
    episodes = min(config.runner.eval_episodes, held_out)
    if episodes < config.runner.eval_episodes:
        say_once(f"num_scenario_per_eval {keys.num_scenario_per_eval}: {held_out} are held out.")
    names: dict[str, Any] = dict(
        zip(("scenarios", "held_out_scenarios"), map(str, folders), strict=False)
    )
    names |= {"limit": source.stream, "held_out_limit": episodes}
    return replace(
        config,
        env_kwargs={**config.env_kwargs, **{name: x for name, x in names.items() if x}},
        runner=replace(config.runner, eval_episodes=episodes),
        env_schedule=schedule_of(config, source, keys, folders),
    )


def schedule_of(
    config: TrainConfig, source: Source, keys: PipelineKeys, folders: Sequence[Path]
) -> str | None:
    """What brings other scenarios in every iteration, if not all are on the devices."""
    if not source.stream:
        return None
    steps = getattr(config.algo, "train_every", None) or config.algo.n_steps
    every = max(keys.num_episode_per_epoch * keys.scenario_length // steps, 1)
    split = "train" if len(folders) == 1 else "all"
    return f"{STREAM}{every}:{keys.seed}:{split}:{folders[0]}"


def check_source(source: Source, keys: PipelineKeys) -> None:
    """Raises ConfigError for paths that are missing or not read, families that are not there, and
    more scenarios than the memory holds."""
    given = [x for x in (keys.path_dataset, keys.path_dataset_eval) if x is not None]
    if isinstance(source, Files) and keys.path_dataset is None:
        raise ConfigError("path_dataset null: these scenarios need it, give path_dataset=DIR.")
    if isinstance(source, Procedural) and given:
        raise ConfigError(
            f"path_dataset {given[0]} is not read where scenarios are generated: give "
            "scenarios=files, scenarionet or womd too."
        )
    for family in getattr(source, "families", ()):
        if family not in GENERATED:
            raise unknown("family", family, GENERATED)
    if isinstance(source, Procedural) and not source.stream:
        check_room(f"scenarios.count {source.count:,}: they", source.count, Dims(), PER_SHARD)


def paths_of(source: Source, keys: PipelineKeys) -> list[str | None]:
    """What is read: for training, and for evaluations if that is something else."""
    if isinstance(source, Procedural):
        return [None]
    given = [keys.path_dataset, keys.path_dataset_eval]
    return [path for path in given if path is not None]


def are_to_be_made(source: Source, keys: PipelineKeys) -> bool:
    """Whether any set of scenarios is still to be generated or imported.

    Raises:
        ConfigError: it cannot be.
    """
    check_source(source, keys)
    places = [place_of(source, path) for path in paths_of(source, keys)]
    return bool(greatest(any(about and not folder.exists() for folder, about in places)))


def folder_of(source: Source, path: str | None) -> Path:
    """The folder of a set of scenarios, which is written first if it has to be."""
    folder, about = place_of(source, path)
    if about and not folder.exists():
        say_once(f"{shown(folder)} is being written; later runs read it.")
        run_on_first(lambda: write_scenarios(folder, scenarios_of(source, path), generator=about))
    return folder


def place_of(source: Source, path: str | None) -> tuple[Path, dict[str, Any]]:
    """The folder of a set of scenarios, and the settings that make one, if any do."""
    if not isinstance(source, (Procedural, ScenarioNet)):
        return Path(str(path)).absolute(), {}
    about = {"source": type(source).__name__.lower(), "path": path, **asdict(source)}
    for name in ("stream", "processes"):  # which make no others
        about.pop(name, None)
    return Path(about.pop("folder")).absolute() / folder_name(about), about


def folder_name(about: dict[str, Any]) -> str:
    """A name that belongs to these settings."""
    text = json.dumps(about, sort_keys=True)
    return f"{about['source']}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def scenarios_of(source: Source, path: str | None) -> Iterable[Any]:
    """The scenarios of a source, one after another; imported ones after their groups."""
    if isinstance(source, Procedural):
        generate = import_module("vibe_rl.env.driving.generate").generate
        which = source.seed, source.count, source.families
        return generate(*which, knobs_of(source), source.processes)
    kind = next(name for name, cls in SOURCES.items() if type(source) is cls)
    return importer(kind)(str(path), Dims())


def check_length(folder: Path, manifest: Manifest, keys: PipelineKeys) -> None:
    """Raises ConfigError if the scenarios have another number of decisions."""
    length = manifest.dims.T - FIRST_FRAME - 1
    if length != keys.scenario_length:
        raise ConfigError(
            f"scenario_length {keys.scenario_length}: those of {shown(folder)} have {length} "
            "decisions, give that."
        )
