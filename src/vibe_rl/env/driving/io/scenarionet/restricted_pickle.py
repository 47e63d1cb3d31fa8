"""Pickles of protocol 2 to 5 as data: a reader of its own, which knows no class and calls nothing.

A name in a pickle is looked up in a table of a few that make arrays, numbers and containers; any
other is refused before anything is made of it. What is read takes no more memory than the file
says it does: no operation allocates by a number that stands in the file. The format is Python's
`pickletools`.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from vibe_rl.env.driving.io.scenarionet.pickled_names import (
    NAMES,
    RefusedError,
    Symbol,
    Unfilled,
    built,
)
from vibe_rl.errors import ConfigError, shown

_MARK = object()
_KEYS = (str, int, float, bool, bytes, type(None))


def read_pickle(path: Path) -> Any:
    """What a pickle holds: dicts, lists, tuples, sets, text, numbers and NumPy arrays.

    Raises:
        ConfigError: the file ends early, is no pickle of protocol 2 to 5, or names anything that is
            not in the table; nothing of it has been executed.
    """
    return parse_pickle(path.read_bytes(), shown(path))


def parse_pickle(data: bytes, name: str) -> Any:
    """`read_pickle` of bytes; `name` is what messages call them."""
    reader = _Reader(data)
    try:
        return reader.run()
    except RefusedError as error:
        raise ConfigError(f"{name}, byte {reader.start}: {error}") from None
    except (struct.error, IndexError):
        raise ConfigError(
            f"{name} ends within the operation at byte {reader.start}: it is truncated or no "
            "pickle, fetch it anew."
        ) from None


def _refuse(what: str) -> NoReturn:
    raise RefusedError(f"{what}: write the scenario anew, with pickle of protocol 2 to 5.")


class _Reader:
    """The stack machine of a pickle."""

    def __init__(self, data: bytes):
        self.data, self.at, self.start = data, 0, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        if self.take(1) != b"\x80" or not 2 <= self.take(1)[0] <= 5:
            _refuse("it does not begin as a pickle of protocol 2 to 5 does")
        while True:
            self.start = self.at
            code = self.take(1)
            if code == b".":
                return self.finish()
            operation = _OPERATIONS.get(code)
            if operation is None:
                _refuse(f"it has the operation {code!r}, which scenarios do not need")
            operation(self)

    def finish(self) -> Any:
        result = self.pop()
        if self.stack or self.data[self.at :].strip(b"\0"):
            _refuse("something follows the end of the pickle")
        return result

    def take(self, count: int) -> bytes:
        """The next bytes; IndexError where there are not as many."""
        end = self.at + count
        if end > len(self.data):
            raise IndexError
        piece, self.at = self.data[self.at : end], end
        return piece

    def number(self, form: str) -> Any:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return value

    def line(self) -> str:
        end = self.data.find(b"\n", self.at)
        return _text(self.take(max(end, self.at) - self.at + 1)[:-1])

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        return _refuse("a mark is where a value is wanted") if value is _MARK else value

    def since_mark(self) -> list[Any]:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                values = self.stack[i + 1 :]
                del self.stack[i:]
                return values
        return _refuse("a mark is missing")

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            _refuse(f"there is no {kind.__name__} to put something into")
        return self.stack[-1]

    def put(self, index: int) -> None:
        if not self.stack or self.stack[-1] is _MARK:
            _refuse("nothing is there to be remembered")
        self.memo[index] = self.stack[-1]
        if isinstance(self.stack[-1], Unfilled):
            self.stack[-1].places.append(index)

    def get(self, index: int) -> None:
        if index not in self.memo:
            _refuse(f"it recalls {index}, which was never remembered")
        self.push(self.memo[index])

    def append(self, values: list[Any]) -> None:
        self.top(list).extend(values)

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2:
            _refuse("a key has no value")
        self.top(dict).update(zip(map(_key, values[::2]), values[1::2], strict=True))

    def add_items(self, values: list[Any]) -> None:
        self.top(set).update(map(_key, values))

    def symbol(self, module: Any, name: Any) -> None:
        named = isinstance(module, str) and isinstance(name, str)
        found = NAMES.get((module, name)) if named else None
        if found is None:
            raise RefusedError(
                f"it names {_shown(module)}.{_shown(name)}, which no scenario needs; nothing was "
                "executed: take the file from a source that you trust."
            )
        self.push(found)

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Symbol) or not isinstance(arguments, tuple):
            _refuse("it calls what is no name of the table")
        self.push(built(function, arguments))

    def build(self) -> None:
        state, what = self.pop(), self.pop()
        if not isinstance(what, Unfilled):
            _refuse(f"it sets the state of a {type(what).__name__}")
        filled = what.fill(state)
        self.push(filled)
        self.memo.update(dict.fromkeys(what.places, filled))


def _key(value: Any) -> Any:
    if type(value) not in _KEYS:
        _refuse(f"a {type(value).__name__} is a key")
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return _refuse("a text is not UTF-8")


def _shown(value: Any) -> str:
    """A name from a file that is not trusted, short and printable."""
    text = value if isinstance(value, str) else type(value).__name__
    return ascii(text[:60])[1:-1]


def _number(form: str) -> Callable[[_Reader], Any]:
    return lambda r: r.push(r.number(form))


def _bytes(form: str, kind: Callable[[bytes], Any] = bytes) -> Callable[[_Reader], Any]:
    return lambda r: r.push(kind(r.take(r.number(form))))


def _long(data: bytes) -> int:
    if len(data) > 16:
        _refuse(f"a number has {len(data)} bytes")
    return int.from_bytes(data, "little", signed=True)


def _last(count: int) -> Callable[[_Reader], Any]:
    return lambda r: r.push(tuple([r.pop() for _ in range(count)][::-1]))


_OPERATIONS: dict[bytes, Callable[[_Reader], Any]] = {
    b"\x80": lambda r: r.take(1),
    b"\x95": lambda r: r.number("<Q"),
    b"(": lambda r: r.push(_MARK),
    b"0": lambda r: r.pop(),
    b"1": lambda r: r.since_mark(),
    b"N": lambda r: r.push(None),
    b"\x88": lambda r: r.push(True),
    b"\x89": lambda r: r.push(False),
    b"J": _number("<i"),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"G": _number(">d"),
    b"\x8a": _bytes("<B", _long),
    b"\x8b": _bytes("<I", _long),
    b"X": _bytes("<I", _text),
    b"\x8c": _bytes("<B", _text),
    b"\x8d": _bytes("<Q", _text),
    b"B": _bytes("<I"),
    b"C": _bytes("<B"),
    b"\x8e": _bytes("<Q"),
    b"\x96": _bytes("<Q"),
    b"]": lambda r: r.push([]),
    b"}": lambda r: r.push({}),
    b"\x8f": lambda r: r.push(set()),
    b")": lambda r: r.push(()),
    b"\x85": _last(1),
    b"\x86": _last(2),
    b"\x87": _last(3),
    b"t": lambda r: r.push(tuple(r.since_mark())),
    b"a": lambda r: r.append([r.pop()]),
    b"e": lambda r: r.append(r.since_mark()),
    b"s": lambda r: r.set_items([r.pop(), r.pop()][::-1]),
    b"u": lambda r: r.set_items(r.since_mark()),
    b"\x90": lambda r: r.add_items(r.since_mark()),
    b"q": lambda r: r.put(r.number("<B")),
    b"r": lambda r: r.put(r.number("<I")),
    b"\x94": lambda r: r.put(len(r.memo)),
    b"h": lambda r: r.get(r.number("<B")),
    b"j": lambda r: r.get(r.number("<I")),
    b"c": lambda r: r.symbol(r.line(), r.line()),
    b"\x93": lambda r: r.symbol(*[r.pop(), r.pop()][::-1]),
    b"R": _Reader.reduce,
    b"b": _Reader.build,
}
