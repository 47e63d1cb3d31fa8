"""Whether a scenario is one that can be driven: every fault with its field, index and remedy."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from vibe_rl.env.driving.scenarios.rules import RULES
from vibe_rl.env.driving.scenarios.scenario import (
    FIRST_FRAME,
    Dims,
    Scenario,
    dims_of,
    dtype_of,
    shape_of,
)
from vibe_rl.errors import ConfigError


def validate(scenario: Scenario) -> None:
    """Checks one scenario, not a bank.

    Raises:
        ConfigError: the first of its `problems_of_scenario`.
    """
    problem = next(_faults(scenario), None)
    if problem is not None:
        raise ConfigError(problem)


def check(place: int, scenario: Scenario) -> None:
    """Raises ConfigError for the first of `problems_of_scenario`; says which scenario it is."""
    problem = next(_faults(scenario), None)
    if problem is not None:
        raise ConfigError(naming_scenario(place, scenario, problem))


def naming_scenario(place: int, scenario: Scenario, problem: str) -> str:
    """A problem after the scenario's place in its set, and its uid."""
    return f"scenario {place} (uid {scenario.scenario_uid}): {problem}"


def problems_of_scenario(scenario: Scenario) -> list[str]:
    """All that is wrong with one scenario, a sentence for each rule that does not hold.

    Where shapes or types are wrong, nothing else is looked at.
    """
    return list(_faults(scenario))


def _faults(scenario: Scenario) -> Iterator[str]:
    misshapen = [*_misshapen(scenario)]
    yield from misshapen or _broken_rules(scenario)


def _misshapen(scenario: Scenario) -> Iterator[str]:
    for field, array in zip(Scenario._fields, scenario, strict=True):
        if not hasattr(array, "dtype"):
            yield f"{field} is of type {type(array).__name__}: give an array of {dtype_of(field)}."
            return
    dims = _dims(scenario)
    if dims is None:
        yield (
            f"log_yaw has the shape {scenario.log_yaw.shape} and path_s {scenario.path_s.shape}: "
            "give one scenario, [N, T] and [K, Q]."
        )
        return
    if dims.T < FIRST_FRAME + 2:
        yield f"log_yaw has {dims.T} frames: give {FIRST_FRAME + 2} or more, of 0.1 s."
    for field, array in zip(Scenario._fields, scenario, strict=True):
        yield from _of_array(field, array, dims)


def _dims(scenario: Scenario) -> Dims | None:
    """None where the arrays that say it have other axes."""
    leading = (scenario.map_type, scenario.light_lane, scenario.route_len)
    if scenario.log_yaw.ndim != 2 or scenario.path_s.ndim != 2 or any(x.ndim != 1 for x in leading):
        return None
    return dims_of(scenario)


def _of_array(field: str, array: Any, dims: Dims) -> Iterator[str]:
    shape, dtype = shape_of(field, dims), dtype_of(field)
    if array.shape != shape:
        yield f"{field} has the shape {array.shape}: give {shape}, as other fields have {dims}."
    if array.dtype != dtype:
        yield f"{field} is of {array.dtype}: convert it to {dtype}."


def _broken_rules(scenario: Scenario) -> Iterator[str]:
    scenario = Scenario(*(np.asarray(array) for array in scenario))
    with np.errstate(invalid="ignore", over="ignore"):
        for rule in RULES:
            bad = np.asarray(rule.bad(scenario))
            if bad.any():
                yield _sentence(rule.field, bad, getattr(scenario, rule.field), rule.remedy)


def _sentence(field: str, bad: Any, array: Any, remedy: str) -> str:
    """The first place that breaks a rule, and how many more there are."""
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f"{field}{list(first)}" if first else field
    more = int(bad.sum()) - 1
    others = f" (and {more} more)" if more else ""
    return f"{place} is {_shown(array[first])}{others}: {remedy}."


def _shown(value: Any) -> str:
    """A number, or the few numbers of a point."""
    if np.ndim(value):
        return f"({', '.join(map(_shown, value))})"
    return f"{value:.6g}" if isinstance(value, np.floating) else str(value)
