"""Which scenarios an evaluation drives, in which environment, and who drives."""

from dataclasses import dataclass

from vibe_rl.errors import ConfigError
from vibe_rl.runner.actors import Actor
from vibe_rl.trainers.driving.evaluating import World

AGENT = "ai"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an evaluation is of."""

    actor: str
    run: str | None = None
    best: bool = False  # whose agent
    dataset: str | None = None
    split: str = "valid"
    indexes: tuple[int, ...] = ()  # of scenarios in the split; none is all
    limit: int | None = None
    noisy_init: bool = False
    pov: bool = False


def open_world(wanted: Wanted) -> tuple[Actor, World]:
    """Who drives, and the scenarios.

    Raises:
        ConfigError: something of it is not there.
    """
    raise ConfigError(f"{wanted.actor}: there is no simulator.")
