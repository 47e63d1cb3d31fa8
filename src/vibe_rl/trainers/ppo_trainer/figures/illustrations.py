"""The figures and reports that a training leaves in its run directory."""

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.ops.normalization import standardize_obs
from vibe_rl.plotting.canvas import save
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import write_atomically
from vibe_rl.system.notices import say_once
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent
from vibe_rl.trainers.ppo_trainer.figures.heat_maps import policy_distribution
from vibe_rl.trainers.ppo_trainer.figures.training import save_figures
from vibe_rl.trainers.ppo_trainer.performance import performance_report
from vibe_rl.trainers.ppo_trainer.results import finite

if TYPE_CHECKING:
    from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer

ANGLES, VELOCITIES = np.linspace(-0.21, 0.21, 41), np.linspace(-2.0, 2.0, 41)
"""rad up to where an episode ends, and rad/s that balancing sees."""
SUMMARY = (
    *("total_episodes", "total_steps", "training_time", "final_avg_reward", "final_std_reward"),
    *("best_avg_reward", "converged", "reached_target", "convergence_episode", "stop_reason"),
)


def illustrate(trainer: "PPOTrainer", results: Mapping[str, Any], run_dir: RunDir) -> list[Path]:
    """Writes the report, the summary and, if matplotlib is there, all figures; the files."""
    settings, folder = trainer.flat_description(), run_dir.artifacts
    report = performance_report(results, settings)
    files = [
        write_json(folder / "performance_analysis" / "performance_report.json", report),
        write_json(
            folder / "dashboard" / "training_summary.json", {n: results[n] for n in SUMMARY}
        ),
    ]
    if not trainer.plot:
        return files
    if find_spec("matplotlib") is None:
        say_once("figures need matplotlib, so none are drawn: pip install 'vibe-rl[plot]'.")
        return files
    path = folder / "policy_analysis" / "policy_distribution.png"
    save(preferences(trainer.agent, trainer.collect_episode(jax.random.key(0))), path)
    return [*files, *save_figures(results, settings, folder), path]


def write_json(path: str | os.PathLike[str], record: Mapping[str, Any]) -> Path:
    """Writes plain values, in place of an earlier file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as file:
        file.write(f"{json.dumps(finite(record), indent=2)}\n".encode())
    return path


def preferences(agent: PPOAgent, episode: Mapping[str, Any]) -> Any:
    """The figure of what the agent prefers at angles and velocities of the pole, cart at rest."""
    theta, theta_dot = jnp.meshgrid(jnp.array(ANGLES), jnp.array(VELOCITIES), indexing="ij")
    rest = jnp.zeros_like(theta)
    grid = jnp.stack([rest, rest, theta, theta_dot], -1).astype(jnp.float32)

    def probability(obs: jax.Array) -> jax.Array:
        return jax.nn.softmax(agent.actor(standardize_obs(agent.state.obs_statistics, obs)))[1]

    pushes_right = np.asarray(jax.jit(jax.vmap(jax.vmap(probability)))(grid), np.float64)
    counts = np.bincount(np.asarray(episode["actions"]), minlength=2)
    return policy_distribution(ANGLES, VELOCITIES, pushes_right, counts)
