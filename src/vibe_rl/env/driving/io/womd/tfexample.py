"""tf.Example without TensorFlow: the features of a record by their names, as arrays."""

from collections.abc import Mapping

import numpy as np

from vibe_rl.env.driving.io.womd.wire import (
    BYTES,
    FOUR_BYTES,
    VARINT,
    WireError,
    fields,
    floats,
    varints,
)

Features = Mapping[str, np.ndarray | list[bytes]]
"""float32 and int64 arrays of one axis, lists of bytes."""
_FEATURES, _ENTRY, _KEY, _VALUE = 1, 1, 1, 2
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def features(content: bytes) -> Features:
    """The features of an example.

    Raises:
        WireError: it is none; the message says at which feature, if that is known.
    """
    found: dict[str, np.ndarray | list[bytes]] = {}
    for part in _messages(memoryview(content), _FEATURES):
        for entry in _messages(part, _ENTRY):
            name = b"".join([*_messages(entry, _KEY)][-1:]).decode(errors="replace")
            try:
                for value in _messages(entry, _VALUE):
                    found[name] = _feature(value)
            except WireError as error:
                raise WireError(f"{name}: {error}") from None
    return found


def _messages(data: memoryview, wanted: int) -> list[memoryview]:
    """The contents of a field that holds bytes; others are passed over."""
    contents = [(wire, content) for number, wire, content in fields(data) if number == wanted]
    if any(wire != BYTES for wire, _ in contents):
        raise WireError(f"field {wanted} holds no message")
    return [content for _, content in contents]


def _feature(data: memoryview) -> np.ndarray | list[bytes]:
    """The values of a feature; the last list counts, as of a oneof."""
    values: np.ndarray | list[bytes] = []
    for number, wire, content in fields(data):
        if number not in (_BYTES_LIST, _FLOAT_LIST, _INT64_LIST):
            continue
        if wire != BYTES:
            raise WireError(f"field {number} holds no list")
        if number == _BYTES_LIST:
            values = [bytes(x) for x in _messages(content, 1)]
        else:
            values = _numbers(content, number == _FLOAT_LIST)
    return values


def _numbers(data: memoryview, real: bool) -> np.ndarray:
    """Packed numbers, or one to a field."""
    decode, alone = (floats, FOUR_BYTES) if real else (varints, VARINT)
    parts = [np.zeros(0, np.float32 if real else np.int64)]
    for number, wire, content in fields(data):
        if number != 1:
            continue
        if wire not in (BYTES, alone):
            raise WireError(f"numbers have the wire type {wire}")
        parts.append(decode(content))
    return np.concatenate(parts)
