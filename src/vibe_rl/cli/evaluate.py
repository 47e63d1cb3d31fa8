"""`vibe-rl evaluate`."""

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.output import evaluation_line, seeds_line
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import by_setting, is_population, members, setting_of, why_diverged

if TYPE_CHECKING:
    from vibe_rl.runner.evaluator import EvalMetrics


def evaluate(args: Sequence[str]) -> None:
    """Plays episodes with a saved agent, or with each of a group, and prints the returns."""
    import tyro  # noqa: PLC0415

    flag = tyro.conf.FlagCreatePairsOff[bool]

    def options(
        run: tyro.conf.Positional[str],
        episodes: int | None = None,
        seed: int | None = None,
        best: flag = False,
        sample: flag = False,
        actor: str | None = None,
        csv: str | None = None,
        overwrite: flag = False,
    ):
        """Greedy episodes of the saved agent, or episodes of another player.

        Args:
            run: Directory of a run, or of a group; with --actor, also the name of an environment.
            episodes: How many; by default as many as in the run's evaluations, without one 100.
            seed: Of fresh episodes; by default those of its last evaluation are repeated.
            best: The agent of the best evaluation instead of the latest.
            sample: The agent explores as in training, instead of acting greedily.
            actor: Who plays instead of the agent: random, or a scripted player of the environment.
            csv: A file to be written, one row an episode.
            overwrite: Replaces that file if it exists.
        """
        how = {"episodes": episodes, "seed": seed, "best": best, "actor": actor, "sample": sample}
        return run, how, csv, overwrite

    target, how, csv, overwrite = parse_words(options, args, "vibe-rl evaluate")
    keep = keeping(csv, overwrite)
    keep(evaluate_members(target, how) if is_there(target, how) else evaluate_alone(target, how))


def keeping(path: str | None, overwrite: bool) -> Callable[[Mapping[str, Any]], None]:
    """What writes the episodes of evaluations, by run, to a file if there is to be one.

    Raises:
        ConfigError: the file cannot be written, before anything is played.
    """
    if path is None:
        return lambda scores: None
    from vibe_rl.experiment.episodes_csv import check_csv_writable, write_episodes  # noqa: PLC0415

    check_csv_writable(path, overwrite)

    def keep(scores: Mapping[str, Any]) -> None:
        write_episodes(path, {Path(run).name: each for run, each in scores.items()}, overwrite)
        print(f"Episodes | {path}")

    return keep


def is_there(target: str, how: Mapping[str, Any]) -> bool:
    """Whether a run is meant, and no environment.

    Raises:
        ConfigError: an environment is, without a player.
    """
    from vibe_rl.env.registry import is_name  # noqa: PLC0415

    if Path(target).is_dir():
        return True
    if how["actor"] is None and is_name(target):
        raise ConfigError(f"{target} is an environment: say who plays, such as --actor random.")
    return how["actor"] is None


def evaluate_alone(env_id: str, how: Mapping[str, Any]) -> "dict[str, EvalMetrics]":
    """Evaluates a player of an environment, without a run."""
    from vibe_rl.experiment.single import evaluate_env  # noqa: PLC0415

    if how["best"] or how["sample"]:
        raise ConfigError(f"{env_id} has no agent: leave out --best and --sample.")
    given = {name: how[name] for name in ("episodes", "seed") if how[name] is not None}
    scores = evaluate_env(env_id, how["actor"], **given)
    print(evaluation_line(scores, how["actor"]))
    return {env_id: scores}


def evaluate_members(run: str, how: Mapping[str, Any]) -> "dict[str, EvalMetrics]":
    """Evaluates a run, or the members of a group that did not diverge."""
    from vibe_rl.experiment import evaluate_run  # noqa: PLC0415

    runs = [os.fspath(member) for member in by_setting(members(run))]
    finite = [each for each in runs or [run] if why_diverged(each) is None]
    scores = {each: evaluate_run(each, **how) for each in finite}
    print_evaluations(runs, scores, how["actor"] or ("sampled" if how["sample"] else "greedy"))
    return scores


def print_evaluations(
    runs: Sequence[str], scores: "Mapping[str, EvalMetrics]", player: str
) -> None:
    """Prints a line for each member of a group and for each setting; of a single run, its line."""
    if not runs:
        print(evaluation_line(next(iter(scores.values())), player))
        return
    for run in runs:
        line = evaluation_line(scores[run], player) if run in scores else "diverged"
        print(f"{Path(run).name} | {line}")
    if is_population(Path(runs[0]).parents[1]):
        return  # its members are not seeds of one setting
    returns = {run: float(scores[run].mean_return) if run in scores else -inf for run in runs}
    for setting, group in groupby(runs, setting_of):
        print((f"{setting} | " if setting else "") + seeds_line([returns[run] for run in group]))
