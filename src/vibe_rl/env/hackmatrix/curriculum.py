"""The published curriculum: an easier game at first, in phases of given numbers of updates."""

from typing import Any

from vibe_rl.env.hackmatrix.env import HackMatrixParams

PHASES: tuple[dict[str, float], ...] = (
    {
        "starting_siphons": 2,
        "starting_credits": 3,
        "starting_energy": 3,
        "transmission_scale": 0.375,
        "siphon_death_penalty": -2.0,
        "distance_shaping": 0.025,
        "data_siphon": 2.0,
    },
    {
        "starting_siphons": 1,
        "starting_credits": 1,
        "starting_energy": 1,
        "transmission_scale": 0.625,
        "siphon_death_penalty": -5.0,
        "distance_shaping": 0.04,
        "data_siphon": 1.5,
    },
    {},
)
"""What differs from the full game; the last phase is the full game and does not end."""
UPDATES = 300
"""Of every phase but the last."""


def phase_at(update: int, first: int = 1) -> int:
    """The phase, from 1 on, of an update of a run that begins with phase `first`."""
    return min(first + update // UPDATES, len(PHASES))


def phase_params(env_params: HackMatrixParams, phase: int) -> HackMatrixParams:
    """The constants of a phase, where `env_params` are those of the full game."""
    values: dict[str, Any] = {
        name: type(getattr(env_params, name))(value) for name, value in PHASES[phase - 1].items()
    }
    return env_params._replace(**values)
