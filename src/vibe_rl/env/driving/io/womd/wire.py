"""The wire format of protocol buffers: the fields of a message, and packed numbers at once."""

from collections.abc import Iterator

import numpy as np

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
"""Wire types; groups, 3 and 4, are refused."""
LONGEST = 10
"""Bytes of a varint of 64 bits."""


class WireError(ValueError):
    """Bytes that are no message of these fields."""


def fields(data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Number, wire type and content of each field of a message; a varint's is its bytes.

    Raises:
        WireError: a field ends behind the message, or is of a wire type that there is not.
    """
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise WireError(f"a field has the number {number}")
        begin, at = _extent(data, at, wire)
        if at > len(data):
            raise WireError(f"field {number} ends {at - len(data)} bytes behind its message")
        yield number, wire, data[begin:at]


def _extent(data: memoryview, at: int, wire: int) -> tuple[int, int]:
    """From where to where the content of a field goes."""
    if wire == VARINT:
        return at, varint(data, at)[1]
    if wire == BYTES:
        length, begin = varint(data, at)
        return begin, begin + length
    if wire not in (EIGHT_BYTES, FOUR_BYTES):
        raise WireError(f"a field has the wire type {wire}")
    return at, at + (8 if wire == EIGHT_BYTES else 4)


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The unsigned number at a place, and the place behind it; WireError if it is no varint."""
    value = 0
    for i, byte in enumerate(data[at : at + LONGEST]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            if value >= 2**64:
                raise WireError("a varint has more than 64 bits")
            return value, at + i + 1
    raise WireError("a varint does not end")


def varints(data: memoryview) -> np.ndarray:
    """Packed varints as int64 `[n]`; WireError where one does not end, or has more than 64 bits."""
    found = np.frombuffer(data, np.uint8)
    if not found.size:
        return np.zeros(0, np.int64)
    ends = np.flatnonzero(found < 128)
    if not ends.size or ends[-1] != len(found) - 1:
        raise WireError("a varint does not end")
    begins = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - begins + 1
    if (lengths > LONGEST).any() or (found[ends[lengths == LONGEST]] > 1).any():
        raise WireError("a varint has more than 64 bits")
    place = np.arange(len(found)) - np.repeat(begins, lengths)
    parts = (found & 127).astype(np.uint64) << (7 * place).astype(np.uint64)
    return np.bitwise_or.reduceat(parts, begins).view(np.int64)


def floats(data: memoryview) -> np.ndarray:
    """Packed float32 `[n]`; WireError if the bytes are no multiple of four."""
    if len(data) % 4:
        raise WireError(f"floats have {len(data)} bytes")
    return np.frombuffer(data, "<f4")
