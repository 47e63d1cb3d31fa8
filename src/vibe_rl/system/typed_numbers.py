"""Whole numbers as people type them: 1e6, where Python takes 1000000 and 1_000_000 alone."""

import re
from collections.abc import Iterable, Iterator

WHOLE_NUMBER = re.compile(r"\d+(\.\d+)?[eE]\+?\d+")
LONGEST = 30
"""Digits of a number that is written out; what has more is left for the field's own refusal."""


def in_digits(word: str) -> str:
    """A whole number that is typed as 1e6 with its digits; other words as they are."""
    if WHOLE_NUMBER.fullmatch(word) and float(word) < 10.0**LONGEST and float(word).is_integer():
        return str(int(float(word)))
    return word


def values_in_digits(args: Iterable[str], options: set[str]) -> Iterator[str]:
    """The words, of which the values of these options are `in_digits`."""
    before = ""
    for arg in args:
        name, equals, value = arg.partition("=")
        if equals and _spelled(name) in options:
            yield f"{name}={in_digits(value)}"
        else:
            yield in_digits(arg) if _spelled(before) in options else arg
        before = arg


def _spelled(option: str) -> str:
    return "--" + option.removeprefix("--").replace("-", "_")
