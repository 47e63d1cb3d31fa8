"""The same PPO in one uninterrupted loop on the device: what chunks, logs and progress cost."""

from functools import partial
from importlib.metadata import version

import jax
from worker import serve

from vibe_rl.configs.train_config import from_dict
from vibe_rl.experiment.build import build
from vibe_rl.ops import prng
from vibe_rl.runner import loop


def prepare(settings):
    x = build(from_dict(settings))

    @jax.jit
    def train(key):
        state = loop.start(x.algorithm, x.env, x.env_params, key, num_envs=x.num_envs)

        def update(state, _):
            state, outcome = loop.iteration(x.algorithm, x.env, x.env_params, state)
            return state, outcome.metrics  # all of them, or XLA would leave the others out

        return jax.lax.scan(update, state, None, x.n_updates)

    def run(seed):
        jax.block_until_ready(train(prng.key(seed)))

    run(0)
    return partial(partial, run), x.n_updates * x.steps_per_update, {"jax": version("jax")}


if __name__ == "__main__":
    serve(prepare)
