"""Which numbers an environment's params may be: their class says it, in `BOUNDS`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from vibe_rl.types import Bounds

AT_LEAST_0, ABOVE_0 = Bounds(least=0), Bounds(above=0)
TIME_LIMITS = ("max_steps", "max_steps_in_episode", "max_timesteps")
"""Fields with which environments of ours and of the suites' truncate episodes."""


def names_of_params(params: Any) -> tuple[str, ...]:
    """The names that params have: a dataclass's or a named tuple's; none of other kinds."""
    if dataclasses.is_dataclass(params):
        return tuple(field.name for field in dataclasses.fields(params))
    return getattr(params, "_fields", ())


def bounds_of(params: Any) -> Mapping[str, Bounds]:
    """The bounds of each field that has some; time limits have them in every environment."""
    limits = {field: Bounds(least=1) for field in TIME_LIMITS if field in names_of_params(params)}
    return limits | getattr(type(params), "BOUNDS", {})


def remedy_for(bounds: Bounds, values: Any) -> str | None:
    """What to give instead of a number, or of an array of them; None where the bounds hold."""
    if np.isnan(values).any():
        return "a number"
    ends = np.min(values).item(), np.max(values).item()
    return next((bounds.remedy(value) for value in ends if not bounds.hold(value)), None)
