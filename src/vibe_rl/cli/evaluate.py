"""`vibe-rl evaluate`."""

from collections.abc import Sequence
from pathlib import Path

from vibe_rl.cli.scores import describe, summary


def evaluate(args: Sequence[str]) -> None:
    """Evaluate a saved agent: vibe-rl evaluate RUN [--episodes 128] [--seed 1] [--best]."""
    import tyro  # noqa: PLC0415

    from vibe_rl import experiment  # noqa: PLC0415
    from vibe_rl.run_dir import find_runs  # noqa: PLC0415

    def options(
        run: tyro.conf.Positional[str],
        episodes: int | None = None,
        seed: int | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
    ):
        """Greedy episodes of the latest agent, or of the best; by default those it had before."""
        members = [str(member) for member in find_runs(Path(run) / "members")]
        scores = [experiment.evaluate_run(x, episodes, seed, best) for x in members or [run]]
        return members, scores

    members, scores = tyro.cli(options, args=list(args), prog="vibe-rl evaluate")
    if not members:
        print(describe(scores[0]))
        return
    for member, score in zip(members, scores, strict=True):
        print(f"{Path(member).name} | {describe(score)}")
    print(summary([float(score.mean_return) for score in scores]))
