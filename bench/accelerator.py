"""What an accelerator does with the library, within minutes, and what only one can show.

    python bench/accelerator.py                        # on a GPU: at most 8 minutes
    python bench/accelerator.py --small --parts ppo_64 seeds    # on a CPU: whether it works

A line for each part as soon as it is known. `compile` are the seconds until the first update of
every program is done, `seconds` those of all after it, `steps_per_second` is without compilation.
Parts that would begin after `--minutes` are left out, and named; so are those that lack a package.
The last parts measure nothing: they say whether equal seeds and a resumed run give equal bits, and
how exact a product of matrices is.
"""

import argparse
import json
import tempfile
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from measured import machine

from vibe_rl import experiment
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.configs import PRESETS
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.experiment.build import build
from vibe_rl.metrics import read_metrics
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.saving import Saver
from vibe_rl.system.programs import enable_compilation_cache


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--small", action="store_true", help="sizes that a CPU can do")
    parser.add_argument("--minutes", type=float, default=8.0, help="begins no part after so many")
    return parser.parse_args()


def timed(run):
    """Trains a run with nothing logged: seconds by whether they compiled, steps, and memory."""
    spent, steps, first_steps = {"compile": 0.0, "seconds": 0.0}, 0, 0
    began = time.perf_counter()
    with run.start() as state:
        for chunk in run.chunks(state, lambda first: 1 if first else 10**9):
            if chunk.first or not steps:
                jax.block_until_ready(chunk.metrics)
                first_steps += chunk.n_updates * run.steps_per_update
                phase = "compile" if chunk.first else "seconds"
                spent[phase] += time.perf_counter() - began
                began = time.perf_counter()
            steps += chunk.n_updates * run.steps_per_update
            last = chunk
        jax.block_until_ready(last.metrics)
        spent["seconds"] += time.perf_counter() - began
    rate = (steps - first_steps) / max(spent["seconds"], 1e-9)
    told = {name: round(x, 2) for name, x in spent.items()}
    return {**told, "steps": steps, "steps_per_second": round(rate * members(run)), **learned(last)}


def members(run):
    """How many agents are trained."""
    return 1 if run.seeds is None else len(run.seeds)


def learned(chunk):
    """The mean return of the episodes that ended in a chunk, of all agents."""
    metrics = chunk.metrics
    rows = np.asarray(metrics.rows).reshape(-1, *metrics.rows.shape[-2:])[:, : chunk.n_updates]
    table = {name: rows[..., i] for i, name in enumerate(metrics.names)}
    episodes = table["episodes"].sum()
    return {"return": round(float(table["return_sum"].sum() / max(episodes, 1)), 2)}


def config_of(env_id, algo, steps, **runner):
    """A run that evaluates nothing."""
    how = {"total_timesteps": int(steps), "eval_episodes": 0, "progress_bar": False, **runner}
    return TrainConfig(env_id=env_id, algo=algo, runner=RunnerConfig(**how))


def ppo_cartpole(num_envs, n_steps, updates, small):
    """PPO on CartPole with so many envs."""
    algo = PPOConfig(num_envs=num_envs, n_steps=n_steps, n_minibatches=4, n_epochs=4)
    updates = 3 if small else updates
    return timed(build(config_of("CartPole-v1", algo, updates * num_envs * n_steps)))


def many_agents(small):
    """Agents side by side, each of 500k steps on CartPole."""
    algo = PPOConfig(num_envs=4, n_steps=128, lr=2.5e-3, lr_end=0.0, reward_scale=0.05)
    run = build(config_of("CartPole-v1", algo, 2_048 if small else 500_000))
    seeds = range(4 if small else 2_048)
    runs = [replace(run, config=replace(run.config, seed=seed)) for seed in seeds]
    began = time.perf_counter()
    many = side_by_side(runs).run
    prepared = round(time.perf_counter() - began, 2)
    return {"agents": len(seeds), "prepared": prepared, **timed(many)}


def minatar_ppo(game, small):
    """PPO on a game of MinAtar with 4,096 envs."""
    preset = PRESETS["minatar_ppo"][1].algo
    algo = replace(preset, num_envs=64 if small else 4_096, n_steps=64, n_minibatches=32)
    return timed(build(config_of(f"gymnax:{game}-MinAtar", algo, 8_192 if small else 2e7)))


def minatar_dqn(small):
    """DQN on Breakout."""
    preset = PRESETS["minatar_dqn"][1]
    config = config_of(preset.env_id, preset.algo, 6_000 if small else 1e6)
    return timed(build(replace(config, runner=with_replay(config.runner, 100_000))))


def with_replay(runner, size):
    """The runner's settings with a replay of so many transitions."""
    return replace(runner, buffer_size=size, warmup_steps=5_000)


def sac(num_envs, small):
    """SAC on Pendulum, a gradient step each time that all envs have made one."""
    batch_size, ratio = 256 if small else 4_096, 1.0 / num_envs
    algo = SACConfig(num_envs=num_envs, batch_size=batch_size, replay_ratio=ratio)
    steps = 6_000 if small else 2_000 * num_envs
    config = config_of("Pendulum-v1", algo, max(steps, 4 * num_envs + 5_000))
    return timed(build(replace(config, runner=with_replay(config.runner, 1_000_000))))


