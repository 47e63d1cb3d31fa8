"""Records of any kind as values that JSON can hold."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any


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
