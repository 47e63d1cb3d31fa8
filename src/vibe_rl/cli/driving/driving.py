"""`vibe-rl driving`: train, by Hydra's overrides, and evaluate."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from vibe_rl.cli.shared.options import asks_help, pop_flag, pop_option
from vibe_rl.cli.shared.output import print_curve, print_ending, print_result
from vibe_rl.errors import ConfigError, unknown

if TYPE_CHECKING:
    from vibe_rl.run_dir.directory import RunDir
    from vibe_rl.runner.fit import FitResult
    from vibe_rl.trainers.driving.composing import Composition

USAGE = """usage: vibe-rl driving train [-m] [--cfg] [--config-dir DIR] [NAME=VALUE ...]
       vibe-rl driving evaluate --actor NAME[,NAME] [--run RUN] [--dataset DIR] --out DIR ...

  train     Train, by Hydra's overrides: vibe-rl driving train algorithm=ppo seed=1.
            Resume: resume=RUN, or resume=auto for the newest run of the same settings.
            -m trains a run for every combination of values: -m seed=1,2,3 algorithm=sac,ppo;
            with hydra/sweeper=optuna, runs that Optuna chooses.
            --cfg prints all settings, or with -m the words of each run, and trains nothing.
            --config-dir has options of your own, such as DIR/algorithm/mine.yaml.
  evaluate  Drive scenarios: an agent, scripted players, or all of them; see its --help."""

MANY = {"-m", "--multirun"}
"""What asks for a run of each combination of values."""
TOLD = ("success", "accuracy", "sdc_progression", "vmax_aggregate_score", "nuplan_aggregate_score")
"""Figures of the last evaluation that are printed, where there are any."""


def driving(args: Sequence[str]) -> None:
    """Trains or evaluates."""
    name = args[0] if args else "--help"
    if name in ("-h", "--help"):
        print(USAGE)
    elif name not in ACTIONS:
        raise unknown("command of driving", name, ACTIONS)
    else:
        ACTIONS[name](args[1:])


def train(args: Sequence[str]) -> None:
    """Trains what overrides describe: a run, or several with -m."""
    if asks_help(args):
        print(help_text())
        return
    config_dir, words = pop_option("--config-dir", args)
    shows, words = pop_flag("--cfg", words)
    several, words = bool(MANY & {*words}), [word for word in words if word not in MANY]
    check_train_words(words, several)
    from vibe_rl.trainers.driving.composing import compose, sweep_words  # noqa: PLC0415 - an extra
    from vibe_rl.trainers.driving.training import resumed_words  # noqa: PLC0415

    if several:
        sweep_words(words, print_words if shows else train_trial, config_dir)
        return
    tree = compose(resumed_words(words), config_dir)
    if shows:
        print(tree_text(tree))
    else:
        _train_one(tree)


def check_train_words(words: Sequence[str], several: bool) -> None:
    """Raises ConfigError for an option that is none, or a run that several are to go on with."""
    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"{word} is no option: give NAME=VALUE, or see --help.")
        if several and word.startswith("resume=") and word != "resume=auto":
            raise ConfigError(f"{word} with -m: a run goes on alone, or give resume=auto.")


def _train_one(tree: "Composition") -> Any:
    """Trains a tree and prints how that ended; the result."""
    from vibe_rl.trainers.driving.training import train_tree  # noqa: PLC0415 - an extra
    from vibe_rl.trainers.driving.trials import trial_callback  # noqa: PLC0415

    found = []

    def show(run_dir: "RunDir", result: "FitResult") -> None:
        found.append(result)
        print_driving(run_dir, result, tree.values["runner"]["plot"])

    print_result(partial(train_tree, tree, trial_callback(tree.values["objective"])), show)
    return found[0]


def train_trial(tree: "Composition") -> float | None:
    """Trains one of several trees; what a sweeper maximizes, if there are evaluations."""
    from vibe_rl.trainers.driving.training import objective_of  # noqa: PLC0415 - an extra

    result = _train_one(tree)
    return None if result.evaluation is None else objective_of(result, tree.values["objective"])


def print_driving(run_dir: "RunDir", result: "FitResult", plot: bool) -> None:
    """Prints how a run ended, in few figures, and how to go on with it."""
    scores, line = result.evaluation, ""
    if scores is not None:
        known = {name.removesuffix("_mean"): float(x) for name, x in scores.metrics.items()}
        told = [f"{name} {known[name]:.3g}" for name in TOLD if name in known]
        drives = f"{len(scores.episode_returns)} drives"
        line = " | ".join(["Evaluation", drives, f"return {float(scores.mean_return):.2f}", *told])
    steps = f"{result.step:,} env steps, {result.updates:,} updates"
    print_ending(run_dir, steps, line, result.interrupted)
    if plot and not result.interrupted:
        print_curve(run_dir)


def help_text() -> str:
    """The usage, the groups with their options, and the keys at the top."""
    from vibe_rl.trainers.driving.groups import DEFAULTS, groups  # noqa: PLC0415

    lines = [USAGE, "", "Groups, GROUP=OPTION:"]
    for group, options in groups().items():
        lines.append(f"  {group:17s} {DEFAULTS[group]}; of {', '.join(options)}")
    return "\n".join([*lines, "", "Keys, NAME=VALUE:", *key_lines()])


def key_lines() -> list[str]:
    """The keys at the top, with what they are at first and what they mean."""
    from vibe_rl.trainers.driving.keys import PipelineKeys, key_names, meanings  # noqa: PLC0415

    told = meanings()
    return [f"  {name} = {getattr(PipelineKeys, name)}\n      {told[name]}" for name in key_names()]


def print_words(tree: "Composition") -> None:
    """Prints the words that a run would be trained by."""
    print(" ".join(tree.words))


def tree_text(tree: "Composition") -> str:
    """The tree as YAML."""
    from vibe_rl.extras import require  # noqa: PLC0415
    from vibe_rl.trainers.driving.composing import NEEDS  # noqa: PLC0415

    omegaconf = require("omegaconf", *NEEDS).OmegaConf
    return omegaconf.to_yaml(omegaconf.create(tree.values)).rstrip()


def evaluate(args: Sequence[str]) -> None:
    """Drives scenarios; see `vibe_rl.cli.driving.evaluate`."""
    from vibe_rl.cli.driving.evaluate import evaluate_drivers  # noqa: PLC0415 - takes a second

    evaluate_drivers(args)


ACTIONS = {"train": train, "evaluate": evaluate}
