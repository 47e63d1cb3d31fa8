"""What the few names mean that a pickle of arrays has, and how its values are made of them."""

import re
from collections.abc import Callable
from enum import Enum
from math import prod
from typing import Any, NamedTuple

import numpy as np

_DTYPE = re.compile(r"(b1|[iu][1248]|f[248]|[SU][1-9]\d{0,3})")
MOST_AXES = 8


class RefusedError(ValueError):
    """A pickle that is not read; the file and the place are still to be said."""


class Symbol(Enum):
    """What a name stands for; never the object of that name."""

    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "_reconstruct of an array"
    FROM_BUFFER = "_frombuffer of an array"
    SCALAR = "scalar of NumPy"
    DEFAULTDICT = "collections.defaultdict"
    INT = "int"
    SET = "set"
    BYTES = "bytes"
    ENCODE = "_codecs.encode"


NAMES: dict[tuple[str, str], Symbol] = {
    ("numpy", "ndarray"): Symbol.NDARRAY,
    ("numpy", "dtype"): Symbol.DTYPE,
    ("collections", "defaultdict"): Symbol.DEFAULTDICT,
    ("_codecs", "encode"): Symbol.ENCODE,
    ("__builtin__", "long"): Symbol.INT,
    **{
        (module, kind.value): kind
        for module in ("builtins", "__builtin__")
        for kind in (Symbol.INT, Symbol.SET, Symbol.BYTES)
    },
    **{
        (f"numpy.{core}.{module}", name): kind
        for core in ("core", "_core")
        for module, name, kind in (
            ("multiarray", "_reconstruct", Symbol.RECONSTRUCT),
            ("multiarray", "scalar", Symbol.SCALAR),
            ("numeric", "_frombuffer", Symbol.FROM_BUFFER),
        )
    },
}
"""Of NumPy 1 and 2; `_codecs` and `bytes` are how protocol 2 writes bytes."""


class DType(NamedTuple):
    """The type of an array's numbers; its byte order comes by a state of its own."""

    code: str
    order: str = "<"

    def numpy(self) -> np.dtype[Any]:
        """As NumPy knows it."""
        return np.dtype(self.order + self.code)


class Unfilled:
    """What a name has begun to make; `places` are where the memo holds it."""

    def __init__(self, fill: Callable[[Any], Any]):
        self.fill, self.places = fill, []


def built(function: Symbol, arguments: tuple[Any, ...]) -> Any:
    """What a name makes of arguments; RefusedError if they are not those that pickle writes."""
    made = _MAKERS[function](arguments) if function in _MAKERS else None
    if made is None:
        raise RefusedError(
            f"{function.value} has arguments that pickle does not write: take the file from a "
            "source that you trust."
        )
    return made


def _reconstructed(arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (Symbol.NDARRAY, (0,), b"b"):
            return Unfilled(_filled)


def _filled(state: Any) -> np.ndarray:
    match state:
        case (int(), tuple(shape), DType() as dtype, order, bytes(data)):
            return _array(data, dtype, shape, "F" if order else "C")
        case (int(), tuple(), DType() | Unfilled(), _, list()):
            raise RefusedError("an array holds objects: write it as a list.")
    raise RefusedError("an array's state is not what NumPy writes: write the scenario anew.")


def _from_buffer(arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (bytes(data), DType() as dtype, tuple(shape), "C" | "F" as order):
            return _array(data, dtype, shape, order)


def _array(data: bytes, dtype: DType, shape: tuple[Any, ...], order: str) -> np.ndarray:
    """An array of just these bytes: its shape is checked before anything is allocated."""
    kind = dtype.numpy()
    sized = len(shape) <= MOST_AXES and all(type(n) is int and n >= 0 for n in shape)
    if not sized or prod(shape) * kind.itemsize != len(data):
        raise RefusedError(
            f"an array of {str(shape)[:60]} {kind} has {len(data)} bytes: it is damaged, fetch it "
            "anew."
        )
    values = np.frombuffer(data, kind) if data else np.empty(0, kind)
    return values.reshape(shape, order=order)  # type: ignore[call-overload]


def _dtype(arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (str(code), *_) if _DTYPE.fullmatch(code):
            return Unfilled(lambda state: _ordered(code, state))
        case (str(code), *_):
            raise RefusedError(f"an array is of {code[:20]!a}: write numbers, or a list.")


def _ordered(code: str, state: Any) -> DType:
    match state:
        case (int(), "<" | ">" | "|" | "=" as order, *_):
            return DType(code, order)
    raise RefusedError("a dtype's state is not what NumPy writes: write the scenario anew.")


def _scalar(arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (DType() as dtype, bytes(data)):
            return _array(data, dtype, (), "C").item()


def _encoded(arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (str(text), "latin1"):
            return text.encode("latin1", "replace")


def _defaultdict(arguments: tuple[Any, ...]) -> Any:
    return {} if arguments in ((), (Symbol.INT,)) else None


def _set(arguments: tuple[Any, ...]) -> Any:
    match arguments:
        case (list(values),) if all(isinstance(x, (str, int, float)) for x in values):
            return set(values)


_MAKERS: dict[Symbol, Callable[[tuple[Any, ...]], Any]] = {
    Symbol.RECONSTRUCT: _reconstructed,
    Symbol.FROM_BUFFER: _from_buffer,
    Symbol.DTYPE: _dtype,
    Symbol.SCALAR: _scalar,
    Symbol.ENCODE: _encoded,
    Symbol.DEFAULTDICT: _defaultdict,
    Symbol.SET: _set,
    Symbol.INT: lambda arguments: 0 if arguments == () else None,
    Symbol.BYTES: lambda arguments: b"" if arguments == () else None,
}
