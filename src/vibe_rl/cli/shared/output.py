"""What commands print: endings, tables and figures, a line each."""

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from vibe_rl.cli.plot import draw_curves
from vibe_rl.errors import ConfigError, TrainingInterrupted
from vibe_rl.run_dir.directory import CURVE
from vibe_rl.run_dir.group import by_setting, members, why_diverged

if TYPE_CHECKING:
    from vibe_rl.run_dir.directory import RunDir
    from vibe_rl.runner.evaluator import EvalMetrics


def print_result(train: Callable[[], Any], show: Callable[..., object]) -> None:
    """Trains and shows what comes out; of an interrupted training too, whose exception goes on.

    The parts of a tuple are arguments of `show` each; anything else is the only one.
    """
    try:
        result = train()
    except TrainingInterrupted as interrupted:
        show(*_parts(interrupted.result))
        raise
    show(*_parts(result))


def _parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def print_ending(run_dir: "RunDir", steps: str, result: str, interrupted: bool) -> None:
    """Prints how a run or a group ended, and how to resume it.

    Args:
        run_dir: of the run or the group.
        steps: how far it was trained, or "".
        result: printed if the training is complete.
        interrupted: whether a signal ended the training.
    """
    ending = "interrupted" if interrupted else "complete"
    print(f"Training {ending} | {steps}" if steps else f"Training {ending}")
    print_diverged(run_dir)
    if result and not interrupted:
        print(result)
    print(f"Run | {run_dir}")
    if interrupted:
        print(f"Resume with | {shlex.join(['vibe-rl', 'train', '--resume', str(run_dir)])}")


def print_diverged(group: "RunDir") -> None:
    """Prints a line for every member that diverged; for a single run none."""
    for run in by_setting(members(group)):
        reason = why_diverged(run)
        if reason is not None:
            print(f"Diverged | {run.root.name}: {reason}")


def print_group(
    group: "RunDir",
    ranking: Sequence[Any],
    table: Callable[[Any], str],
    label: str,
    draw: Callable[[], object],
) -> None:
    """Prints, and draws, how a group that is ranked ended.

    Args:
        group: its directory.
        ranking: the best first; empty if a signal ended the training.
        table: the text of a ranking.
        label: of the figure that shows the ranking.
        draw: writes that figure; its path.
    """
    from vibe_rl.experiment.config_files import read_config  # noqa: PLC0415

    print_ending(group, "", table(ranking) if ranking else "", interrupted=not ranking)
    if ranking and read_config(group).runner.plot:
        try_to_draw(label, draw)
        print_curve(group)


def print_curve(run_dir: "RunDir") -> None:
    """Prints where the reward curve of a run or a group is, or why there is none."""
    curve = run_dir.artifact_path(CURVE)
    if curve.exists():
        print(f"Reward curve | {run_dir.shown(curve)}")
    else:
        try_to_draw("Reward curve", partial(draw_curves, [run_dir]))  # which says why not


def try_to_draw(label: str, draw: Callable[[], object]) -> None:
    """Prints the path of the figure that `draw` writes, or why there is none.

    A command does not fail because matplotlib or something to draw is missing.
    """
    try:
        print(f"{label} | {draw()}")
    except ConfigError as error:
        print(f"{label} | none: {error}")


def evaluation_line(evaluation: "EvalMetrics", player: str = "greedy") -> str:
    """One line about an evaluation.

    Args:
        evaluation: its results, those of the env's own metrics among them.
        player: who played, a word before "episodes".
    """
    mean, std = float(evaluation.mean_return), float(evaluation.std_return)
    episodes = len(evaluation.episode_returns)
    return (
        f"return {mean:.2f} +- {std:.2f} over {episodes} {player} episodes, "
        f"length {float(evaluation.mean_length):.1f}{own_figures(evaluation)}"
    )


def own_figures(evaluation: "EvalMetrics") -> str:
    """The env's own metrics of an evaluation, after a comma each."""
    from vibe_rl.tracking.log_lines import metric_text  # noqa: PLC0415

    own = evaluation.metrics.items()
    return "".join(f", {name} {metric_text(float(figure))}" for name, figure in own)


def seeds_line(returns: Sequence[float]) -> str:
    """One line about the mean returns of several seeds."""
    from vibe_rl.analysis.aggregate import aggregate  # noqa: PLC0415

    iqm, low, high, n_seeds = aggregate(returns)
    worst = return_text(min(returns))
    return f"IQM {iqm_text(iqm, low, high)} of {n_seeds} seeds (95 % bootstrap), worst {worst}"


def return_text(value: float) -> str:
    """A return; -inf is that of a run that diverged."""
    return "diverged" if value == -inf else f"{value:.2f}"


def iqm_text(iqm: float, low: float, high: float) -> str:
    """An interquartile mean with its interval."""
    return "diverged" if iqm == -inf else f"{iqm:.2f} [{low:.2f}, {high:.2f}]"


def format_table(rows: Sequence[Sequence[str]], align_right: bool = False) -> str:
    """Rows as lines whose cells stand below each other, the first column always to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [cell.rjust(n) if align_right else cell.ljust(n) for cell, n in others]
        lines.append("  ".join([first[0].ljust(first[1]), *cells]).rstrip())
    return "\n".join(lines)
