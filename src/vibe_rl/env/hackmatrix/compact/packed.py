"""Several small numbers in one word, so that records are moved, chosen and kept as one array."""

from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

Record = TypeVar("Record", bound=tuple)


class Number:
    """A number within the words of a record: `record.name` reads it, `put` writes it.

    Args:
        shift: its first bit.
        bits: how many it has; a single one is read as a bool.
    """

    def __init__(self, shift: int, bits: int):
        self.shift, self.bits = np.uint32(shift), bits
        self.mask = np.uint32((1 << bits) - 1)

    def __get__(self, record: Any, kind: Any = None) -> Any:
        if record is None:
            return self
        value = (record.word >> self.shift) & self.mask
        return value != 0 if self.bits == 1 else value.astype(jnp.int32)


def put(record: Record, **values: Any) -> Record:
    """The record with some numbers changed; they have to fit their bits."""
    word: Any = record.word  # type: ignore[attr-defined]
    cleared = 0
    added: Any = np.uint32(0)
    for name, value in values.items():
        number = getattr(type(record), name)
        cleared |= int(number.mask) << int(number.shift)
        added = added | (jnp.asarray(value).astype(jnp.uint32) << number.shift)
    kept = word & np.uint32(~cleared & 0xFFFFFFFF)
    return record._replace(word=kept | added)  # type: ignore[attr-defined]