def replay_checkpoint(small):
    """Saving a run whose replay is a gigabyte."""
    size = 100_000 if small else 24_000_000
    config = config_of("Pendulum-v1", SACConfig(num_envs=64, batch_size=64), 12_000)
    run = build(replace(config, runner=with_replay(config.runner, size)))
    with tempfile.TemporaryDirectory() as folder, run.start() as state:
        jax.block_until_ready(state)
        held = sum(x.nbytes for x in jax.tree.leaves(state) if hasattr(x, "nbytes"))
        began = time.perf_counter()
        saver = Saver(run, Path(folder) / "checkpoints")
        saver.save(1, state, [], None)
        saver.close()
        seconds = time.perf_counter() - began
        written = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return {"bytes": held, "written": written, "seconds": round(seconds, 2)}


def playground(small):
    """PPO on a task of MuJoCo Playground."""
    algo = PPOConfig(num_envs=16 if small else 2_048, n_steps=20, n_minibatches=32, n_epochs=4)
    steps = (2 if small else 50) * algo.num_envs * algo.n_steps
    return timed(build(config_of("playground:CheetahRun", algo, steps)))


def seeds(small):
    """Whether two runs of one seed give equal bits."""
    found = [bits(build(short(small))) for _ in range(2)]
    return {"equal": same(*found)}


def short(small, **runner):
    """A run of a few updates."""
    algo = PPOConfig(num_envs=8 if small else 512, n_steps=16, hidden_sizes=(32,))
    return config_of("CartPole-v1", algo, 8 * algo.num_envs * algo.n_steps, **runner)


def bits(run):
    """What a run has learned in the end."""
    with run.start() as state:
        *_, last = run.chunks(state, lambda first: 1 if first else 3)
        return jax.device_get(jax.tree.leaves(last.state.agent_state))


def same(a, b):
    """Whether two lists of arrays are, to the bit."""
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def resume(small):
    """Whether a run that is resumed writes the rows that it would have written."""
    whole = short(small, log_interval=1)
    half = replace(whole.runner, total_timesteps=whole.runner.total_timesteps // 2)
    with tempfile.TemporaryDirectory() as folder:
        first = experiment.train(whole, f"{folder}/a")[0]
        second = experiment.train(replace(whole, runner=half), f"{folder}/b")[0]
        experiment.resume(second, replace(whole, runner=whole.runner))
        rows = [numbers(run) for run in (first, second)]
    return {"equal": rows[0] == rows[1], "rows": len(rows[0])}


def numbers(run):
    """The losses of a run's rows, as they were written."""
    return [(row["step"], row["total_loss"]) for row in read_metrics(run.log_path())]


def precision(small):
    """Errors of a product of matrices by JAX's precision; runs ask for `highest` by default."""
    n = 256 if small else 2_048
    a, b = np.random.default_rng(0).standard_normal((2, n, n)).astype(np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)

    def error(how):
        product = jnp.matmul(a, b, precision=how)
        return float(np.abs(np.asarray(product, np.float64) - exact).max() / np.abs(exact).max())

    errors = {how: error(how) for how in ("default", "high", "highest")}
    return {"of_runs": RunnerConfig().matmul_precision, "relative_error": errors}


GAMES = ("Breakout", "Asterix", "Freeway", "SpaceInvaders", "Seaquest")
PARTS = {
    "ppo_64": partial(ppo_cartpole, 64, 128, 250),
    "ppo_2048": partial(ppo_cartpole, 2_048, 128, 100),
    "ppo_65536": partial(ppo_cartpole, 65_536, 32, 50),
    "many_agents": many_agents,
    **{f"minatar_ppo_{game}": partial(minatar_ppo, game) for game in GAMES},
    "minatar_dqn": minatar_dqn,
    "sac_256": partial(sac, 256),
    "sac_4096": partial(sac, 4_096),
    "replay_checkpoint": replay_checkpoint,
    "playground": playground,
    "seeds": seeds,
    "resume": resume,
    "precision": precision,
}


def memory():
    """The most that the device has held so far, in bytes, where it tells."""
    stats = jax.devices()[0].memory_stats() or {}
    return {"peak_bytes": stats["peak_bytes_in_use"]} if "peak_bytes_in_use" in stats else {}


def measured(name, small):
    """What a part says, or why it could not."""
    began = time.perf_counter()
    try:
        with jax.default_matmul_precision(RunnerConfig().matmul_precision):
            found = PARTS[name](small)
    except Exception as error:  # the other parts go on
        traceback.print_exc()
        found = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"part": name, **found, "wall": round(time.perf_counter() - began, 1), **memory()}


def main():
    options = parse()
    enable_compilation_cache()
    print(json.dumps(machine()), flush=True)
    ends = time.monotonic() + 60 * options.minutes
    for name in options.parts:
        if time.monotonic() > ends:
            print(json.dumps({"part": name, "left_out": "the time was over"}), flush=True)
            continue
        print(json.dumps(measured(name, options.small)), flush=True)


if __name__ == "__main__":
    main()
