"""Where scenarios come from: the options of the tree's group `scenarios`."""

from dataclasses import dataclass

from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import Typed
from vibe_rl.trainers.driving.keys import PipelineKeys
from vibe_rl.types import number

FAMILIES = ("highway", "merge", "intersection", "roundabout")


@dataclass(frozen=True)
class Procedural(Typed):
    """Scenarios that are generated once and kept in a folder."""

    section = "scenarios."

    count: int = number(2_000, least=2)
    """Scenarios in all, held-out ones included."""
    seed: int = number(0, least=0)
    """Of the generator."""
    families: tuple[str, ...] = FAMILIES
    """Kinds of scene."""
    folder: str = "scenarios"
    """Where generated sets are kept, each in a folder of its own."""


@dataclass(frozen=True)
class Files(Typed):
    """A folder that `vibe-rl scenarios` has written: path_dataset."""

    section = "scenarios."


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


def with_scenarios(config: TrainConfig, source: Source, keys: PipelineKeys) -> TrainConfig:
    """The config with the scenarios that a source has, which are made if they are not there."""
    return config
