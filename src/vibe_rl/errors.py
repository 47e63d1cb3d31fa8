"""Errors that refuse or stop a run, each in one sentence."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from itertools import accumulate
from pathlib import Path
from signal import Signals
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

MOST_SHOWN = 40
"""Letters of a value in a message."""


class ConfigError(ValueError):
    """A setting that cannot work: names the field, its value and the remedy."""


class NoCheckpointError(ConfigError, FileNotFoundError):
    """There is no checkpoint where one was expected."""


class CheckpointExistsError(ConfigError, FileExistsError):
    """There is a checkpoint already where one is to be written."""


class DamagedCheckpointError(ConfigError):
    """A checkpoint that differs from what was saved: truncated or altered."""


class UnwritableError(ConfigError):
    """The file system refuses to write: names the file."""


class EnvironmentDiedError(ConfigError):
    """The process that an environment runs in has ended."""


class NonFiniteLossError(ArithmeticError):
    """A loss became NaN or infinite: names the update at which it appeared."""


class EnvironmentFaultError(NonFiniteLossError):
    """An environment emitted what no loss survives, such as NaN: names it and the env step."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended a call that trains; its checkpoint, if it makes any, is complete.

    Args:
        result: what the call would have returned.
        signal: the signal's number.
    """

    def __init__(self, result: Any, signal: int):
        super().__init__(result, signal)
        self.result, self.signal = result, signal

    def __str__(self) -> str:
        return (
            f"{Signals(self.signal).name} ended the training: resume it, or take what there is "
            "from the result of this exception."
        )


class UnknownNameError(ConfigError, KeyError):
    """A name that does not exist."""

    __str__ = ConfigError.__str__  # KeyError's is in quotes


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a name that does not exist, with the nearest ones that do."""
    names = sorted(known)
    near = []
    if isinstance(name, str):
        near = same_ending(name, names) or get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {listed(names)}."
    return UnknownNameError(f"unknown {kind} {short(name)}: {hint}")


def listed(names: Sequence[str], most: int = 150) -> str:
    """Names with commas between them; those that exceed `most` letters are only counted."""
    letters = accumulate(len(name) + 2 for name in names)
    some = [name for name, end in zip(names, letters, strict=True) if end <= most]
    more = [f"... ({len(names)} in all)"] if len(some) < len(names) else []
    return ", ".join([*some, *more])


def same_ending(name: str, names: Iterable[str]) -> list[str]:
    """The names whose last part is that of `name`, or its initials, as lr is of learning_rate."""
    last = name.rpartition(".")[2]
    wanted = {last, "".join(word[:1] for word in last.split("_"))}
    return [each for each in names if "." in each and each.rpartition(".")[2] in wanted]


def check_bounds(config: Any, prefix: str = "") -> None:
    """Raises ConfigError for the first field of a dataclass that is not within its bounds.

    They stand at the field, see `vibe_rl.types.number` and `static`. None is skipped.
    """
    for field in fields(config):
        bounds, value = field.metadata.get("bounds"), getattr(config, field.name)
        if bounds is None or value is None or bounds.hold(value):
            continue
        if bounds.one_of is not None:
            raise unknown(prefix + field.name, value, bounds.one_of)
        told = f"{prefix}{field.name} {short(value, str)}"
        raise ConfigError(f"{told}: give {bounds.remedy(value)}.")


def short(value: Any, show: Callable[[Any], str] = repr) -> str:
    """A value as a message shows it, in one line that is cut where it is long."""
    line = " ".join(show(value).split())
    return line if len(line) <= MOST_SHOWN else f"{line[: MOST_SHOWN - 3]}..."


def check_kind(name: str, value: Any, *kinds: type) -> None:
    """Raises ConfigError if an argument is of none of these classes, such as a dict."""
    if isinstance(value, kinds):
        return
    names = [kind.__name__ for kind in kinds]
    wanted = f"a {' or '.join(names)}"
    if isinstance(value, Mapping) and len(kinds) == 1:
        wanted = f"{names[0]}(**{name})"
    is_class = isinstance(value, type)
    found = f"the class {value.__name__}" if is_class else f"a {type(value).__name__}"
    raise ConfigError(f"{name} is {found}: give {wanted}.")


