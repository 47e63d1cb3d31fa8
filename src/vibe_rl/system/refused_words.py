"""What tyro says of words that it refuses: a box of lines, of which this makes one sentence."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from itertools import takewhile

from vibe_rl.errors import ConfigError

REMEDIES = (
    (r"(?P<option>--\S+): .*could not convert string to float: (?P<value>.*)", "give a number."),
    (r"(?P<option>--\S+): .*invalid literal for int\(\) .*: (?P<value>.*)", "give a whole number."),
    (
        r"(?P<option>--\S+): .*valid parse for arguments: \[(?P<value>.*)\]",
        "write a tuple as '(128, 128)' or 128 128.",
    ),
    (
        r"(?P<option>--\S+): Failed to parse key-value pairs(?P<value>)!",
        "write each name and its value, such as size 4.",
    ),
    (
        r"invalid choice (?P<value>.*) for argument '(?P<option>--\S+)'. Expected (?P<rest>.*)",
        "give {rest}.",
    ),
    (
        r"Missing value for argument '(?P<option>--\S+)'(?P<value>). Expected 1 values",
        "give a value.",
    ),
    (
        r"Missing value for argument '(?P<option>--\S+)'(?P<value>). Expected (?P<rest>.*)",
        "give {rest}.",
    ),
    (
        r"Missing from .*?: (?P<option>--\S+) \S+ (?P<rest>.*?)\.? \(required\)(?P<value>).*",
        "give it ({rest}).",
    ),
    (
        r"Missing from (?P<option>.*?)(?P<value>): \S+ (?P<rest>.*?)\.? \(required\).*",
        "name one word more ({rest}).",
    ),
    (
        r"Unrecognized options: (?P<option>[^\s,]+)(?P<value>).*",
        "leave it out, or see {command} --help.",
    ),
    (r"(?:config|__tyro\S*|\w*Options): (?P<option>.+?)(?P<value>): (?P<rest>.*)", "{rest}."),
)
"""What tyro says, and the remedy. The option and its value stand before that."""


@contextmanager
def one_sentence(command: str) -> Iterator[None]:
    """Turns the box of lines with which tyro refuses a word into a ConfigError of one sentence."""
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            yield
    except SystemExit as end:
        if not end.code:  # --help
            raise
        raise ConfigError(sentence(_between_rules(box.getvalue()), command)) from None


def sentence(said: str, command: str) -> str:
    """What tyro said about a word, in our words where there are some."""
    said = said.removeprefix("Error parsing ").rstrip(".")
    for pattern, remedy in REMEDIES:
        if match := re.fullmatch(pattern, said):
            parts = match.groupdict("")
            value = parts["value"].strip("'").replace("', '", " ")
            what = f"{_with_underscores(parts['option'])} {value}".strip()
            parts["rest"] = _without_quotes(parts.get("rest", ""))
            return f"{what}: {remedy.format(command=command, **parts)}"
    return f"{said}: see {command} --help."


def _without_quotes(rest: str) -> str:
    """Choices in the order of the alphabet, as one types them; tyro has them in any."""
    if not rest.startswith("one of ("):
        return rest
    names = sorted(set(re.findall("'([^']*)'", rest)) - {"None"})
    return f"one of {', '.join(names)}"


def _with_underscores(option: str) -> str:
    """An option as fields are called, and what follows it; other words as they are."""
    name, space, rest = option.removeprefix("--").partition(" ")
    return f"--{name.replace('-', '_')}{space}{rest}" if option.startswith("--") else option


def _between_rules(box: str) -> str:
    """What stands between the first two rules of a box, with or without edges (ASCII has none)."""
    lines = iter([line.strip("│ ") for line in box.splitlines()])
    next((line for line in lines if _is_rule(line)), None)
    return " ".join(takewhile(lambda line: not _is_rule(line), lines))


def _is_rule(line: str) -> bool:
    return line.startswith("╭") or (bool(line) and not line.strip("─-"))
