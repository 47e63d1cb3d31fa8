"""CRC-32C, as TFRecord files have it, in numpy: pieces side by side, then put together."""

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78
_PIECE = 1024
_ALL = 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """The checksum of some bytes, masked as TFRecord does it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & _ALL


def crc32c(data: bytes) -> int:
    """The checksum of some bytes."""
    if len(data) < 4:
        return _short(data)
    whole = np.zeros(-(-len(data) // _PIECE) * _PIECE, np.uint8)
    begin = len(whole) - len(data)  # zeros in front change nothing where the register begins at 0
    whole[begin:] = np.frombuffer(data, np.uint8)
    whole[begin : begin + 4] ^= 0xFF  # which is what a register of ones does
    pieces = whole.reshape(-1, _PIECE)
    table, registers = _table(), np.zeros(len(pieces), np.uint32)
    for column in np.ascontiguousarray(pieces.T):
        registers = table[(registers ^ column) & 0xFF] ^ (registers >> np.uint32(8))
    crc, ahead = 0, _past_a_piece()
    for register in registers.tolist():
        moved = ahead[0][crc & 255] ^ ahead[1][crc >> 8 & 255]
        crc = moved ^ ahead[2][crc >> 16 & 255] ^ ahead[3][crc >> 24] ^ register
    return crc ^ _ALL


def _short(data: bytes) -> int:
    crc, table = _ALL, _table().tolist()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ _ALL


@cache
def _table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32)


@cache
def _past_a_piece() -> list[list[int]]:
    """What each byte of a register, the lowest first, becomes when a piece of zeros follows."""
    registers = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32))[:, None]
    for _ in range(_PIECE):
        registers = _table()[registers & 0xFF] ^ (registers >> np.uint32(8))
    return registers.tolist()
