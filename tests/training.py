"""A prepared run from its session's beginning to its end."""

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.runner.session import open_session


def run_training(run, *, run_dir=None, callback=None, trackers=(), keep_history=False):
    """How it ended; see `Session.train`."""
    with open_session(run, run_dir, callback) as session:
        return session.train(callback, trackers, keep_history)


def numbers(state):
    """The leaves of a state as arrays of the host."""
    leaves = jax.tree.leaves(state)
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [
        np.asarray(jax.random.key_data(x) if k else x) for x, k in zip(leaves, is_key, strict=True)
    ]
