"""What the numbers of a config may be, said before anything compiles."""

import math
from collections.abc import Mapping
from typing import Any

from vibe_rl.errors import ConfigError

Limits = Mapping[str, tuple[float, float]]
"""The least and the most of each field, both included."""
ONE_OR_MORE, NOT_NEGATIVE, SHARE = (1.0, math.inf), (0.0, math.inf), (0.0, 1.0)
POSITIVE = (math.ulp(0.0), math.inf)


def check_numbers(config: Any, limits: Limits) -> None:
    """Raises ConfigError for a field outside its limits; None is no number and passes."""
    for name, (least, most) in limits.items():
        value = getattr(config, name)
        if value is not None and not least <= value <= most:
            both = f"a number from {least:g} to {most:g}"
            bounds = f"at least {least:g}" if most == math.inf else both
            bounds = "more than 0" if (least, most) == POSITIVE else bounds
            raise ConfigError(f"{name} {value}: give {bounds}.")
