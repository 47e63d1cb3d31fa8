"""Episodes as lines of text: one for a step, one for an end, or a block for all about a step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vibe_rl.env.pictures.cells import Row, Span
from vibe_rl.errors import ConfigError
from vibe_rl.types import PyTree
from vibe_rl.watching.deciding import Decision
from vibe_rl.watching.games import Moment
from vibe_rl.watching.panel import block_of_numbers, decided, four_digits, pair, telling

SHORT = 8
"""Entries of an array that are written out."""


def step_line(moment: Moment, decision: Decision, after: Moment, names: Sequence[str]) -> str:
    """What was done at a moment, how likely that was, and what it brought."""
    fields = [f"step {moment.number}", f"action {action_text(decision, names)}"]
    if decision.value is not None:
        fields.append(f"value {four_digits(decision.value)}")
    fields += [f"reward {four_digits(after.reward)}", f"return {four_digits(after.episode_return)}"]
    parts = {name: value for name, value in after.parts.items() if value}
    return " | ".join([*fields, *_listed(parts)])


def action_text(decision: Decision, names: Sequence[str]) -> str:
    """An action, by its name if it has one, and its probability."""
    actions = np.ravel(decision.action)
    if actions.dtype.kind == "f":
        return " ".join(f"{x:.3g}" for x in actions.tolist())
    text = " ".join(str(names[i] if names else i) for i in actions.tolist())
    choices = [each for each in decision.choices if not each.are_values]
    if not choices:
        return text
    chances = [each.scores[i] for each, i in zip(choices, actions.tolist(), strict=True)]
    return f"{text} ({100 * float(np.prod(chances)):.1f} %)"


def _listed(values: Mapping[str, float]) -> list[str]:
    """Named numbers, each a text."""
    return [f"{name} {four_digits(value)}" for name, value in values.items()]


def end_line(episode: int, moment: Moment) -> str:
    """How an episode went; `episode` counts from 1."""
    how = "cut short" if not moment.done else "terminated" if moment.terminated else "truncated"
    fields = [f"episode {episode}", f"return {four_digits(moment.episode_return)}"]
    fields.append(f"{moment.number:,} env steps, {how}")
    return " | ".join([*fields, *_listed(telling(moment.outcome))])


def step_block(
    moment: Moment, decision: Decision, after: Moment, names: Sequence[str]
) -> Iterator[Row]:
    """All that is known of a step, some rows."""
    yield (Span(f"step {moment.number}", bold=True),)
    yield from summary_rows("obs", moment.obs)
    yield from state_rows(moment)
    yield pair("action", action_text(decision, names))
    yield from decided(decision, names)
    yield ()
    yield pair("reward", four_digits(after.reward))
    yield pair("return", four_digits(after.episode_return))
    yield from block_of_numbers("reward parts", telling(after.parts))
    yield from block_of_numbers("episode", telling(after.outcome))
    yield ()


def state_rows(moment: Moment) -> Iterator[Row]:
    """The state of an environment: its picture if that is text, else its arrays."""
    try:
        picture = moment.picture()
    except ConfigError:
        picture = None
    if isinstance(picture, tuple):
        yield from picture
    else:
        yield from summary_rows("state", dict(moment.state))


def summary_rows(what: str, tree: PyTree) -> Iterator[Row]:
    """A row for each array of a tree."""
    for name, text in summaries(tree):
        yield pair(what, f"{name} {text}".strip())


def summaries(tree: PyTree) -> Iterator[tuple[str, str]]:
    """A name and a text for each array of a tree, in the array's own units."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        yield name, summary_line(np.asarray(leaf))


def summary_line(array: np.ndarray | Any) -> str:
    """The entries of a short array; of a long one its shape, range and mean."""
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if array.size <= SHORT:
        return " ".join(four_digits(x) for x in array.ravel().tolist()) or "empty"
    shape = " x ".join(map(str, array.shape))
    ends = f"{four_digits(array.min().item())} to {four_digits(array.max().item())}"
    filled = np.count_nonzero(array)
    return f"[{shape}] {ends}, mean {four_digits(array.mean().item())}, {filled} not zero"
