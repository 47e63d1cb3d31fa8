"""Shards of scenarios: zip files of `.npy` arrays, a field each, scenarios along the first axis.

The same scenarios give the same bytes: the archives carry no times. Nothing is ever unpickled.
"""

import hashlib
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np

from vibe_rl.env.driving.scenarios.scenario import Dims, Scenario, dtype_of, shape_of
from vibe_rl.errors import ConfigError, reason, shown

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_LEVEL = 1
_MOST = 80  # letters of what NumPy says
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError)


def shard_bytes(bank: Scenario) -> bytes:
    """A bank as a file that `numpy.load` reads."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for field, array in zip(Scenario._fields, bank, strict=True):
            entry = zipfile.ZipInfo(f"{field}.npy", _EPOCH)
            entry.create_system = _UNIX
            archive.writestr(entry, _npy(array), zipfile.ZIP_DEFLATED, _LEVEL)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def checksum_of_shard(content: bytes) -> str:
    """SHA-256, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read_shard(path: Path, sha256: str, count: int, dims: Dims) -> Scenario:
    """The bank in a file.

    Args:
        path: of the file.
        sha256, count, dims: what the manifest says of it.

    Raises:
        ConfigError: it is not there, damaged, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{shown(path)} cannot be read ({error.strerror}): copy the set of scenarios anew."
        ) from None
    found = checksum_of_shard(content)
    if found != sha256:
        raise ConfigError(
            f"{shown(path)} is damaged, its sha256 is {found[:12]}... and {sha256[:12]}... in the "
            "manifest: copy or generate the set anew."
        )
    return _bank(path, content, count, dims)


def _bank(path: Path, content: bytes, count: int, dims: Dims) -> Scenario:
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            arrays = {field: archive[field] for field in Scenario._fields}
    except _BROKEN as error:
        raise ConfigError(
            f"{shown(path)} is no shard of scenarios ({reason(error)[:_MOST]}): write it with "
            "`vibe-rl scenarios`."
        ) from None
    for field, array in arrays.items():
        _check(path, field, array, (count, *shape_of(field, dims)))
    return Scenario(**arrays)


def _check(path: Path, field: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != dtype_of(field):
        raise ConfigError(
            f"{field} in {shown(path)} is {array.dtype}{list(array.shape)} where the manifest's "
            f"dims mean {dtype_of(field)}{list(shape)}: write the set anew."
        )
