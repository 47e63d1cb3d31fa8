"""How fast PPO trains on HackMatrix, beside what it cannot do without, and what bounds it.

    python bench/hackmatrix_training.py [--settings published] [--envs 256] [--rounds 5]
    python bench/hackmatrix_training.py --envs 4096 --minibatches 32   # on a GPU: a few minutes
    python bench/hackmatrix_training.py --sb3-python SB3/bin/python    # the slower path too

In turns: the updates of a training; as many steps of the env alone, by random legal play with
observations made; and the matrix products of the updates alone, one after another with nothing in
between. A line of seconds for each round, and at the end the medians: how many steps a second, and
how the training compares with the sum of the other two. Compilation is left out, and said. With an
interpreter that has the extra sb3, MaskablePPO trains after the rounds, on one game by itself.
"""

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl import make
from vibe_rl.configs.hackmatrix import PRESET, PUBLISHED
from vibe_rl.env import AutoResetWrapper
from vibe_rl.env.hackmatrix.rules import N_ACTIONS, N_CELLS, N_CHANNELS, N_PLAYER, N_PROGRAMS
from vibe_rl.experiment.build import build
from vibe_rl.metrics import read_metrics
from vibe_rl.ops import prng
from vibe_rl.run_dir import find_runs
from vibe_rl.runner import loop
from vibe_rl.spaces import random_action

