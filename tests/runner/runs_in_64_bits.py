"""Trains and resumes in JAX's 64-bit mode, in a process of its own that is started in it."""

import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.configs import TrainConfig
from vibe_rl.experiment import evaluate_run, resume, train
from vibe_rl.runner import RunnerConfig
from vibe_rl.types import is_key

SMALL = {"hidden_sizes": (8,), "num_envs": 4}
OFF_POLICY = {**SMALL, "batch_size": 16, "replay_ratio": 0.25, "schedule_steps": 128.0}
RUNNER = RunnerConfig(
    total_timesteps=64, eval_every=64, eval_episodes=2, eval_max_steps=20, progress_bar=False
)
REPLAY = replace(RUNNER, warmup_steps=32, buffer_size=64)
HALF = {
    "ppo": TrainConfig(algo=PPOConfig(**SMALL, n_steps=8, schedule_steps=128.0), runner=RUNNER),
    "dqn": TrainConfig(algo=DQNConfig(**OFF_POLICY), runner=replace(REPLAY, replay_on="host")),
    "sac": TrainConfig("Pendulum-v1", algo=SACConfig(**OFF_POLICY), runner=REPLAY),
}
"""A small run of each algorithm."""
WHOLE = {
    name: replace(config, runner=replace(config.runner, total_timesteps=128))
    for name, config in HALF.items()
}
"""Twice as long."""


def leaves(tree):
    """Arrays by their path, keys as the integers they are made of."""
    pairs = jax.tree.leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path): np.asarray(jax.random.key_data(x) if is_key(x) else x)
        for path, x in pairs
    }


def outcome(name, saved, directory):
    """A run of this mode, and one that the other mode began; where it is, and its score."""
    run_dir, result = train(HALF[name], directory)
    begun = shutil.copytree(saved, directory / f"{name}_resumed", symlinks=True)
    _, resumed = resume(begun, WHOLE[name])
    score = float(evaluate_run(begun).mean_return)
    return leaves(result.state), leaves(resumed.state), str(run_dir.root), score


if __name__ == "__main__":
    assert jax.config.jax_enable_x64  # else this says nothing
    where = Path(sys.argv[1])
    saved = pickle.loads((where / "directories.pickle").read_bytes())
    outcomes = {name: outcome(name, saved[name], where) for name in HALF}
    (where / "outcomes.pickle").write_bytes(pickle.dumps(outcomes))
