"""A run from its config to its files, and back: train, load the agent, evaluate it again."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from vibe_rl.algorithms.base import Algorithm
from vibe_rl.checkpoint import load_checkpoint, load_metadata
from vibe_rl.configs.train_config import ALGORITHMS, TrainConfig, algorithm_name, from_dict, to_dict
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.env.base import Environment
from vibe_rl.run_dir import RunDir
from vibe_rl.runner.compilation_cache import enable_compilation_cache
from vibe_rl.runner.evaluator import EvalMetrics, greedy_action, jit_evaluate
from vibe_rl.runner.fit import FitResult, evaluation_key
from vibe_rl.runner.run import check_training, resolve_num_envs, run_training
from vibe_rl.types import PyTree


class Experiment(NamedTuple):
    """A config made real."""

    algorithm: Algorithm
    env: Environment  # resets itself
    env_params: PyTree
    num_envs: int


def build(config: TrainConfig) -> Experiment:
    """The environment and the algorithm that `config` describes; ConfigError if they do not fit."""
    env, env_params = make(config.env_id, **config.env_kwargs)
    env = AutoResetWrapper(env)
    builder = ALGORITHMS[algorithm_name(config)][1]
    algorithm = builder(env, env_params, config.algo, config.runner)
    num_envs = resolve_num_envs(config.algo.num_envs, config.runner.num_envs)
    check_training(algorithm, env, config.runner, num_envs)
    return Experiment(algorithm, env, env_params, num_envs)


def train(
    config: TrainConfig, base_dir: str | os.PathLike[str] = "runs"
) -> tuple[RunDir, FitResult]:
    """Runs `config` in a new run directory; nothing is written if it cannot work."""
    experiment = build(config)
    run_dir = RunDir(f"{config.env_id}_{algorithm_name(config)}", base_dir)
    run_dir.save_config(to_dict(config))
    run_dir.save_manifest(
        {"seed": config.runner.seed, "matmul_precision": config.runner.matmul_precision}
    )
    result = run_training(
        experiment.algorithm,
        experiment.env,
        experiment.env_params,
        config.runner,
        num_envs=experiment.num_envs,
        run_dir=run_dir,
    )
    return run_dir, result


def load_run(
    path: str | os.PathLike[str],
) -> tuple[TrainConfig, Experiment, PyTree, Mapping[str, Any]]:
    """A finished run's config, what it describes, the agent's final state, and its notes."""
    run_dir = RunDir.open(path)
    config = from_dict(run_dir.load_config())
    experiment = build(config)
    like = jax.eval_shape(experiment.algorithm.init, jax.random.key(0))
    agent_state = load_checkpoint(run_dir.checkpoints, like)
    return config, experiment, agent_state, load_metadata(run_dir.checkpoints)


def evaluate_run(
    path: str | os.PathLike[str], episodes: int | None = None, seed: int | None = None
) -> EvalMetrics:
    """Evaluates a run's saved agent greedily.

    Args:
        path: the run directory.
        episodes: None takes the run's eval_episodes.
        seed: of the episodes; None takes those of the run's last evaluation, which then gives the
            same returns again.
    """
    config, experiment, agent_state, notes = load_run(path)
    enable_compilation_cache()
    runner = config.runner
    key = evaluation_key(notes["seed"], notes["update"]) if seed is None else jax.random.key(seed)
    with jax.default_matmul_precision(runner.matmul_precision):
        return jit_evaluate(
            greedy_action,
            (experiment.algorithm, agent_state),
            experiment.env,
            experiment.env_params,
            n_episodes=episodes or max(runner.eval_episodes, 1),
            max_steps=runner.eval_max_steps,
            rng=key,
        )


def with_seed(config: TrainConfig, seed: int) -> TrainConfig:
    """The same run from another seed."""
    return dataclasses.replace(config, runner=dataclasses.replace(config.runner, seed=seed))
