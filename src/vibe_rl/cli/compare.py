"""`vibe-rl compare`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_rl.errors import ConfigError

if TYPE_CHECKING:
    from vibe_rl.analysis import Comparison


def compare(args: Sequence[str]) -> None:
    """Prints the scores of the methods given, and how likely the first is the better one."""
    import tyro  # noqa: PLC0415

    def options(
        runs: tyro.conf.Positional[tuple[str, ...]],
        output: str | None = None,
        best: tyro.conf.FlagCreatePairsOff[bool] = False,
        metric: str = "eval_return",
    ):
        """Interquartile means, their 95 % intervals, and the probability that the first is better.

        Args:
            runs: Each a run, a group of seeds, or a folder that holds several of these.
            output: File of the figure; by default compare.png in the artifacts of the first.
            best: Score a seed by its best evaluation instead of its last, which flatters.
            metric: What to score by, a key of the rows of metrics; more is better.
        """
        report(list(runs), output, best, metric)

    tyro.cli(options, args=list(args), prog="vibe-rl compare")


def report(runs: Sequence[str], output: str | None, best: bool, metric: str) -> None:
    """Prints what the runs come to, and draws it if matplotlib is installed."""
    from vibe_rl import analysis as comparison  # noqa: PLC0415

    found = comparison.compare(runs, metric, best)
    kind = f"best {metric} of each seed, which flatters" if best else f"last {metric} of each seed"
    print(f"Scores | {kind}, {_environments(found)}")
    print("\n".join([*table(found), *improvements(found)]))
    for doubt in found.doubts:
        print(f"Note | {doubt}")
    try:
        print(f"Figure | {draw(found, metric, output or default_output(runs[0]))}")
    except ConfigError as error:
        print(f"Figure | none: {error}")


def table(found: "Comparison") -> list[str]:
    """A line for each method, in columns."""
    from vibe_rl.analysis.aggregate import aggregate_strata  # noqa: PLC0415

    rows = [("", "IQM", "95 % interval", "seeds", "worst seed")]
    for name, strata in found.scores.items():
        iqm, low, high, n_seeds = aggregate_strata(strata)
        worst = min(float(scores.min()) for scores in strata)
        rows.append((name, f"{iqm:.2f}", f"[{low:.2f}, {high:.2f}]", f"{n_seeds}", f"{worst:.2f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_aligned(row, widths) for row in rows]


def improvements(found: "Comparison") -> list[str]:
    """A line for each method that the first is held against."""
    from vibe_rl.analysis.aggregate import improvement  # noqa: PLC0415

    (first, scores), *others = found.scores.items()
    chances = {name: improvement(scores, other) for name, other in others}
    return [
        f"P({first} > {name}) | {chance:.2f} [{low:.2f}, {high:.2f}], ties as halves"
        for name, (chance, low, high) in chances.items()
    ]


def draw(found: "Comparison", metric: str, output: str | Path) -> str | Path:
    """Writes the figure; ConfigError without matplotlib."""
    from vibe_rl.plotting import plot_comparison  # noqa: PLC0415

    unit = metric if len(found.env_ids) == 1 else f"normalized {metric}"
    plot_comparison(found.scores, unit, title=", ".join(found.env_ids), save_path=output)
    return output


def default_output(first: str) -> Path:
    """Among the artifacts of a run or a group; in a folder of runs, beside them."""
    from vibe_rl.run_dir.directory import RunDir  # noqa: PLC0415

    is_run = (Path(first) / "logs").is_dir()
    return RunDir.open(first).artifact_path("compare.png") if is_run else Path(first, "compare.png")


def _environments(found: "Comparison") -> str:
    if len(found.env_ids) == 1:
        return f"on {found.env_ids[0]}"
    scale = "normalized in each environment from 0, the lowest of all seeds, to 1, the highest"
    return f"{scale} ({', '.join(found.env_ids)})"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join([row[0].ljust(widths[0]), *cells])
