"""The model of a training: a folder that needs no vibe_rl, and a version in MLflow's registry."""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.errors import ConfigError
from vibe_rl.policies import Figures, export, publish
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.system.notices import say_once
from vibe_rl.tracking.mlflow import read_ids
from vibe_rl.tracking.mlflow_store import given_address
from vibe_rl.trainers.ppo_trainer.agent import FILES

if TYPE_CHECKING:
    from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer

BY = "final_avg_reward"
"""The figure by which a champion is chosen."""


def save_model(
    trainer: "PPOTrainer", path: str | os.PathLike[str], overwrite: bool = False
) -> Path:
    """Writes the agent as `vibe_rl.policies.export` does, and what `PPOAgent.load` reads.

    ONNX is left out where its package is not installed.
    """
    without = () if find_spec("onnx") else ("onnx",)
    run, state = trainer.run, trainer.fitted_state()
    where = run.env, run.first_params, path
    folder = export(run.algorithm, state, *where, without=without, overwrite=overwrite)
    trainer.agent.save(folder)
    return folder


def register_model(
    trainer: "PPOTrainer", results: Mapping[str, Any], run_dir: RunDir
) -> str | None:
    """Registers the agent of a training that converged; the version, or None with a line why.

    Nothing is registered where MLflow has no run of the training.
    """
    ids = read_ids(run_dir)
    if not (ids and results["converged"] and results[BY] is not None):
        return None
    metrics = {BY: results[BY], "eval_avg_reward": results["final_eval"]["avg_reward"]}
    tags = {
        "target_reward": trainer.settings.target_reward,
        "convergence_episode": results["convergence_episode"],
    }
    try:
        folder = save_model(trainer, run_dir.artifact_path("model"), overwrite=True)
        published = publish(
            folder,
            Figures(metrics, by=BY, step=results["total_episodes"]),
            name=re.sub("[/:@]", "-", f"{trainer.name}-model"),
            run_id=ids["run_id"],
            tracking_uri=given_address() or ids["tracking_uri"],
            tags=tags,
            also=FILES,
            alias=trainer.register_stage,
        )
    except ConfigError as error:
        say_once(f"the model is not registered: {error}")
        return None
    return str(published.version)
