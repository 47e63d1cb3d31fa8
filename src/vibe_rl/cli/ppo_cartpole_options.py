"""The options of `vibe-rl ppo-cartpole`, and the arguments that they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vibe_rl.errors import ConfigError
from vibe_rl.system.notices import say_once

NAMES = {
    "episodes": "max_episodes",
    "max_steps": "max_steps_per_episode",
    "experiment_name": "mlflow_experiment_name",
    "video_record_freq": "video_record_frequency",
}
"""Options that have another name than the argument that they set."""
AGENTS = (
    *("learning_rate", "clip_epsilon", "gamma", "gae_lambda", "entropy_coef", "value_coef"),
    *("max_grad_norm", "epochs_per_update", "minibatch_size"),
)
TRAINERS = (
    *("episodes", "max_steps", "target_reward", "convergence_window", "early_stopping_patience"),
    *("eval_frequency", "eval_episodes", "log_frequency", "experiment_name", "video_record_freq"),
    *("mode", "num_envs", "legacy_convergence"),
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Trains PPO on CartPole-v1 by episodes, until it converges.

    --track a,b names further trackers: tensorboard, wandb, mlflow.
    """

    episodes: int = 1000
    """Most episodes."""
    max_steps: int = 500
    """Most steps of an episode."""
    target_reward: float = 195.0
    """Mean return at which it has converged; CartPole-v1's own is 475."""
    convergence_window: int = 100
    """Episodes in that mean."""
    early_stopping_patience: int = 10
    """Episodes in a row with the mean at the target, after which it ends."""
    eval_frequency: int = 50
    """Episodes between evaluations; 0 evaluates at the end only."""
    eval_episodes: int = 10
    """Episodes of an evaluation."""
    log_frequency: int = 10
    """Updates between lines."""
    learning_rate: float = 3e-4
    """Adam's."""
    clip_epsilon: float = 0.2
    """How far the probability ratio may move the objective."""
    gamma: float = 0.99
    """Discount factor."""
    gae_lambda: float = 0.95
    """Lambda of the advantage estimates."""
    entropy_coef: float = 0.01
    """Weight of the entropy bonus."""
    value_coef: float = 0.5
    """Weight of the critic's squared error."""
    max_grad_norm: float = 0.5
    """Largest norm of a gradient."""
    minibatch_size: int = 64
    """Steps in a gradient step."""
    batch_size: int | None = None
    """The same."""
    epochs_per_update: int = 10
    """Passes over an episode."""
    experiment_name: str = "cartpole-ppo"
    """Of MLflow's experiment and of the run directory."""
    disable_mlflow: bool = False
    """The same as --tracker csv."""
    video_record_freq: int = 200
    """Episodes between GIFs of evaluations; 0 makes none."""
    seed: int = 42
    """Of everything random."""
    mode: Literal["episodic", "vectorized"] = "episodic"
    """Whole episodes, or steps of envs side by side."""
    num_envs: int = 8
    """Of mode vectorized."""
    tracker: Literal["none", "csv", "mlflow", "tensorboard"] = "csv"
    """Where numbers go, beside the run's own log; a table is written unless it is none."""
    mlflow_uri: str | None = None
    """MLflow's address, instead of MLFLOW_TRACKING_URI or a database beside the runs."""
    run_dir: str | None = None
    """The run's directory; by default a new one in runs/."""
    resume: bool = False
    """Goes on in --run-dir, with the settings it was begun with and those given here."""
    legacy_convergence: bool = False
    """Seed 002's rule of convergence."""
    no_early_stop: bool = False
    """Trains all episodes, whatever is reached."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Greedy episodes of a trained agent."""

    checkpoint: str | None = None
    """A run directory, of which the best agent is taken, or the folder of a saved agent."""
    run_id: str | None = None
    """A run of MLflow that has registered a model."""
    model_uri: str | None = None
    """models:/NAME@ALIAS or models:/NAME/VERSION of MLflow's registry."""
    episodes: int = 100
    """How many."""
    target_reward: float = 195.0
    """What a successful episode returns at least."""
    seed: int = 42
    """Of the episodes."""
    gif: int = 0
    """Episodes that are written as GIFs."""
    stochastic: bool = False
    """Draws actions from the policy instead of taking the likeliest."""
    out: str | None = None
    """A JSON file for the results."""
    mlflow_uri: str | None = None
    """MLflow's address, instead of MLFLOW_TRACKING_URI or a database in runs/."""


def arguments_of_agent(options: TrainOptions) -> dict[str, Any]:
    """The arguments of the agent."""
    given = {name: getattr(options, name) for name in AGENTS}
    return given | {"minibatch_size": minibatch_size(options)}


def arguments_of_trainer(options: TrainOptions, track: Sequence[str]) -> dict[str, Any]:
    """The arguments of the trainer, as far as they are no defaults, and where numbers go.

    Args:
        options: of the command line.
        track: further names of trackers.
    """
    given = {NAMES.get(name, name): x for name, x in changed(options, TRAINERS).items()}
    tracker = "csv" if options.disable_mlflow else options.tracker
    own = [tracker] if tracker in ("mlflow", "tensorboard") else []
    how = {"track": list(dict.fromkeys([*track, *own])), "csv": tracker != "none"}
    return given | how | ({"early_stop": False} if options.no_early_stop else {})


def changed(options: TrainOptions, names: Sequence[str]) -> dict[str, Any]:
    """Those of the options that are not their defaults."""
    given = {name: getattr(options, name) for name in names}
    return {name: x for name, x in given.items() if x != getattr(TrainOptions, name)}


def minibatch_size(options: TrainOptions) -> int:
    """By its own option or by seed 002's other name of it; ConfigError if they differ."""
    if options.batch_size is None:
        return options.minibatch_size
    say_once("--batch-size is --minibatch-size: an update learns from whole episodes.")
    given = options.minibatch_size
    if given not in (TrainOptions.minibatch_size, options.batch_size):
        raise ConfigError(
            f"--batch-size {options.batch_size} is --minibatch-size, which is {given}: give one."
        )
    return options.batch_size
