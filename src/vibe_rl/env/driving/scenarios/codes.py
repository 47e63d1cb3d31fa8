"""What the integers of a scenario mean: kinds of road users, map points, lights and scenes."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

UNSET, VEHICLE, PEDESTRIAN, CYCLIST, OTHER = range(5)
"""Kinds of road users."""

UNDEFINED_LANE, FREEWAY_LANE, SURFACE_LANE, BIKE_LANE = range(4)
LINES = range(5, 14)
UNKNOWN_EDGE, ROAD_EDGE, MEDIAN, STOP_SIGN, CROSSWALK, SPEED_BUMP = range(14, 20)
"""Kinds of map points; those of no kind are -1."""
LANES = (FREEWAY_LANE, SURFACE_LANE, BIKE_LANE)
"""Those that one drives on."""
EDGES = (ROAD_EDGE, MEDIAN)
"""Those that the road lies to the left of."""

UNKNOWN_LIGHT = 0
STOP_LIGHTS, CAUTION_LIGHTS, GO_LIGHTS = (1, 4, 7), (2, 5, 8), (3, 6)
"""States of lights: of an arrow, of a plain and of a flashing one, as far as there is one."""
RED, YELLOW, GREEN = 4, 5, 6
"""Those of a plain one."""

FAMILIES = ("highway", "merge", "intersection", "roundabout", "imported")
"""Kinds of scenes, by their number, which stands in files: new ones come last, 8 at most."""
GENERATED = tuple(name for name in FAMILIES if name != "imported")
"""Those that the generator makes."""


def among(values: Any, codes: Iterable[int]) -> Any:
    """Where an int32 array, of NumPy or of JAX, has one of some codes; bool."""
    return reduce(or_, [values == np.int32(code) for code in codes])
