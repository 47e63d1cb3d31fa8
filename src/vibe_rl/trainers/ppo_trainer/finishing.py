"""What follows a training: the best agent, its evaluation, figures, reports and the model."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.algorithms.ppo import PPOState
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.single import best_step
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import read_json
from vibe_rl.runner.resuming import agent_part
from vibe_rl.system.notices import say_once
from vibe_rl.tracking.base import Tracker
from vibe_rl.tracking.mlflow import read_ids
from vibe_rl.trainers.ppo_trainer.figures.illustrations import illustrate, write_json
from vibe_rl.trainers.ppo_trainer.publication import register_model
from vibe_rl.trainers.ppo_trainer.results import (
    RESULTS,
    TrainResults,
    results_of_training,
    write_results_of_training,
)
from vibe_rl.trainers.ppo_trainer.training import Training

if TYPE_CHECKING:
    from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer

AGENT, UPDATES = "agent", "updates.json"
"""The folder, among a run's artifacts, of the agent that its training returned."""
REGISTERED = ("run_id", "model_version")
"""The results that stay if nothing more is learned."""
FINAL = (
    "final_avg_reward",
    "final_std_reward",
    "best_avg_reward",
    "total_episodes",
    "total_steps",
    "training_time",
    "converged",
)
"""The results that trackers get at the end."""


def finish(trainer: "PPOTrainer", training: Training, state: PPOState, signal: int) -> TrainResults:
    """The results of a training, written down; of one that a signal ended, without evaluation.

    Args:
        trainer: whose agent then holds what is returned.
        training: what happened.
        state: the agent's, at the end.
        signal: the number of the one that ended it, or 0.
    """
    run_dir, settings = RunDir.open(trainer.run_dir), trainer.settings  # type: ignore[arg-type]
    trainer.agent.take(state)
    reason = "interrupted" if signal else training.stop_reason or "max_episodes"
    results = results_of_training(training.progress, reason, settings.seed, run_dir)
    if not signal:
        evaluate_at_the_end(trainer, run_dir, results)
    before = earlier_results(run_dir) if not training.made else {}
    results.update({name: before[name] for name in REGISTERED if name in before})  # type: ignore[typeddict-item]
    save_agent(trainer, run_dir, training.progress.updates)
    write_results_of_training(run_dir, results)
    files = [] if signal else illustrated(trainer, results, run_dir)
    best = run_dir.best_checkpoint
    files = [run_dir.root / RESULTS, *files, *([] if best is None or signal else [best])]
    tell_results(training.tracker, results, files)
    return results


def save_agent(trainer: "PPOTrainer", run_dir: RunDir, updates: int) -> None:
    """Writes the agent that the training returned, and how much it has learned."""
    folder = trainer.agent.save(run_dir.artifact_path(AGENT), overwrite=True)
    write_json(folder / UPDATES, {"updates": updates})


def illustrated(trainer: "PPOTrainer", results: TrainResults, run_dir: RunDir) -> list[Path]:
    """The figures and reports; a line instead if they cannot be written."""
    try:
        return illustrate(trainer, results, run_dir)
    except (ConfigError, OSError) as error:
        say_once(f"figures and reports are not complete: {error}")
        return []


def earlier_results(run_dir: RunDir) -> dict[str, Any]:
    """The results that a run directory has already."""
    path = run_dir.root / RESULTS
    return read_json(path) if path.exists() else {}


def publish_model(trainer: "PPOTrainer", results: TrainResults) -> None:
    """Registers the model if it is to be, and notes down what MLflow calls run and version."""
    run_dir = RunDir.open(results["run_dir"])
    ids = read_ids(run_dir)
    if ids and "mlflow" in trainer.track:
        results["run_id"] = ids["run_id"]
        if results["model_version"] is None:
            results["model_version"] = register_model(trainer, results, run_dir)
        write_results_of_training(run_dir, results)


def evaluate_at_the_end(trainer: "PPOTrainer", run_dir: RunDir, results: TrainResults) -> None:
    """Evaluates the last agent, and takes the best one instead if that was better."""
    settings = trainer.settings
    episodes = settings.final_eval_episodes or settings.eval_episodes
    final = results["last_eval"] = trainer.evaluate(episodes)
    best, _ = trainer.progress.best_evaluation(trained=True)
    is_worse = best is not None and final["avg_reward"] < best
    if results["best_eval_reward"] is None or final["avg_reward"] >= results["best_eval_reward"]:
        results["best_eval_reward"] = final["avg_reward"]
        results["best_eval_episode"] = results["total_episodes"]
    if settings.restore_best and is_worse and run_dir.best_checkpoint is not None:
        step = best_step(run_dir, run_dir.checkpoints)
        trainer.agent.take(agent_part(run_dir.checkpoints, trainer.run.agent_state, step))
        final = trainer.evaluate(episodes)
    results["final_eval"] = final
    results["final_avg_reward"] = final["avg_reward"]
    results["final_std_reward"] = final["std_reward"]
    results["training_time"] = time.perf_counter() - trainer.progress.began


def tell_results(tracker: Tracker, results: Mapping[str, Any], files: Sequence[Path]) -> None:
    """Tells the trackers how it ended."""
    numbers = {name: results[name] for name in FINAL if results[name] is not None}
    tracker.log({name: float(x) for name, x in numbers.items()}, results["total_episodes"])
    for path in files:
        tracker.log_file(path)
