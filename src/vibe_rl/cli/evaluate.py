"""`vibe-rl evaluate`."""

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibe_rl.cli.options import parse_words
from vibe_rl.cli.output import evaluation_line, seeds_line
from vibe_rl.run_dir.group import by_setting, is_population, members, setting_of, why_diverged

if TYPE_CHECKING:
    from vibe_rl.runner.evaluator import EvalMetrics


def evaluate(args: Sequence[str]) -> None:
    """Plays greedy episodes with a saved agent, or with each of a group, and prints the returns."""
    import tyro  # noqa: PLC0415

    def options(
        run: tyro.conf.Positional[str],
        episodes: int | None = None,
        seed: int | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
    ):
        """Greedy episodes of the saved agent.

        Args:
            run: Directory of a run, or of a group.
            episodes: How many; by default as many as in the run's evaluations.
            seed: Of fresh episodes; by default those of its last evaluation are repeated.
            best: The agent of the best evaluation instead of the latest.
        """
        return run, {"episodes": episodes, "seed": seed, "best": best}

    evaluate_members(*parse_words(options, args, "vibe-rl evaluate"))


def evaluate_members(run: str, how: Mapping[str, Any]) -> None:
    """Evaluates a run, or the members of a group that did not diverge."""
    from vibe_rl.experiment import evaluate_run  # noqa: PLC0415

    runs = [os.fspath(member) for member in by_setting(members(run))]
    finite = [each for each in runs or [run] if why_diverged(each) is None]
    print_evaluations(runs, {each: evaluate_run(each, **how) for each in finite})


def print_evaluations(runs: Sequence[str], scores: "Mapping[str, EvalMetrics]") -> None:
    """Prints a line for each member of a group and for each setting; of a single run, its line."""
    if not runs:
        print(evaluation_line(*scores.values()))
        return
    for run in runs:
        line = evaluation_line(scores[run]) if run in scores else "diverged"
        print(f"{Path(run).name} | {line}")
    if is_population(Path(runs[0]).parents[1]):
        return  # its members are not seeds of one setting
    returns = {run: float(scores[run].mean_return) if run in scores else -inf for run in runs}
    for setting, group in groupby(runs, setting_of):
        print((f"{setting} | " if setting else "") + seeds_line([returns[run] for run in group]))
