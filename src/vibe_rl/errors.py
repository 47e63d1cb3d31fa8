"""Errors that refuse or stop a run, each in one sentence."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from typing import Any


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


class NonFiniteLossError(ArithmeticError):
    """A loss became NaN or infinite: names the update at which it appeared."""


class EnvironmentFaultError(NonFiniteLossError):
    """An environment emitted what no loss survives, such as NaN: names it and the env step."""


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that does not exist, with the nearest ones that do."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(names)}."
    return ConfigError(f"unknown {kind} {name!r}: {hint}")


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
        raise ConfigError(f"{prefix}{field.name} {value}: give {bounds}.")


def reason(error: BaseException) -> str:
    """The first line of an error's message, cut at 200 letters; its type if it has no message."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raises UnwritableError about `path` where the file system refuses to write there."""
    try:
        yield
    except ConfigError:
        raise
    except OSError as error:
        raise UnwritableError(
            f"{os.fspath(path)} cannot be written ({error.strerror or error}): free it, or name "
            "another place."
        ) from error
