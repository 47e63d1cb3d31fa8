"""`vibe-rl compare`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vibe_rl.cli.shared.options import parse_words
from vibe_rl.cli.shared.output import format_table, try_to_draw

if TYPE_CHECKING:
    from vibe_rl.analysis import Comparison


def compare(args: Sequence[str]) -> None:
    """Prints the scores of methods, and the probability that the first is better than another."""
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
        return list(runs), output, best, metric

    print_comparison(*parse_words(options, args, "vibe-rl compare"))


def print_comparison(runs: Sequence[str], output: str | None, best: bool, metric: str) -> None:
    """Prints the scores of the runs, and draws them if matplotlib is installed."""
    from vibe_rl import analysis  # noqa: PLC0415

    comparison = analysis.compare(runs, metric, best)
    kind = f"best {metric} of each seed, which flatters" if best else f"last {metric} of each seed"
    print(f"Scores | {kind}, {_environments(comparison)}")
    print("\n".join([comparison_table(comparison), *improvement_lines(comparison)]))
    for caveat in comparison.caveats:
        print(f"Caveat | {caveat}")
    path = output or default_output(runs[0])
    try_to_draw("Figure", partial(draw_comparison, comparison, metric, path))


def comparison_table(comparison: "Comparison") -> str:
    """A line for each method, in columns."""
    from vibe_rl.analysis.aggregate import aggregate_strata  # noqa: PLC0415

    rows = [("", "IQM", "95 % interval", "seeds", "worst seed")]
    for name, strata in comparison.scores.items():
        iqm, low, high, n_seeds = aggregate_strata(strata)
        worst = min(float(scores.min()) for scores in strata)
        rows.append((name, f"{iqm:.2f}", f"[{low:.2f}, {high:.2f}]", f"{n_seeds}", f"{worst:.2f}"))
    return format_table(rows, align_right=True)


def improvement_lines(comparison: "Comparison") -> list[str]:
    """A line for each method that the first is compared with."""
    from vibe_rl.analysis.aggregate import improvement  # noqa: PLC0415

    (first, scores), *others = comparison.scores.items()
    chances = {name: improvement(scores, other) for name, other in others}
    return [
        f"P({first} > {name}) | {chance:.2f} [{low:.2f}, {high:.2f}], ties as halves"
        for name, (chance, low, high) in chances.items()
    ]


def draw_comparison(comparison: "Comparison", metric: str, output: str | Path) -> str | Path:
    """Writes the figure; the file."""
    from vibe_rl.plotting import plot_comparison  # noqa: PLC0415

    unit = metric if len(comparison.env_ids) == 1 else f"normalized {metric}"
    title = ", ".join(comparison.env_ids)
    plot_comparison(comparison.scores, unit, title=title, save_path=output)
    return output


def default_output(first: str) -> Path:
    """Among the artifacts of a run or a group; in a folder of runs, beside them."""
    is_run = (Path(first) / "logs").is_dir()
    return Path(first, "artifacts", "compare.png") if is_run else Path(first, "compare.png")


def _environments(comparison: "Comparison") -> str:
    if len(comparison.env_ids) == 1:
        return f"on {comparison.env_ids[0]}"
    scale = "normalized in each environment from 0, the lowest of all seeds, to 1, the highest"
    return f"{scale} ({', '.join(comparison.env_ids)})"
