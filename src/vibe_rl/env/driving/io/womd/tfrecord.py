"""TFRecord files without TensorFlow: records one after another, each with its checksums."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vibe_rl.env.driving.io.womd.crc32c import masked_crc32c
from vibe_rl.errors import ConfigError, shown

_REMEDY = "get the file anew, uncompressed"


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """The offset and the content of each record of a file.

    Raises:
        ConfigError: the file ends within a record, or a checksum is another one.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while (offset := file.tell()) < size:
            yield offset, _record(file, path, offset, size)


def record_bytes(content: bytes) -> bytes:
    """A record as it stands in a file."""
    length = struct.pack("<Q", len(content))
    checksums = [struct.pack("<I", masked_crc32c(part)) for part in (length, content)]
    return length + checksums[0] + content + checksums[1]


def _record(file: BinaryIO, path: Path, offset: int, size: int) -> bytes:
    head = file.read(12)
    if len(head) < 12:
        raise _bad(path, offset, "ends within the length of a record")
    length, checksum = struct.unpack("<QI", head)
    if masked_crc32c(head[:8]) != checksum:
        raise _bad(path, offset, "is no TFRecord there, or damaged: the checksum of a length fails")
    if length > size - offset - 16:
        raise _bad(path, offset, f"ends within a record of {length} bytes")
    content = file.read(length)
    if masked_crc32c(content) != struct.unpack("<I", file.read(4))[0]:
        raise _bad(path, offset, f"is damaged: the checksum of a record of {length} bytes fails")
    return content


def _bad(path: Path, offset: int, what: str) -> ConfigError:
    return ConfigError(f"{shown(path)} at byte {offset} {what}: {_REMEDY}.")
