"""What a run directory knows of the trainer that made it."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.algorithms.ppo import PPOState
from vibe_rl.checkpoint import saved_steps
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.files import read_json
from vibe_rl.runner.resuming import agent_part
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent
from vibe_rl.trainers.ppo_trainer.finishing import AGENT, UPDATES
from vibe_rl.trainers.ppo_trainer.progress.monitors import (
    ConvergenceMonitor,
    Monitor,
    PlateauMonitor,
)

if TYPE_CHECKING:
    from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer

FIRST_AGENT = "first_agent"
"""The folder, among a run's artifacts, of the agent that its training began with."""
KINDS = {kind.__name__: kind for kind in (ConvergenceMonitor, PlateauMonitor)}


def describe_trainer(trainer: "PPOTrainer") -> dict[str, Any]:
    """All that `PPOTrainer.restore` needs, as the run's manifest has it."""
    env, monitor = trainer.env, trainer.given_monitor
    return {
        "agent": asdict(trainer.agent.config),
        "env": {
            "max_episode_steps": env.max_episode_steps,
            "normalize_observations": env.normalize_observations,
            "video_record_freq": env.video_record_freq,
            "video_dir": None if env.video_dir is None else str(env.video_dir),
        },
        "settings": asdict(trainer.settings),
        "monitor": None if monitor is None else describe_monitor(monitor),
        "arguments": {
            "mlflow_experiment_name": trainer.name,
            "register_stage": trainer.register_stage,
            "track": list(trainer.track),
            "csv": trainer.csv,
            "plot": trainer.plot,
            "verbose": trainer.verbose,
        },
    }


def describe_monitor(monitor: Monitor) -> dict[str, Any]:
    """What a monitor is made of, if it is one of the library's; else its class's name alone."""
    kind = type(monitor).__name__
    if KINDS.get(kind) is not type(monitor):
        return {"kind": kind}
    arguments = {f.name: getattr(monitor, f.name) for f in fields(monitor) if f.init}  # type: ignore[arg-type]
    return {"kind": kind, "arguments": arguments}


def restored_monitor(about: Mapping[str, Any] | None) -> Monitor | None:
    """The monitor that a training was given, if it was given one.

    Raises:
        ConfigError: it is not one of the library's.
    """
    if about is None:
        return None
    if about["kind"] not in KINDS:
        raise ConfigError(f"the training had a monitor of its own, {about['kind']}: give monitor.")
    return KINDS[about["kind"]](**about["arguments"])


def newest_state(trainer: "PPOTrainer", run_dir: RunDir) -> PPOState:
    """The agent's state that a run directory has of its last session."""
    run, saved = trainer.run, saved_steps(run_dir.checkpoints)
    returned, learned = run_dir.artifact_path(AGENT), max(saved, default=0) // run.steps_per_update
    if updates_of(returned) >= learned:
        return PPOAgent.load(returned).state
    if saved:
        return agent_part(run_dir.checkpoints, run.agent_state)
    return PPOAgent.load(run_dir.artifact_path(FIRST_AGENT)).state


def updates_of(folder: Path) -> int:
    """After how many updates a training returned the agent in a folder; -1 if there is none."""
    path = folder / UPDATES
    return read_json(path)["updates"] if path.exists() else -1
