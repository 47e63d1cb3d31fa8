"""The results of a training, as its caller gets them and as `results.json` holds them."""

import json
import math
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.trainers.ppo_trainer.progress.progress import Progress

RESULTS = "results.json"


class TrainResults(TypedDict):
    """Everything in plain Python; None where nothing is known."""

    total_episodes: int
    total_steps: int  # env steps of finished episodes
    training_time: float  # seconds of this call, evaluations and compiling included
    final_avg_reward: float | None  # of the agent that is returned
    final_std_reward: float | None
    best_avg_reward: float | None  # best mean of a window
    converged: bool
    reached_target: bool
    reached_episode: int | None
    convergence_episode: int | None
    stop_reason: str  # converged, plateau, max_episodes, callback or interrupted
    episode_rewards: list[float]
    episode_lengths: list[int]
    eval_rewards: list[float]  # means
    eval_stds: list[float]
    eval_episodes_at: list[int]  # after how many episodes
    best_eval_reward: float | None
    best_eval_episode: int | None
    losses: dict[str, list[float]]  # an entry per update
    gradient_norms: dict[str, list[float]]
    kl_divergences: list[float]
    final_eval: dict[str, Any] | None
    last_eval: dict[str, Any] | None  # of the last parameters, which may not be those returned
    run_id: str | None  # of MLflow
    model_version: str | None  # in the registry; None unless it is there
    run_dir: str
    seed: int


def results_of_training(
    progress: Progress, stop_reason: str, seed: int, run_dir: RunDir
) -> TrainResults:
    """The results before the final evaluation and what follows it."""
    monitor = progress.monitor
    best, best_episode = progress.best_evaluation()
    return {
        "total_episodes": progress.episode_count,
        "total_steps": progress.step_count,
        "training_time": time.perf_counter() - progress.began,
        "final_avg_reward": None,
        "final_std_reward": None,
        "best_avg_reward": monitor.best,
        "converged": has_converged(progress),
        "reached_target": progress.status.reached,
        "reached_episode": monitor.reached_episode,
        "convergence_episode": monitor.convergence_episode,
        "stop_reason": stop_reason,
        "episode_rewards": list(progress.episode_rewards),
        "episode_lengths": list(progress.episode_lengths),
        "eval_rewards": list(progress.eval_rewards),
        "eval_stds": list(progress.eval_stds),
        "eval_episodes_at": list(progress.eval_episodes_at),
        "best_eval_reward": best,
        "best_eval_episode": best_episode,
        "losses": {name: list(values) for name, values in progress.losses.items()},
        "gradient_norms": {name: list(x) for name, x in progress.gradient_norms.items()},
        "kl_divergences": list(progress.kl_divergences),
        "final_eval": None,
        "last_eval": None,
        "run_id": None,
        "model_version": None,
        "run_dir": str(run_dir),
        "seed": seed,
    }


def has_converged(progress: Progress) -> bool:
    """Whether the target was held long enough; a training that goes on may lose it again."""
    return progress.status.reached and progress.monitor.convergence_episode is not None


def write_results_of_training(run_dir: RunDir, results: Mapping[str, Any]) -> None:
    """Writes `results.json`, in place of an earlier one."""
    text = json.dumps(finite(results), indent=2, allow_nan=False)
    with write_atomically(run_dir.root / RESULTS) as file:
        file.write(f"{text}\n".encode())


def finite(value: Any) -> Any:
    """The value with None for numbers that JSON has not."""
    if isinstance(value, Mapping):
        return {str(name): finite(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
