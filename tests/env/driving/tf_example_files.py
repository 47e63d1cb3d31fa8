"""Writes tf.Examples and TFRecord files."""

import struct

import numpy as np

from vibe_rl.env.driving.io.womd.tfrecord import record_bytes


def varint(value):
    value, out = value % 2**64, bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, wire, content):
    length = varint(len(content)) if wire == 2 else b""
    return varint(number << 3 | wire) + length + content


def feature(values, packed=True):
    if isinstance(values, list):
        return field(1, 2, b"".join(field(1, 2, x) for x in values))
    values = np.ravel(values)
    real = values.dtype.kind == "f"
    wire = 5 if real else 0
    each = [struct.pack("<f", x) if real else varint(int(x)) for x in values.tolist()]
    content = b"".join(each)
    content = field(1, 2, content) if packed else b"".join(field(1, wire, x) for x in each)
    return field(2 if real else 3, 2, content)


def entry(name, content):
    return field(1, 2, field(1, 2, name.encode()) + field(2, 2, content))


def example(values, packed=True):
    return field(1, 2, b"".join(entry(k, feature(v, packed)) for k, v in values.items()))


def write_tfrecord(path, *examples):
    path.write_bytes(b"".join(record_bytes(example(x)) for x in examples))
