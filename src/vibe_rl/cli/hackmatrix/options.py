"""The options of `vibe-rl train-hackmatrix`, and the config that they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from vibe_rl.errors import ConfigError, check_bounds
from vibe_rl.system.notices import say_once

if TYPE_CHECKING:
    from vibe_rl.configs import TrainConfig

FIELDS = {
    "num_envs": "algo.num_envs",
    "num_steps": "algo.n_steps",
    "total_timesteps": "runner.total_timesteps",
    "lr": "algo.lr",
    "gamma": "algo.gamma",
    "gae_lambda": "algo.gae_lambda",
    "num_minibatches": "algo.n_minibatches",
    "update_epochs": "algo.n_epochs",
    "clip_eps": "algo.clip_eps",
    "vf_coef": "algo.vf_coef",
    "ent_coef": "algo.ent_coef",
    "max_grad_norm": "algo.max_grad_norm",
    "seed": "runner.seed",
}
"""Options that are fields of a config under another name; those not given keep what it has."""
LEAST_UPDATES = 3
"""Of a run."""
OF_NEW_RUNS = ("auto_tune", "run_name", "run_suffix", "project", "entity", "no_artifact")
"""Options that a run which is resumed has settled."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Trains PPO on HackMatrix with seed 003's options; those not given have its defaults.

    Minibatches, epochs and learning rate that are not given follow the batch.
    """

    num_envs: int | None = None
    """Environments side by side; by default 256."""
    num_steps: int | None = None
    """Steps of each in a rollout; by default 128."""
    total_timesteps: int | None = None
    """Env steps in all; by default 10,000,000."""
    lr: float | None = None
    """Learning rate; by default 2.5e-4, less where an update makes more gradient steps."""
    gamma: float | None = None
    """Discount factor; by default 0.99."""
    gae_lambda: float | None = None
    """Lambda of the advantage estimates; by default 0.95."""
    num_minibatches: int | None = None
    """Minibatches in an epoch; by default 4, more where the batch is larger."""
    update_epochs: int | None = None
    """Passes over a rollout; by default 4, at least 2 where the batch is larger."""
    clip_eps: float | None = None
    """How far the probability ratio may move the objective; by default 0.2."""
    vf_coef: float | None = None
    """Weight of the critic's loss; by default 0.5."""
    ent_coef: float | None = None
    """Weight of the entropy bonus; by default 0.15."""
    max_grad_norm: float | None = None
    """Largest norm of a gradient; by default 0.5."""
    hidden_dim: int | None = None
    """Width of the dense layers; by default 256."""
    num_layers: int | None = None
    """Number of dense layers; by default 2."""
    log_interval: int | None = None
    """Updates between rows of metrics; by default 10."""
    no_wandb: bool = False
    """Leaves Weights & Biases out."""
    project: str | None = None
    """Of Weights & Biases; by default hackmatrix."""
    entity: str | None = None
    """Of Weights & Biases; by default your own."""
    run_name: str | None = None
    """The run's name; by default hackmatrix-jax, the date and a number."""
    run_suffix: str | None = None
    """What such a name ends with."""
    save_interval_minutes: float | None = None
    """Minutes between checkpoints; by default 10."""
    save_interval: int | None = None
    """Updates between checkpoints, instead of minutes."""
    checkpoint_dir: str = "checkpoints"
    """Where runs are kept."""
    no_artifact: bool = False
    """Sends no files to Weights & Biases."""
    resume: str | None = None
    """A run, or one of its checkpoints: RUN/checkpoints/step_N."""
    rewind: bool = False
    """Lets the checkpoint be an earlier one; what came after it is moved aside."""
    seed: int | None = None
    """Of everything random; by default 0."""
    auto_tune: bool = False
    """Measures a few sizes on this device, and takes the ones that suit it."""
    curriculum: bool = False
    """Begins with an easier game, in three phases."""
    curriculum_start_phase: Literal[1, 2, 3] | None = None
    """The phase to begin with; by default 1."""


def check_options(options: Options) -> None:
    """Raises ConfigError for options that cannot work, alone or together."""
    for name in ("log_interval", "save_interval", "hidden_dim", "num_layers"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: give at least 1.")
    minutes = options.save_interval_minutes
    if minutes is not None and not minutes >= 0:
        raise ConfigError(f"--save-interval-minutes {minutes}: give at least 0.")
    if options.curriculum_start_phase is not None and not options.curriculum:
        raise ConfigError(
            f"--curriculum-start-phase {options.curriculum_start_phase} needs --curriculum: give "
            "it too."
        )
    check_resumed(options)


def check_resumed(options: Options) -> None:
    """Raises ConfigError for options that are of a run that is resumed, or of a new one alone."""
    if options.resume is None:
        if options.rewind:
            raise ConfigError("--rewind is of a run: give --resume RUN/checkpoints/step_N too.")
        return
    for name in OF_NEW_RUNS:
        if getattr(options, name):
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} with --resume: a run keeps what it has, leave it out.")


def typed_of(options: Options) -> set[str]:
    """The fields of a config that the options give."""
    return {field for name, field in FIELDS.items() if getattr(options, name) is not None}


def with_options(config: "TrainConfig", options: Options) -> "TrainConfig":
    """The config with all that the options give but for intervals, which count updates.

    Raises:
        ConfigError: a number of the algorithm is out of its bounds.
    """
    values: dict[str, dict[str, Any]] = {"algo": {}, "runner": {}}
    for name, field in FIELDS.items():
        section, _, own = field.partition(".")
        if getattr(options, name) is not None:
            values[section][own] = getattr(options, name)
    values["algo"] |= _layers(options, config.algo.hidden_sizes)
    algo, runner = (
        replace(config.algo, **values["algo"]),
        replace(config.runner, **values["runner"]),
    )
    schedule = config.env_schedule
    if options.curriculum:
        schedule = f"hackmatrix_{options.curriculum_start_phase or 1}"
    check_bounds(algo)
    return replace(config, algo=algo, runner=runner, env_schedule=schedule)


def _layers(options: Options, sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The dense layers, if a number or a width of them is given."""
    if options.hidden_dim is None and options.num_layers is None:
        return {}
    width = options.hidden_dim or sizes[-1]
    return {"hidden_sizes": (width,) * (options.num_layers or len(sizes))}


def with_intervals(config: "TrainConfig", options: Options, batch: int) -> "TrainConfig":
    """The config with the intervals that are given, in env steps.

    Args:
        config: of a new run, or of one that is resumed.
        options: of the command line.
        batch: env steps of an update.
    """
    changes: dict[str, Any] = {}
    if options.log_interval is not None:
        changes["log_interval"] = options.log_interval * batch
    if options.save_interval is not None:
        changes["checkpoint_interval"] = options.save_interval * batch
        changes |= {"checkpoint_share": 1.0, "checkpoint_minutes": None}
    elif options.save_interval_minutes is not None:
        changes["checkpoint_interval"] = 0
        changes["checkpoint_minutes"] = options.save_interval_minutes
    if options.no_wandb:
        changes["track"] = ()
    return replace(config, runner=replace(config.runner, **changes))


def with_least_budget(config: "TrainConfig", batch: int) -> "TrainConfig":
    """The config, whose run has at least three updates; says so where it had fewer."""
    total, least = config.runner.total_timesteps, LEAST_UPDATES * batch
    if total >= least:
        return config
    say_once(
        f"--total-timesteps {total} is less than {LEAST_UPDATES} updates of {batch} env steps: "
        f"{least} are trained."
    )
    return replace(config, runner=replace(config.runner, total_timesteps=least))
