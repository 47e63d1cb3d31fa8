"""`vibe-rl evaluate`."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import inf
from pathlib import Path
from typing import Any

from vibe_rl.cli.scores import describe, summary
from vibe_rl.run_dir.group import by_setting, is_population, members, setting_of, why_diverged


def evaluate(args: Sequence[str]) -> None:
    """Plays greedy episodes with a saved agent, or with each of a group, and prints the returns."""
    import tyro  # noqa: PLC0415

    from vibe_rl import experiment  # noqa: PLC0415

    def options(
        run: tyro.conf.Positional[str],
        episodes: int | None = None,
        seed: int | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
    ):
        """Greedy episodes of the latest agent, or of the best; by default those it had before."""
        how = episodes, seed, best
        runs = [str(member) for member in by_setting(members(run))]
        sound = [x for x in runs or [run] if why_diverged(x) is None]
        return runs, {x: experiment.evaluate_run(x, *how) for x in sound}

    runs, scores = tyro.cli(options, args=list(args), prog="vibe-rl evaluate")
    tell(runs, scores)


def tell(runs: Sequence[str], scores: Mapping[str, Any]) -> None:
    """A line for each run, and one for each setting over its seeds."""
    if not runs:
        print(describe(*scores.values()))
        return
    for run in runs:
        said = describe(scores[run]) if run in scores else "diverged"
        print(f"{Path(run).name} | {said}")
    if is_population(Path(runs[0]).parents[1]):
        return  # its members are no seeds of one setting
    returns = {x: float(scores[x].mean_return) if x in scores else -inf for x in runs}
    for setting, group in groupby(runs, setting_of):
        print((f"{setting} | " if setting else "") + summary([returns[x] for x in group]))
