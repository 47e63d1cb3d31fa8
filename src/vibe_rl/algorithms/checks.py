"""What every algorithm checks of its config, before anything is compiled."""

from collections.abc import Callable
from functools import partial
from itertools import islice
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


def check_batch(n_steps: int, num_envs: int, n_minibatches: int, n_shards: int = 1) -> None:
    """Raises ConfigError if a rollout cannot be cut into its minibatches.

    Args:
        n_steps: of each env.
        num_envs: over all devices.
        n_minibatches: of an epoch.
        n_shards: devices, whose parts are cut into minibatches each.
    """
    batch = n_steps * num_envs
    if batch < 2 * n_minibatches:
        raise ConfigError(
            f"n_minibatches {n_minibatches} of a batch of {batch} leave fewer than two examples to "
            "normalise advantages over: give fewer."
        )
    if batch % (n_minibatches * n_shards):
        parts = f" on {n_shards} devices" if n_shards > 1 else ""
        near = " or ".join(map(str, nearest_divisors(batch // n_shards, n_minibatches)))
        raise ConfigError(
            f"n_minibatches {n_minibatches}{parts} does not divide the batch of n_steps {n_steps} "
            f"x num_envs {num_envs} = {batch}: choose a divisor of it, such as {near}."
        )


def nearest_divisors(n: int, wanted: int) -> list[int]:
    """The next divisors of `n` below and above a number, if there are any not far above."""
    below = (d for d in range(wanted - 1, 0, -1) if n % d == 0)
    above = (d for d in range(wanted + 1, min(n // 2, 64 * wanted) + 1) if n % d == 0)
    return [*islice(below, 1), *islice(above, 1)]
