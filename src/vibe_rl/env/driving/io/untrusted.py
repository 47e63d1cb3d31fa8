"""Values of files that nobody vouches for, as text and numbers, in bounded time and memory.

Lists of a pickle may hold the same list many times, so that a small file describes more than any
memory holds: nothing here walks more than rows of a few numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vibe_rl.errors import ConfigError

COLUMNS = 8
"""Numbers in a row of a list."""
LONGEST_NAME = 200
_NUMBERS = (int, float, np.generic)


def text_of(value: Any) -> str:
    """A name; of what is neither text nor a number only its type."""
    plain = isinstance(value, (str, *_NUMBERS))
    return str(value)[:LONGEST_NAME] if plain else f"({type(value).__name__})"


def array(what: str, value: Any) -> np.ndarray:
    """Numbers as float64, from an array, a number, or a list of numbers or short rows.

    Raises:
        ConfigError: it is anything else; `what` is what the message calls it.
    """
    if isinstance(value, (list, tuple)) and not all(map(_is_row, value)):
        raise ConfigError(f"{what} has rows that are no numbers: give [n, 2] or [n, 3].")
    if not isinstance(value, (list, tuple, np.ndarray, *_NUMBERS)):
        raise ConfigError(f"{what} is a {type(value).__name__}: give an array of numbers.")
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError):
        raise ConfigError(f"{what} is no array of numbers: give rows of one length.") from None


def _is_row(row: Any) -> bool:
    if isinstance(row, np.ndarray):
        return row.size <= COLUMNS
    if isinstance(row, (list, tuple)):
        return len(row) <= COLUMNS and all(isinstance(x, _NUMBERS) for x in row)
    return isinstance(row, _NUMBERS)


def names_in(value: Any) -> Sequence[str]:
    """The names in a list or array; of None, or anything else, none."""
    if isinstance(value, np.ndarray):
        return [text_of(x) for x in value.ravel().tolist()]
    return [text_of(x) for x in value] if isinstance(value, (list, tuple, set)) else []
