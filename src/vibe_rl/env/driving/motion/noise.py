"""Beginnings off the log: the second before an episode is driven with one random action."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.driving.geometry import corners
from vibe_rl.env.driving.measures.collisions import SeenUsers, hits
from vibe_rl.env.driving.motion.dynamics import Motion, bicycle
from vibe_rl.env.driving.road import bits_around
from vibe_rl.env.driving.scenarios.scenario import FIRST_FRAME
from vibe_rl.env.driving.scenarios.scene import Scene, boxes_of, ego_box, logged, logged_ego, others
from vibe_rl.types import AnyArray, Key

TRIES = 8
STRONG = np.float32(0.75)
"""How likely a strong acceleration is."""
WIDEST, NARROWEST, FAST = np.float32(0.4), np.float32(0.03), np.float32(40 / 3.6)
"""Steering at most when one stands, and at this speed in m/s and above."""


def _random_action(key: Key, speed: Array) -> Array:
    """An acceleration from 0 to 0.6, mostly from 0.54 on, and a steering that suits the speed."""
    strong_key, acceleration_key, steering_key = jax.random.split(key, 3)
    strong = jax.random.bernoulli(strong_key, STRONG)
    least = jnp.where(strong, np.float32(0.54), np.float32(0))
    share, turn = (jax.random.uniform(k, (), jnp.float32) for k in (acceleration_key, steering_key))
    most = WIDEST + (NARROWEST - WIDEST) * jnp.clip(speed / FAST, 0, 1)
    return jnp.stack([least + share * (np.float32(0.6) - least), most * (2 * turn - 1)])


def noisy_history(scene: Scene, key: Key, frames: int, tolerance: AnyArray) -> Motion:
    """The last frames before an episode, the newest first: the first of 8 drives that is safe.

    Where none is, as the log has it.
    """
    drive = lambda key: _driven(scene, key, tolerance)  # noqa: E731
    histories, safe = jax.vmap(drive)(jax.random.split(key, TRIES))
    first = jnp.argmax(safe)
    past = logged_ego(scene, FIRST_FRAME - np.arange(frames, dtype=np.int32))
    return jax.tree.map(
        lambda rows, log: jnp.where(safe.any(), rows[first][:frames], log), histories, past
    )


def _driven(scene: Scene, key: Key, tolerance: AnyArray) -> tuple[Motion, Array]:
    """Ten frames from the log's first one on, the newest first, and whether they were safe."""
    start = logged_ego(scene, jnp.int32(0))
    action = _random_action(key, start.speed)

    def body(ego: Motion, frame: Array) -> tuple[Motion, tuple[Motion, Array]]:
        ego = bicycle(ego, action)
        return ego, (ego, is_safe(scene, ego, frame, tolerance))

    frames = jnp.arange(1, FIRST_FRAME + 1, dtype=jnp.int32)
    _, (history, safe) = jax.lax.scan(body, start, frames)
    return jax.tree.map(lambda rows: rows[::-1], history), safe.all()


def is_safe(scene: Scene, ego: Motion, frame: Array, tolerance: AnyArray) -> Array:
    """Whether the ego overlaps nobody and stands within the lanes."""
    box, users = ego_box(scene, ego), logged(scene, frame)
    seen = SeenUsers(boxes_of(scene, users), users, others(scene, users), scene.of("obj_type"))
    within = bits_around(scene, ego, corners(box), tolerance) & 15
    return ~hits(box, seen).any() & (within == 15)