SETTINGS = {"preset": PRESET, "published": PUBLISHED}
OF_SB3 = "--timesteps 8192 --no-wandb --save-freq 100000 --eval-freq 100000"
"""Four updates, and nothing between them that is no training."""


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", choices=SETTINGS, default="preset")
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--minibatches", type=int, default=4)
    parser.add_argument("--updates", type=int, default=2, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sb3-python", help="an interpreter with the extra sb3")
    return parser.parse_args()


def layers_of(algo):
    """Rows for an example, inputs and outputs of each dense layer; the first needs no gradient of
    its inputs."""
    others, (first, second) = N_PLAYER + N_PROGRAMS, algo.hidden_sizes
    tail = [(1, first, second), (1, second, N_ACTIONS + 1)]
    if algo.encoder != "rolled":
        return [(1, others + N_CELLS * N_CHANNELS, first), *tail]
    width, marks = algo.cell_width, 2  # of a cell that the roll carried over an edge
    return [(N_CELLS, N_CHANNELS + marks, width), (1, others + N_CELLS * width, first), *tail]


def products(weights, inputs, deltas):
    """Those of one minibatch: forward, gradients of weights, and of all inputs but the first."""
    outs = [x @ w for x, w in zip(inputs, weights, strict=True)]
    of_weights = [d.T @ x for x, d in zip(inputs, deltas, strict=True)]
    backs = [d @ w.T for d, w in zip(deltas[1:], weights[1:], strict=True)]
    return outs, of_weights, backs


def of_products(algo, updates):
    """A compiled call of the products of some updates, and its arguments."""
    size = algo.num_envs * algo.n_steps // algo.n_minibatches
    layers = layers_of(algo)
    draw = partial(jax.random.normal, dtype=jnp.float32)
    keys = iter(jax.random.split(jax.random.key(0), 3 * len(layers)))
    weights = [draw(next(keys), (n, m)) for _, n, m in layers]
    inputs = [draw(next(keys), (size * rows, n)) for rows, n, _ in layers]
    deltas = [draw(next(keys), (size * rows, m)) for rows, _, m in layers]
    count = updates * algo.n_epochs * algo.n_minibatches

    def body(i, carry):
        inputs, deltas, kept = jax.lax.optimization_barrier(carry)  # none is moved out of the loop
        made = products([w + kept for w in weights], inputs, deltas)
        used = sum(x[0, 0] for x in jax.tree.leaves(jax.lax.optimization_barrier(made)))
        return inputs, deltas, jnp.clip(used, -1e-6, 1e-6)

    def run(weights, inputs, deltas):
        return jax.lax.fori_loop(0, count, body, (inputs, deltas, jnp.float32(0)))[2]

    return compiled(run, weights, inputs, deltas)


def compiled(function, *inputs):
    """A call without arguments that waits for its results, and the seconds of its compilation."""
    began = time.perf_counter()
    program = jax.jit(function).lower(*inputs).compile()
    return lambda: jax.block_until_ready(program(*inputs)), time.perf_counter() - began


def of_env(config, updates):
    """The same of the env alone, stepped as often; observations are summed, not kept."""
    env, params = make(config.env_id, **config.env_kwargs)
    env, n = AutoResetWrapper(env), config.algo.num_envs
    act = jax.vmap(partial(random_action, env.action_space(params)))
    step_all = jax.vmap(env.step, in_axes=(0, 0, 0, None))

    def step(carry, key):
        obs, state, seen = carry
        act_keys, step_keys = jax.random.split(key, (2, n))
        after = step_all(step_keys, state, act(obs, act_keys), params)
        seen = jax.tree.map(lambda total, x: total + x, seen, after.obs.view)
        return (after.obs, after.state, seen), None

    def run(key):
        keys = jax.random.split(key, updates * config.algo.n_steps + n)
        obs, state = jax.vmap(env.reset, in_axes=(0, None))(keys[:n], params)
        seen = jax.tree.map(jnp.zeros_like, obs.view)
        return jax.lax.scan(step, (obs, state, seen), keys[n:])[0][2]

    return compiled(run, jax.random.key(1))


def of_training(config, updates):
    """The same of a training."""
    x = build(config)

    def run(key):
        state = loop.start(x.algorithm, x.env, x.env_params, key, num_envs=x.num_envs)
        once = lambda s, _: loop.iteration(x.algorithm, x.env, x.env_params, s)  # noqa: E731
        state, measured = jax.lax.scan(once, state, None, updates)
        return state.key, measured.metrics

    return compiled(run, prng.key(0))


def of_sb3(python):
    """Env steps a second of MaskablePPO with seed 003's settings, as SB3 counts them."""
    with tempfile.TemporaryDirectory() as folder:
        logs, models = Path(folder, "logs"), Path(folder, "models")
        words = [python, "-m", "vibe_rl", "train-sb3", *OF_SB3.split()]
        words += ["--log-dir", str(logs), "--model-dir", str(models)]
        subprocess.run(words, check=True, capture_output=True)
        (run,) = find_runs(logs)
        return [row["steps_per_second"] for row in read_metrics(run) if "steps_per_second" in row]


def main():
    options = parse()
    config = SETTINGS[options.settings]
    algo = replace(config.algo, num_envs=options.envs, n_minibatches=options.minibatches)
    config = replace(config, algo=algo)
    parts = {
        "training": of_training(config, options.updates),
        "env": of_env(config, options.updates),
        "products": of_products(algo, options.updates),
    }
    print(json.dumps({"compilation": {name: s for name, (_, s) in parts.items()}}), flush=True)
    seconds = {name: [] for name in parts}
    for round_ in range(options.rounds + 1):
        for name, (call, _) in parts.items():
            began = time.perf_counter()
            call()
            seconds[name] += [time.perf_counter() - began] * bool(round_)
        print(json.dumps({name: times[-1:] for name, times in seconds.items()}), flush=True)
    median = {name: float(np.median(times)) for name, times in seconds.items()}
    steps = options.updates * algo.num_envs * algo.n_steps
    per_second = {name: steps / s for name, s in median.items()}
    if options.sb3_python:
        per_second["sb3"] = of_sb3(options.sb3_python)[-1]
    print(
        json.dumps(
            {
                "settings": options.settings,
                "envs": options.envs,
                "device": jax.devices()[0].device_kind,
                "steps_per_second": per_second,
                "training / (env + products)": median["training"]
                / (median["env"] + median["products"]),
            }
        )
    )


if __name__ == "__main__":
    main()
