"""Which numbers an environment's params may be: their class says it, in `BOUNDS`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from vibe_rl.types import Bounds

AT_LEAST_0, AT_LEAST_1, ABOVE_0 = Bounds(least=0), Bounds(least=1), Bounds(above=0)
TIME_LIMITS = ("max_steps", "max_steps_in_episode", "max_timesteps")
"""Fields with which environments of ours and of the suites' truncate episodes."""


def names_of_params(params: Any) -> tuple[str, ...]:
    """The names that params have: a dataclass's or a named tuple's; none of other kinds."""
    if dataclasses.is_dataclass(params):
        return tuple(field.name for field in dataclasses.fields(params))
    return getattr(params, "_fields", ())


def bounds_of(defaults: Any) -> Mapping[str, Bounds]:
    """The bounds of each field that has some; time limits have them in every environment.

    Args:
        defaults: the env's own params. A limit below 1 there, or none, means something else.
    """
    names = [name for name in TIME_LIMITS if name in names_of_params(defaults)]
    limits = {name: AT_LEAST_1 for name in names if _is_limit(getattr(defaults, name))}
    return limits | getattr(type(defaults), "BOUNDS", {})


def _is_limit(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "iuf" and bool(np.min(value) >= 1)


def remedy_for(bounds: Bounds, values: Any) -> str | None:
    """What to give instead of a number, or of an array of them; None where the bounds hold."""
    if np.isnan(values).any():
        return "a number"
    ends = np.min(values).item(), np.max(values).item()
    return next((bounds.remedy(value) for value in ends if not bounds.hold(value)), None)
