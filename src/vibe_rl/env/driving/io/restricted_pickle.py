"""Pickles of others, read without running anything of them: numbers, text, lists, dicts, arrays.

Every name that a pickle refers to is looked up in a short list, and what it gets is a stand-in of
this module. Even numpy's own functions are not called: crafted states of them corrupt the memory.
"""

import io
import pickle
import re
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from vibe_rl.errors import ConfigError, reason, shown

DEEPEST, MOST_AXES = 32, 8
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|U[1-9]\d{0,3})")


def read_pickle(path: Path) -> Any:
    """What is pickled in a file.

    Raises:
        ConfigError: it is no pickle, or one that asks for more than plain data and numpy arrays.
    """
    try:
        return plain_pickle(path.read_bytes())
    except Exception as error:
        raise ConfigError(
            f"{shown(path)} is no pickle of plain data ({reason(error)}): export it anew."
        ) from None


def plain_pickle(content: bytes) -> Any:
    """What bytes have pickled; raises any exception if they are damaged or ask for more."""
    return _finished(_Unpickler(io.BytesIO(content)).load(), {}, 0)


class _Maker:
    """What a name of the pickle stands for: it can be called, and nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]):
        object.__setattr__(self, "_make", make)

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"it sets {name!r} of a function")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it sets the state of a function")


class _Dtype:
    """A dtype that is still to be told its byte order."""

    __slots__ = ("text",)

    def __init__(self, text: Any, *_: Any):
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise pickle.UnpicklingError(f"it has arrays of {str(text)[:40]!r}")
        self.text = text.lstrip("<>|=")

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("it has a dtype without a byte order")
        self.text = order + self.text.lstrip("<>|=")


class _Array:
    """An array that is still to be told its shape, dtype and content."""

    __slots__ = ("value",)

    def __init__(self, *_: Any):
        self.value = np.zeros(0)  # whatever shape is asked for: the state says it again

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Dtype) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("it has an array of something else than numbers or text")
        kind = np.dtype(dtype.text)
        sizes = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if not sizes or len(shape) > MOST_AXES or prod(shape) * kind.itemsize != len(content):
            raise pickle.UnpicklingError(
                f"it has an array of shape {str(shape)[:40]} with {len(content)} bytes"
            )
        flat = np.frombuffer(content, kind)
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _no_array(*_: Any) -> Any:
    raise pickle.UnpicklingError("it makes an array by its class")


def _dict(*_: Any) -> dict[Any, Any]:
    return {}


_NAMES = {
    ("numpy", "ndarray"): _no_array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("builtins", "int"): lambda value=0: int(value),
    ("collections", "defaultdict"): _dict,
}
"""All that a pickle may refer to."""


class _Unpickler(pickle._Unpickler):  # that of C allocates all that a pickle names
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it refers to {f'{module}.{name}'[:80]!r}")
        return _Maker(_NAMES[module, name])


def _finished(value: Any, seen: dict[int, Any], depth: int) -> Any:
    """The value with its arrays, each object of it once."""
    if depth > DEEPEST:
        raise pickle.UnpicklingError(f"it is nested more than {DEEPEST} deep, or holds itself")
    if isinstance(value, (_Maker, _Dtype)):
        raise pickle.UnpicklingError("it holds a function or a dtype")
    if isinstance(value, _Array):
        return value.value
    if id(value) not in seen:
        seen[id(value)] = _copied(value, seen, depth + 1)
    return seen[id(value)]


def _copied(value: Any, seen: dict[int, Any], depth: int) -> Any:
    if isinstance(value, dict):
        return {key: _finished(x, seen, depth) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_finished(x, seen, depth) for x in value)
    return value
