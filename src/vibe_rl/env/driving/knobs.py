"""What one can turn on the generator: how much of everything its scenes have."""

from dataclasses import dataclass, fields

from vibe_rl.errors import ConfigError, Typed, check_bounds
from vibe_rl.types import number


@dataclass(frozen=True, kw_only=True)
class Knobs(Typed):
    """How hard the generated scenes are; the same knobs and seed make the same scenes."""

    section = "knobs."

    highway: float = number(1.0, least=0)
    """Share of highways, in proportion to the other families'."""
    merge: float = number(1.0, least=0)
    """Share of merges."""
    intersection: float = number(1.0, least=0)
    """Share of intersections."""
    roundabout: float = number(1.0, least=0)
    """Share of roundabouts."""
    fewest_agents: int = number(6, least=0, most=15)
    """Others beside the ego, at least."""
    most_agents: int = number(15, least=0, most=15)
    """Others beside the ego, at most."""
    speed_scale: float = number(1.0, least=0.3, most=1.1)
    """Times all speed limits."""
    truck_share: float = number(0.15, least=0, most=1)
    """Of vehicles that are trucks."""
    slow_leader_rate: float = number(0.3, least=0, most=1)
    """Of scenes with a slow vehicle ahead on the ego's route."""
    cut_in_rate: float = number(0.1, least=0, most=1)
    """Of highways on which one of the others changes its lane anywhere."""
    lane_change_in_front_rate: float = number(0.3, least=0, most=1)
    """Of highways on which a neighbour changes into the ego's lane just ahead."""
    red_on_arrival_rate: float = number(0.3, least=0, most=1)
    """Of intersections whose light is red when the ego arrives."""
    yellow: float = number(3.0, least=1.0, most=6.0)
    """Seconds of a yellow light."""
    reactive_fraction: float = number(1.0, least=0, most=1)
    """Of others that may follow a route instead of their log."""
    pedestrian_rate: float = number(0.0, least=0, most=1)
    """Of intersections at which people cross the road."""

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self, self.section)
        if self.fewest_agents > self.most_agents:
            raise ConfigError(
                f"{self.section}fewest_agents {self.fewest_agents}: give at most "
                f"{self.section}most_agents, {self.most_agents}."
            )


def knobs_of(options: Knobs) -> Knobs:
    """The knobs alone of options that have others beside them."""
    return Knobs(**{field.name: getattr(options, field.name) for field in fields(Knobs)})
