"""What every algorithm checks of its config, before anything is compiled."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from vibe_rl.errors import ConfigError, check_bounds
from vibe_rl.networks.encoder import OF_ANY_SPACE, array_spaces
from vibe_rl.spaces import Box, Space


@partial(jax.jit, static_argnums=0)
def _built(build: Callable[..., Any], algorithm: Any) -> Any:
    return build(algorithm, jax.random.key(0))


def check_networks(build: Callable[..., Any], algorithm: Any) -> None:
    """Raises what building an algorithm's networks raises; tried once for all of equal shapes.

    Args:
        build: a function of the algorithm and a key, such as `PPO.network`.
        algorithm: whose numbers do not matter.
    """
    _built.eval_shape(build, algorithm)


def check_common(config: Any, obs_space: Space) -> None:
    """Raises ConfigError for a field out of its bounds, or one that the others do not allow."""
    check_bounds(config)
    spaces = array_spaces(obs_space)
    if config.normalize_obs and any(not isinstance(space, Box) for space in spaces):
        raise ConfigError("normalize_obs True needs observations that are Boxes: turn it off.")
    if config.normalize_obs and config.encoder not in OF_ANY_SPACE:
        raise ConfigError(
            f"encoder {config.encoder} reads boards and sets as they are: turn normalize_obs off, "
            "or use auto."
        )
    for end in ("lr_end", "lr_end_factor", "clip_eps_end", "ent_coef_end"):
        if getattr(config, end, None) is not None and config.schedule_steps is None:
            raise ConfigError(
                f"schedule_steps None: give the env steps over which {end} is reached."
            )
