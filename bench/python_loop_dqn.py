"""The DQN of `single_file_dqn.py` driven from Python, as hybrids of JAX and Gymnasium are.

Acting with the env's step is one jitted call and the update another; between them a NumPy buffer.
"""

from functools import partial
from importlib.metadata import version

import jax
import numpy as np
import plain
from plain import CART_POLE
from single_file_dqn import Transition, env_step, final_return, init_learner, update
from worker import flat, serve


class Buffer:
    """A ring of transitions in the host's memory."""

    def __init__(self, size):
        self.size, self.inserted = size, 0
        rows = {"action": ((), np.int32), "reward": ((), np.float32), "terminated": ((), bool)}
        rows |= {name: ((4,), np.float32) for name in ("obs", "next_obs")}
        self.rows = {k: np.zeros((size, *shape), dtype) for k, (shape, dtype) in rows.items()}

    def insert(self, stored):
        """Transitions of all envs, `[N, ...]`."""
        slots = (self.inserted + np.arange(len(stored.reward))) % self.size
        for name, row in self.rows.items():
            row[slots] = np.asarray(getattr(stored, name))
        self.inserted += len(slots)

    def sample(self, rng, batch_size):
        drawn = rng.integers(min(self.inserted, self.size), size=batch_size)
        return Transition(**{name: row[drawn] for name, row in self.rows.items()})


def prepare(settings):
    s = flat(settings)
    jitted = (
        jax.jit(partial(start_run, s)),
        jax.jit(partial(env_step, s)),
        jax.jit(partial(update, s)),
    )
    n_iterations = s.total_timesteps // s.num_envs
    train(s, jitted, s.warmup_steps // s.num_envs + 2, 0)  # compiles
    versions = {name: version(name) for name in ("jax", "numpy", "optax")}

    def start(seed):
        return partial(train, s, jitted, n_iterations, seed)

    return start, n_iterations * s.num_envs, versions


def start_run(s, key):
    """A learner and the states of all envs."""
    learner_key, env_key = jax.random.split(key)
    env_state = jax.vmap(partial(plain.start, CART_POLE))(jax.random.split(env_key, s.num_envs))
    return init_learner(s, learner_key), env_state


def train(s, jitted, n_iterations, seed):
    """One run; the mean return of its last episodes."""
    start, env_step, update = jitted
    buffer, rng, finished = Buffer(s.buffer_size), np.random.default_rng(seed), []
    key = jax.random.key(seed)
    learner, env_state = start(key)
    for i in range(n_iterations):
        key, step_key = jax.random.split(key)
        env_state, stored, shown = env_step(learner.params, env_state, i * s.num_envs, step_key)
        buffer.insert(stored)
        if i * s.num_envs >= s.warmup_steps:
            learner = update(learner, buffer.sample(rng, s.batch_size))
        done = np.asarray(shown.done)
        finished.append((done.sum(), (done * np.asarray(shown.episode_return)).sum()))
    jax.block_until_ready(learner)
    return final_return(*np.array(finished).T)


if __name__ == "__main__":
    serve(prepare)
