"""How fast HackMatrix is: random legal play in JAX, and in the reference through its process.

    python bench/hackmatrix_env.py [--widths 256,1024,4096] [--seconds 20] [--reference]

Each width is one program on all devices there are, games side by side in each; episodes that end
begin anew. A CPU pretends to have a device for each core. Observations are made and summed, so that
no compiler leaves them out. With `--reference` the pure-Python engine plays through its process, in
turns with the first width.
"""

import argparse
import json
import os
import time

if __name__ == "__main__":
    os.environ.setdefault(
        "XLA_FLAGS",
        f"--xla_force_host_platform_device_count={os.cpu_count()} "
        "--xla_cpu_multi_thread_eigen=false",
    )

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from vibe_rl import make
from vibe_rl.env import AutoResetWrapper
from vibe_rl.spaces import random_action

STEPS = 64  # in a compiled call


def program(env, params, n_devices: int):
    """A compiled call of `STEPS` steps of all games, and their beginning."""
    space = env.action_space(params)

    def step(carry, key):
        obs, state, seen = carry
        act_key, step_key = jax.random.split(key)
        n = obs.legal.shape[0]
        actions = jax.vmap(lambda o, k: random_action(space, o, k))(
            obs, jax.random.split(act_key, n)
        )
        stepped = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            jax.random.split(step_key, n), state, actions, params
        )
        return (stepped.obs, stepped.state, seen + stepped.obs.view.sum(1)), None

    def steps(key, obs, state):
        keys = jax.random.split(key[0], STEPS)
        carry = obs, state, jnp.zeros(obs.legal.shape[0])
        return jax.lax.scan(step, carry, keys)[0]

    mesh = Mesh(np.array(jax.devices()[:n_devices]), ("games",))
    games = PartitionSpec("games")
    each = jax.shard_map(steps, mesh=mesh, in_specs=games, out_specs=games, check_vma=False)
    return jax.jit(each)


def measure(width: int, seconds: float) -> dict:
    """Steps per second of `width` games, after compilation."""
    env, params = make("HackMatrix-v0")
    env, n = AutoResetWrapper(env), jax.device_count()
    run = program(env, params, n)
    reset = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))
    obs, state = reset(jax.random.split(jax.random.key(0), width), params)
    keys = iter(jax.random.split(jax.random.key(1), 100_000))
    begin = time.perf_counter()
    compiled = run.lower(jax.random.split(next(keys), n), obs, state).compile()
    compile_seconds = time.perf_counter() - begin
    obs, state, seen = compiled(jax.random.split(next(keys), n), obs, state)
    jax.block_until_ready(seen)
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        obs, state, seen = compiled(jax.random.split(next(keys), n), obs, state)
        jax.block_until_ready(seen)
        calls += 1
    rate = calls * STEPS * width / (time.perf_counter() - begin)
    return {"width": width, "devices": n, "steps_per_second": rate, "compile": compile_seconds}


def measure_reference(seconds: float) -> dict:
    """Steps per second of one game of the reference through its process."""
    from vibe_rl.env.hackmatrix.gymnasium_env import HackMatrixEnv

    env, generator = HackMatrixEnv(), np.random.default_rng(0)
    _, info = env.reset(seed=0)
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        action = generator.choice(np.flatnonzero(info["action_mask"]))
        *_, terminated, _, info = env.step(int(action))
        steps += 1
        if terminated:
            _, info = env.reset()
    rate = steps / (time.perf_counter() - begin)
    env.close()
    return {"reference_steps_per_second": rate}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--widths", default="256,1024,4096")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--reference", action="store_true")
    options = parser.parse_args()
    for i, width in enumerate(int(width) for width in options.widths.split(",")):
        if options.reference and i == 0:
            print(json.dumps(measure_reference(options.seconds)), flush=True)
        print(json.dumps(measure(width, options.seconds)), flush=True)
        if options.reference and i == 0:
            print(json.dumps(measure_reference(options.seconds)), flush=True)


if __name__ == "__main__":
    main()
