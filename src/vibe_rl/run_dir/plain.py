"""Records of any kind as values that JSON can hold."""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vibe_rl.errors import ConfigError, check_kind, reason, short


def plain(value: Any) -> Any:
    """`value` as dicts, lists, strings, numbers and None, which JSON can hold."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    record = _record(value)
    if record is not None:
        return {str(key): plain(item) for key, item in record.items()}
    if hasattr(value, "tolist"):  # a NumPy or JAX array or scalar
        return plain(value.tolist())
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return getattr(value, "__qualname__", None) or str(value)


def as_json(name: str, record: Mapping[str, Any], taken: Sequence[str] = ()) -> dict[str, Any]:
    """A user's record as JSON brings it back.

    Args:
        name: what messages call it.
        record: names and what JSON can hold, arrays as lists.
        taken: names that are not free.

    Raises:
        ConfigError: it cannot be written, or has a name that is not free.
    """
    check_kind(name, record, dict, Mapping)
    for key in taken:
        if key in record:
            raise ConfigError(f"{name} {key!r} is a name of the checkpoint's own: rename it.")
    try:
        return json.loads(json.dumps(dict(record), default=_as_numbers))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{name} cannot be written as JSON ({reason(error)}): give names and numbers."
        ) from None


def _as_numbers(value: Any) -> Any:
    """An array as numbers, which may be NaN in Python's JSON; paths and records as in a config."""
    if hasattr(value, "tolist"):
        return value.tolist()
    written = plain(value)
    if isinstance(written, str) and not isinstance(value, os.PathLike):  # only called like it
        raise TypeError(f"{short(value)} is neither")
    return written


def plain_text(value: Any) -> str:
    """The same text for the same values, to compare what two processes were given."""
    return json.dumps(plain(value), sort_keys=True)


def _record(value: Any) -> Mapping[Any, Any] | None:
    """`value` as a mapping from names to values, or None if it is not a record."""
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    for method in ("_asdict", "to_dict"):
        if hasattr(value, method):
            return getattr(value, method)()
    return value if isinstance(value, Mapping) else None
