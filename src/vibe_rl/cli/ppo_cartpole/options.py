"""The options of `vibe-rl ppo-cartpole`, and the arguments that they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vibe_rl.cli.shared.options import pop_option, split_names
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
    *("mode", "num_envs", "legacy_convergence", "register_stage"),
)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Trains PPO on CartPole-v1 by episodes, until it converges.

    --track a,b names further trackers: tensorboard, wandb, mlflow, sqlite.
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
    register_stage: str | None = None
    """A further alias of the model that --tracker mlflow registers: Staging is staging."""
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
    """Further greedy episodes, written as GIFs."""
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


def arguments_of_trainer(options: TrainOptions, words: Sequence[str]) -> dict[str, Any]:
    """The arguments of the trainer that are given.

    Args:
        options: of the command line.
        words: of the command line, `--track` among them if it is given.
    """
    named, words = pop_option("--track", words)
    given = given_of(options, words, TRAINERS)
    arguments = {NAMES.get(name, name): x for name, x in given.items()}
    if options.no_early_stop:
        arguments["early_stop"] = False
    if named is None and not given_of(options, words, ("tracker", "disable_mlflow")):
        return arguments
    tracker = "csv" if options.disable_mlflow else options.tracker
    track = split_names(named) if named else []
    own = [tracker] if tracker in ("mlflow", "tensorboard") else []
    return arguments | {"track": list(dict.fromkeys([*track, *own])), "csv": tracker != "none"}


def given_of(options: TrainOptions, words: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Those of the options that the words give, be it with their defaults."""
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    given = {flag[2:].replace("-", "_") for flag in flags}
    return {name: getattr(options, name) for name in names if name in given}


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
