"""What presets learn: many seeds in one compiled program, greedy evaluation of each final agent.

    python bench/learning.py cartpole_ppo pendulum_ppo --seeds 30 --first-seed 5000 --episodes 128

Each seed is a run of its own, one after another in one compiled program; with `--group` they are
trained as `vibe-rl train PRESET --seeds` does, which rounds otherwise and so ends otherwise.
`--shuffle sort` replaces the bijective shuffle by `jax.random.permutation`, to compare the two.
"""

import argparse
import ast
import time
from dataclasses import fields, replace
from functools import partial
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.analysis.aggregate import aggregate
from vibe_rl.configs import PRESETS
from vibe_rl.experiment.build import build, with_seed
from vibe_rl.ops import minibatches as shuffle
from vibe_rl.ops import prng
from vibe_rl.runner import loop
from vibe_rl.runner.evaluator import evaluate, greedy_action
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.system.programs import enable_compilation_cache

SOLVED = {
    "CartPole-v1": 475.0,
    "GridWorld-v0": 0.929,
    "Acrobot-v1": -100.0,
    "MountainCar-v0": -130.0,
    "MountainCarContinuous-v0": 90.0,
    "Pendulum-v1": -200.0,
}
"""The mean return from which on a task counts as solved."""


def learn_as_group(config, seeds, episodes):
    """The same of runs side by side."""
    runner = replace(config.runner, eval_every=0, eval_episodes=episodes, progress_bar=False)
    config = replace(config, runner=runner)
    results = fit_many(side_by_side([build(with_seed(config, seed)) for seed in seeds]))
    return np.array([result.evaluation.mean_return for result in results])


def learn(config, seeds, episodes):
    """Mean greedy return of every seed, `[seeds]`."""
    run = build(config)
    algorithm, env, params = run.algorithm, run.env, run.env_params
    start = partial(loop.start, algorithm, env, params, num_envs=run.num_envs)

    def learned(key):
        """One whole run, warm-up included."""
        state = start(key)
        for algorithm, begin, end in run.stages():
            once = partial(loop.iteration, algorithm, env, params)
            state = jax.lax.fori_loop(begin, end, lambda _, s, once=once: once(s)[0], state)
        return state.agent_state

    def score(agent_state, key):
        return evaluate(
            greedy_action,
            (algorithm, agent_state),
            env,
            params,
            n_episodes=episodes,
            max_steps=config.runner.eval_max_steps,
            rng=key,
        ).mean_return

    def scored(keys):
        return score(learned(keys[0]), keys[1])

    keys = jnp.stack(list(map(prng.key, seeds))), jax.random.split(prng.key(2**31), len(seeds))
    return np.asarray(jax.jit(partial(jax.lax.map, scored))(keys))


def changed(config, changes):
    """The preset with some fields of its algorithm or runner changed, as `name=value`."""
    pairs = [change.split("=") for change in changes]
    values = {name: ast.literal_eval(value) for name, value in pairs}
    of_algorithm = {field.name for field in fields(config.algo)} & set(values)
    algo = replace(config.algo, **{name: values.pop(name) for name in of_algorithm})
    return replace(config, algo=algo, runner=replace(config.runner, **values))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="+", choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--steps", type=int, help="budget; the preset's by default")
    parser.add_argument(
        "--set", nargs="*", default=[], help="fields of algorithm or runner, name=value"
    )
    parser.add_argument("--group", action="store_true", help="train the seeds side by side")
    parser.add_argument("--shuffle", choices=["bijective", "sort"], default="bijective")
    args = parser.parse_args()
    enable_compilation_cache()
    if args.shuffle == "sort":
        shuffle.permutation = jax.random.permutation
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    train = learn_as_group if args.group else learn
    print("| preset | steps | solved | IQM | 95 % interval | mean | s.e.m. | worst | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in args.presets:
        config = changed(PRESETS[name][1], args.set)
        steps = args.steps or config.runner.total_timesteps
        config = replace(config, runner=replace(config.runner, total_timesteps=steps))
        began = time.perf_counter()
        returns = train(config, seeds, args.episodes)
        solved = int((returns >= SOLVED[config.env_id]).sum())
        iqm, low, high, _ = aggregate(returns.tolist())
        sem = returns.std(ddof=1) / np.sqrt(len(returns))
        print(
            f"| {name} | {steps:,} | {solved} of {len(seeds)} | {iqm:.2f} "
            f"| [{low:.2f}, {high:.2f}] | {returns.mean():.2f} | {sem:.2f} | {returns.min():.2f} "
            f"| {time.perf_counter() - began:.0f} |",
            flush=True,
        )
    print(f"\nseeds {seeds[0]} to {seeds[-1]}, {args.episodes} episodes each")
    print(f"jax {version('jax')}, {jax.devices()[0].device_kind}, shuffle {args.shuffle}")


if __name__ == "__main__":
    main()
