"""Resumes the saved runs, trains them anew and evaluates them, in a process of its own.

A process, for bits are those of the compiler's usual options, and the tests take faster ones.
"""

import pickle
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from vibe_rl import experiment
from vibe_rl.configs import from_dict
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir

HERE = Path(__file__).parent


def config_of(run_dir, budgets=1):
    config = from_dict(run_dir.load_config())
    total = budgets * config.runner.total_timesteps
    return replace(config, runner=replace(config.runner, total_timesteps=total))


def rows_of(run_dir, result):
    return result.step, [row for row in read_metrics(run_dir.root) if row["step"] <= result.step]


def leaves(tree):
    pairs = jax.tree.leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in pairs}


def outcome(algorithm, directory):
    """What the saved agent is worth, and what becomes of the run resumed and begun anew."""
    with tarfile.open(HERE / f"{algorithm}.tar.gz") as archive:
        archive.extractall(directory, filter="data")
    saved = RunDir.open(directory / algorithm)
    returns = [row["eval_return"] for row in read_metrics(saved.root) if "eval_return" in row]
    score = float(experiment.evaluate_run(saved.root).mean_return)
    anew = rows_of(*experiment.train(config_of(saved), directory / "runs"))
    resumed, result = experiment.resume(saved.root, config_of(saved, budgets=2))
    agent = result.state.agent_state
    return {
        "evaluation": (score, returns[-1]),
        "anew": anew,
        "resumed": rows_of(resumed, result),
        "agent": leaves(agent._replace(memory=None) if algorithm == "sac" else agent.params),
    }


if __name__ == "__main__":
    directory, *algorithms = sys.argv[1:]
    outcomes = {algorithm: outcome(algorithm, Path(directory)) for algorithm in algorithms}
    (Path(directory) / "outcomes.pickle").write_bytes(pickle.dumps(outcomes))
