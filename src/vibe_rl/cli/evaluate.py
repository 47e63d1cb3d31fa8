"""`vibe-rl evaluate`."""

from collections.abc import Sequence
from itertools import groupby
from math import inf
from pathlib import Path

from vibe_rl.cli.groups import members_of, setting_of, why_diverged
from vibe_rl.cli.scores import describe, summary


def evaluate(args: Sequence[str]) -> None:
    """Evaluate a saved agent: vibe-rl evaluate RUN [--episodes 128] [--seed 1] [--best]."""
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
        members = members_of(run)
        sound = [x for x in members or [run] if why_diverged(x) is None]
        return members, {x: experiment.evaluate_run(x, *how) for x in sound}

    members, scores = tyro.cli(options, args=list(args), prog="vibe-rl evaluate")
    if not members:
        print(describe(*scores.values()))
        return
    for member in members:
        said = describe(scores[member]) if member in scores else "diverged"
        print(f"{Path(member).name} | {said}")
    returns = {x: float(scores[x].mean_return) if x in scores else -inf for x in members}
    for setting, group in groupby(members, setting_of):
        print((f"{setting} | " if setting else "") + summary([returns[x] for x in group]))