def check_flag(name: str, value: Any) -> None:
    """Raises ConfigError for what is neither True nor False."""
    try:
        _bool(value)
    except TypeError as error:
        raise ConfigError(f"{name} {short(value)}: give {error}.") from None


class Typed:
    """The base of configs: a field that is not of its type is refused in one sentence.

    Whole floats become ints, ints of a float's field floats, lists tuples; arrays pass.
    """

    section: ClassVar[str] = ""
    """What the names of fields begin with in messages, such as `runner.`."""

    def __post_init__(self):
        for name, hint in _hints(type(self)).items():
            value = getattr(self, name)
            try:
                typed = _typed(value, hint)
            except TypeError as error:
                raise ConfigError(f"{self.section}{name} {short(value)}: give {error}.") from None
            object.__setattr__(self, name, typed)


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _typed(value: Any, hint: Any) -> Any:
    """The value as one of a type; TypeError, which says what to give, if it is not like one."""
    parts = get_args(hint)
    if type(None) in parts:
        return None if value is None else _typed(value, parts[0])
    if get_origin(hint) is tuple:
        several = isinstance(value, (list, tuple))
        if not several or (Ellipsis not in parts and len(parts) != len(value)):
            raise TypeError(f"a tuple, such as {_EXAMPLES.get(parts[0], '(64, 64)')}")
        return tuple(_typed(x, parts[0]) for x in value)
    return _CONVERSIONS[hint](value) if hint in _CONVERSIONS else value


def whole_number(name: str, value: Any, least: int = 0, of: str = "") -> int:
    """An argument as an int, such as 7.0 as 7; ConfigError if it is not whole, or too small."""
    whose = f" of {of}" if of else ""
    try:
        number = _int(value)
    except TypeError as error:
        raise ConfigError(f"{name} {short(value)}{whose}: give {error}.") from None
    if number < least:
        raise ConfigError(f"{name} {number}{whose}: give at least {least}.")
    return number


def set_whole_numbers(owner: Any, **least: int) -> None:
    """Makes fields of a frozen dataclass ints, of at least so much; see `whole_number`."""
    for name, smallest in least.items():
        number = whole_number(name, getattr(owner, name), smallest, type(owner).__name__)
        object.__setattr__(owner, name, number)


def _number(value: Any) -> Any:
    """A Python number, but for one that JAX traces."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if not _is_real(value):
        raise TypeError("a number")
    array: Any = value
    if array.ndim:
        raise TypeError("one number")
    try:
        return array.item()
    except TypeError:  # JAX's, of what it traces
        return value


def _is_real(value: Any) -> bool:
    """Whether it is an array of real numbers, of NumPy or JAX; neither need be imported."""
    kind = str(getattr(value, "dtype", None))
    return kind.lstrip("bu").startswith(("int", "float")) and hasattr(value, "ndim")


def _int(value: Any) -> Any:
    value = _number(value)
    if isinstance(value, float):
        if not value.is_integer():
            raise TypeError("a whole number")
        value = int(value)
    return _of_64_bits(value)


def _of_64_bits(value: Any) -> Any:
    if isinstance(value, int) and abs(value) >= 2**64:
        raise TypeError("a smaller number")
    return value


def _float(value: Any) -> Any:
    value = _of_64_bits(_number(value))
    return float(value) if isinstance(value, int) else value


def _bool(value: Any) -> Any:
    if not isinstance(value, bool) and getattr(value, "dtype", None) != "bool":
        raise TypeError("True or False")
    return bool(value)


def _str(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError("a name, in quotes")
    return os.fspath(value)


_EXAMPLES = {str: "(one, other)", float: "(0.5, 0.5)"}
_CONVERSIONS = {int: _int, float: _float, bool: _bool, str: _str}


def reason(error: BaseException) -> str:
    """The first line of an error's message, cut at 200 letters; its type if it has no message."""
    return without_password(str(error).strip().partition("\n")[0])[:200] or type(error).__name__


def without_password(text: str) -> str:
    """A text whose addresses do not say who uses them, which is a secret."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def shown(path: str | os.PathLike[str]) -> str:
    """A path as one writes it here: relative if it lies in the working directory."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raises UnwritableError about `path` where the file system refuses to write there."""
    try:
        yield
    except ConfigError:
        raise
    except OSError as error:
        raise UnwritableError(
            f"{shown(path)} cannot be written ({error.strerror or error}): free it, or name "
            "another place."
        ) from error
