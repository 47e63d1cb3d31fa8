"""What stands beside a picture: numbers of a moment, and bars of what the agent thinks."""

from collections.abc import Iterator, Mapping, Sequence
from math import log
from typing import Any

import numpy as np

from vibe_rl.env.pictures.cells import Row, Span
from vibe_rl.watching.deciding import Choice, Decision
from vibe_rl.watching.games import Moment

TOP = 10
"""The options of a choice that are shown."""
BAR = 10
"""Columns of the longest bar."""
EIGHTHS = " ▏▎▍▌▋▊▉"
FILL, TAKEN, FAINT = (86, 157, 196), (222, 160, 60), (140, 144, 150)
NAME = 12
"""Columns of a name."""
MANY = 8
"""Named numbers, of more than which those that are zero are left out."""


def four_digits(value: float | int) -> str:
    """Four digits, and no more zeros than it needs."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:,.4g}"


def pair(name: str, value: str) -> Row:
    """A name and its value."""
    return (Span(f"{name:{NAME}} ", FAINT), Span(value))


def bar(share: float | int, columns: int = BAR) -> str:
    """A bar as long as this share of the columns, in eighths of one."""
    whole, part = divmod(round(min(max(share, 0.0), 1.0) * columns * 8), 8)
    return "█" * whole + (EIGHTHS[part] if part else "")


def panel(
    title: str,
    moment: Moment,
    decision: Decision | None,
    names: Sequence[str],
    legend: Sequence[Row] = (),
) -> list[Row]:
    """The rows beside the picture of a moment.

    Args:
        title: of the episode.
        moment: what has happened.
        decision: what the agent will do; None at the end of an episode.
        names: of the actions, or empty.
        legend: what can be done, if a person decides.
    """
    rows: list[Row] = [(Span(title, bold=True),), ()]
    rows.append(pair("step", four_digits(moment.number)))
    rows.append(pair("reward", four_digits(moment.reward)))
    rows.append(pair("return", four_digits(moment.episode_return)))
    if decision is not None:
        rows += decided(decision, names)
    rows += [(), *legend] if legend else []
    if moment.done:
        rows += [(), (Span(ending(moment), bold=True),)]
    rows += block_of_numbers("episode", telling(moment.outcome))
    rows += block_of_numbers("reward parts", telling(moment.parts))
    return rows


def decided(decision: Decision, names: Sequence[str]) -> Iterator[Row]:
    """What an agent expects, and its options."""
    if decision.value is not None:
        yield pair("value", four_digits(decision.value))
    actions = np.ravel(decision.action)
    for i, choice in enumerate(decision.choices):
        yield ()
        yield from options(choice, int(actions[i]), names, i if len(actions) > 1 else None)
    if decision.spread is not None:
        yield ()
        yield from _spread(actions, *decision.spread)


def options(
    choice: Choice, taken: int, names: Sequence[str], which: int | None = None
) -> Iterator[Row]:
    """The best options of a choice with their scores and bars, the one that is taken marked."""
    what = "expected returns" if choice.are_values else "probabilities"
    of = "" if which is None else f" of choice {which}"
    best = choice.best
    yield (Span(f"{what}{of}", FAINT),)
    shares = shares_of(choice)
    for option in best[:TOP].tolist():
        name = names[option] if names else ""
        label = f"{option:>3} {name[:NAME]:{NAME}}" if names else f"{option:>3}"
        score = f"{choice.scores[option]:9.4g}" if choice.are_values else _percent(choice, option)
        mark, colour = (">", TAKEN) if option == taken else (" ", FILL)
        yield (
            Span(f"{mark}{label} {score} ", TAKEN if mark == ">" else None),
            Span(bar(float(shares[option])), colour),
        )
    if len(best) > TOP:
        yield (Span(f"    and {len(best) - TOP} more", FAINT),)
    if not choice.are_values:
        yield (Span(entropy(choice), FAINT),)


def _percent(choice: Choice, option: int) -> str:
    return f"{100 * choice.scores[option]:5.1f} %"


def shares_of(choice: Choice) -> np.ndarray:
    """How long the bar of each option is; of values, those between the least and the greatest."""
    if not choice.are_values:
        return choice.scores
    legal = choice.scores[choice.legal]
    low, span = legal.min(), np.ptp(legal)
    return (choice.scores - low) / span if span > 0 else np.ones_like(choice.scores)


def entropy(choice: Choice) -> str:
    """The entropy of a choice and how much of the largest possible that is."""
    n_legal = int(choice.legal.sum())
    if n_legal < 2:
        return f"entropy {choice.entropy:.3f}, one legal option"
    share = choice.entropy / log(n_legal)
    return f"entropy {choice.entropy:.3f}, {100 * share:.0f} % of ln {n_legal}"


def _spread(actions: np.ndarray, mean: np.ndarray, std: np.ndarray) -> Iterator[Row]:
    """Continuous actions, with mean and standard deviation before any bounds."""
    yield (Span("action = mean +- std, before bounds", FAINT),)
    for i, action in enumerate(actions.tolist()):
        yield (Span(f"{i:>3} {action:8.3f} = {mean[i]:8.3f} +- {std[i]:.3f}"),)


def ending(moment: Moment) -> str:
    """How an episode ended."""
    return "the task ended" if moment.terminated else "the time was up"


def telling(values: Mapping[str, float]) -> dict[str, float]:
    """Named numbers, those that are not zero first; of many these only."""
    ordered = sorted(values.items(), key=lambda item: item[1] == 0)
    return {name: x for name, x in ordered if x != 0 or len(ordered) <= MANY}


def block_of_numbers(title: str, values: Mapping[str, Any]) -> list[Row]:
    """A block of named numbers; none if there are none."""
    if not values:
        return []
    width = max(map(len, values))
    rows = [(Span(f"  {k:{width}} {four_digits(v)}"),) for k, v in values.items()]
    return [(), (Span(title, FAINT),), *rows]
