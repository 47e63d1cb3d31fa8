"""How fast driving is: random drivers in JAX, the generator, and what SAC's training waits for.

    python bench/driving_env.py [--parts replay successors idm generator sac] [--width 64]

Random driving is one program on all devices there are, scenes side by side in each; episodes that
end begin anew. A CPU pretends to have a device for each core. Observations, rewards, and all that
is told of steps and episodes are summed, so that no compiler leaves them out. In `replay` others
follow their logs, in `idm` they react; in `successors` what training needs is observed as well,
where an action led at the end of an episode. The generator is timed once its processes have begun.
Of SAC's training, compilation apart, it is said which share of the time the host and the data take.
Each part is a process, and a line.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
from driving_sets import folder_of
from jax.sharding import Mesh, PartitionSpec
from measured import cores, machine

from vibe_rl import make
from vibe_rl.env import AutoResetWrapper
from vibe_rl.env.driving.generate import PIECE, generate
from vibe_rl.spaces import random_action
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.trainers.driving.composing import compose
from vibe_rl.trainers.driving.training import train_tree

STEPS = 80  # in a compiled call
DRIVEN = {"replay": ("replay", False), "successors": ("replay", True), "idm": ("idm", False)}
"""By part: the traffic, and whether the true successor of every action is observed as well."""
DEVICES = "--xla_force_host_platform_device_count={} --xla_cpu_multi_thread_eigen=false"
"""What XLA is told for these parts."""


def program(env, n_devices, successors):
    """A compiled call of `STEPS` steps of all scenes; see `DRIVEN`."""

    def step(carry, key, params):
        obs, state, seen = carry
        act_key, step_key = jax.random.split(key)
        draw = jax.vmap(lambda key: random_action(env.action_space(params), obs[0], key))
        actions = draw(jax.random.split(act_key, len(obs)))
        keys = jax.random.split(step_key, len(obs))
        after = jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, state, actions, params)
        told = dict(after.info) if successors else after.info | {"final_obs": ()}
        told = jax.tree.leaves((after.obs, after.reward, told))
        seen = seen + sum(x.astype(jnp.float32).reshape(len(x), -1).sum(1) for x in told)
        return (after.obs, after.state, seen), None

    def steps(key, obs, state, params):
        carry = obs, state, jnp.zeros(len(obs))
        keys = jax.random.split(key[0], STEPS)
        return jax.lax.scan(lambda c, k: step(c, k, params), carry, keys)[0]

    mesh = Mesh(np.array(jax.devices()[:n_devices]), ("scenes",))
    scenes, whole = PartitionSpec("scenes"), PartitionSpec()
    how = {"in_specs": (scenes, scenes, scenes, whole), "out_specs": scenes, "check_vma": False}
    return jax.jit(jax.shard_map(steps, mesh=mesh, **how))


def random_driving(part, width, seconds, folder):
    """Steps per second of `width` scenes, after compilation; see `DRIVEN`."""
    traffic, successors = DRIVEN[part]
    env, params = make("Driving-v0", scenarios=folder, traffic=traffic)
    env, n = AutoResetWrapper(env), jax.device_count()
    mesh = Mesh(np.array(jax.devices()), ("scenes",))
    params = jax.device_put(params, jax.NamedSharding(mesh, PartitionSpec()))
    reset = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))
    fresh = reset(jax.random.split(jax.random.key(0), width), params)
    obs, state = jax.device_put(fresh, jax.NamedSharding(mesh, PartitionSpec("scenes")))
    keys = iter(jax.random.split(jax.random.key(1), (100_000, n)))
    begin = time.perf_counter()
    run = program(env, n, successors).lower(next(keys), obs, state, params).compile()
    compile_seconds = time.perf_counter() - begin
    obs, state, seen = run(next(keys), obs, state, params)
    jax.block_until_ready(seen)
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        obs, state, seen = run(next(keys), obs, state, params)
        jax.block_until_ready(seen)
        calls += 1
    rate = calls * STEPS * width / (time.perf_counter() - begin)
    about = {"width": width, "devices": n}
    return {**about, "steps_per_second": round(rate), "compile": round(compile_seconds, 1)}


def generator(count):
    """Scenes per second of a process for each core, without the start of these."""
    processes, begin = cores(), time.perf_counter()
    scenes = generate(seed=7, count=count + PIECE * processes, processes=processes)
    list(islice(scenes, PIECE * processes))
    started = time.perf_counter()
    rate = len(list(scenes)) / (time.perf_counter() - started)
    start = round(started - begin, 1)
    return {"processes": processes, "scenes_per_second": round(rate, 1), "start": start}


def training(folder, words):
    """Shares of the seconds of a training by SAC, compilation and evaluations apart."""
    with tempfile.TemporaryDirectory() as runs:
        words = ["logger=none", "runner.plot=false", "num_scenario_per_eval=0", *words]
        tree = compose([f"path_dataset={folder}", f"name_exp={runs}", "save_freq=0", *words])
        result = train_tree(tree)[1]
    parts = {name: result.seconds[name] for name in ("chunks", "host", "save", "data")}
    whole = sum(parts.values())
    shares = {name: round(spent / whole, 4) for name, spent in parts.items()}
    about = {"env_steps": result.step, "steps_per_second": round(result.step / whole)}
    return {**about, "compile": round(result.seconds["compile"], 1), "shares": shares}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = [*DRIVEN, "generator", "sac"]
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--scenes", type=int, default=64, help="of each family")
    parser.add_argument("--generated", type=int, default=512, help="scenes that are timed")
    parser.add_argument(
        "--set", nargs="*", default=["total_timesteps=500000"], help="of SAC's tree"
    )
    parser.add_argument("--scenarios", help="where scenes are kept; the user's cache if not given")
    return parser.parse_args()


def alone(part):
    """Calls this script for one part, with a device for each core if it is of the env."""
    flags = {"XLA_FLAGS": DEVICES.format(cores())} if part in DRIVEN else {}
    command = [sys.executable, __file__, *sys.argv[1:], "--parts", part]
    subprocess.run(command, check=True, env={**flags, **os.environ})


def measured(options, part):
    """The line of one part."""
    enable_compilation_cache()
    folder = folder_of("validation", options.scenes, options.scenarios)
    if part == "generator":
        return generator(options.generated)
    if part == "sac":
        return training(folder, options.set)
    return random_driving(part, options.width, options.seconds, folder)


def main():
    options = parse()
    if len(options.parts) > 1:
        for part in options.parts:
            alone(part)
        return
    (part,) = options.parts
    print(json.dumps({"part": part, **measured(options, part), **machine()}), flush=True)


if __name__ == "__main__":
    main()
