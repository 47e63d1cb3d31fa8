import struct

import numpy as np
import pytest
from tf_example_files import entry, example, feature, field, varint, write_tfrecord

from vibe_rl.env.driving.io.womd.crc32c import crc32c, masked_crc32c
from vibe_rl.env.driving.io.womd.tfexample import features
from vibe_rl.env.driving.io.womd.tfrecord import read_records, record_bytes
from vibe_rl.env.driving.io.womd.wire import WireError, varints
from vibe_rl.errors import ConfigError

VALUES = {
    "f": np.float32([1.5, -2, np.inf]),
    "i": np.array([0, 1, -1, 127, 128, 2**63 - 1, -(2**63)]),
    "b": [b"", b"name"],
    "none": np.zeros(0, np.int64),
}


def bit_by_bit(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_checksums_are_those_of_the_definition():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720
    data = np.random.default_rng(0).bytes(5000)
    for size in (0, 1, 3, 4, 5, 1023, 1024, 1025, 2048, 5000):
        assert crc32c(data[:size]) == bit_by_bit(data[:size])


def test_a_masked_checksum_is_turned_and_shifted():
    assert (
        masked_crc32c(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) % 2**32
    )


def test_records_come_back_with_their_offsets(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(record_bytes(b"one") + record_bytes(b"") + record_bytes(b"x" * 3000))
    assert [*read_records(path)] == [(0, b"one"), (19, b""), (35, b"x" * 3000)]


@pytest.mark.parametrize("place", [0, 7, 8, 12, 14, 15])
def test_a_flipped_bit_is_refused_with_file_and_offset(place, tmp_path):
    path, content = tmp_path / "a.tfrecord", bytearray(record_bytes(b"one") * 2)
    content[19 + place] ^= 16
    path.write_bytes(content)
    records = read_records(path)
    assert next(records) == (0, b"one")
    with pytest.raises(ConfigError, match=r"a.tfrecord at byte 19 .*checksum.*: get the file anew"):
        next(records)


@pytest.mark.parametrize("size", [1, 11, 12, 14, 18])
def test_a_file_that_ends_early_is_refused(size, tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(record_bytes(b"one")[:size])
    with pytest.raises(ConfigError, match=r"a.tfrecord at byte 0 ends within"):
        [*read_records(path)]


def test_a_length_that_no_memory_has_is_refused_before_it_is_read(tmp_path):
    path, length = tmp_path / "a.tfrecord", struct.pack("<Q", 2**62)
    path.write_bytes(length + struct.pack("<I", masked_crc32c(length)) + bytes(100))
    with pytest.raises(ConfigError, match="ends within a record of 4611686018427387904 bytes"):
        [*read_records(path)]


@pytest.mark.parametrize("packed", [True, False])
def test_features_come_back_packed_or_not(packed):
    found = features(example(VALUES, packed))
    np.testing.assert_equal(found, VALUES)
    assert found["i"].dtype == np.int64
    assert found["f"].dtype == np.float32


def test_fields_that_are_not_known_are_passed_over():
    strange = field(9, 0, varint(5)) + field(10, 5, bytes(4)) + field(11, 1, bytes(8))
    found = features(strange + example({"i": np.array([3])}) + strange)
    assert found["i"].tolist() == [3]


def test_a_whole_file_is_read(tmp_path):
    write_tfrecord(tmp_path / "a", VALUES, {"i": np.array([2])})
    second = [*read_records(tmp_path / "a")][1][1]
    assert features(second)["i"].tolist() == [2]


def list_of(number, content):
    return field(1, 2, entry("key", field(number, 2, content)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (list_of(2, field(1, 2, bytes(5))), "key: floats have 5 bytes"),
        (list_of(2, field(1, 0, varint(1))), "key: numbers have the wire type 0"),
        (list_of(3, field(1, 5, bytes(4))), "key: numbers have the wire type 5"),
        (list_of(3, field(1, 2, b"\x80")), "key: a varint does not end"),
        (list_of(3, field(1, 2, b"\xff" * 10 + b"\x01")), "key: a varint has more than 64 bits"),
        (list_of(3, field(1, 2, b"\xff" * 9 + b"\x02")), "key: a varint has more than 64 bits"),
        (list_of(1, field(1, 0, varint(1))), "key: field 1 holds no message"),
        (field(1, 2, entry("key", field(3, 0, varint(1)))), "key: field 3 holds no list"),
        (field(1, 0, varint(1)), "field 1 holds no message"),
        (b"\xff" * 10, "a varint does not end"),
        (b"\xff" * 9 + b"\x7f", "a varint has more than 64 bits"),
        (b"\x0b", "wire type 3"),
        (b"\x02\x00", "number 0"),
        (b"\x0a\x05abc", "field 1 ends 2 bytes behind its message"),
        (b"\x0a" + varint(2**64 - 1), "behind its message"),
        (b"\x0d\x00", "field 1 ends 3 bytes behind"),
    ],
)
def test_bytes_that_are_no_example_are_refused(content, message):
    with pytest.raises(WireError, match=message):
        features(content)


def test_every_cut_of_an_example_is_read_or_refused_and_nothing_else():
    whole = example({"f": np.float32([1, 2]), "b": [b"ab"]})
    for size in range(1, len(whole)):
        with pytest.raises(WireError):
            features(whole[:size])


def test_random_bytes_are_read_or_refused():
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = rng.bytes(int(rng.integers(1, 40)))
        for read in (lambda x: varints(memoryview(x)), features):
            try:
                read(content)
            except WireError:
                continue


def test_the_last_of_two_features_of_a_name_counts():
    twice = field(1, 2, entry("k", feature(np.array([1]))) + entry("k", feature(np.array([2]))))
    assert features(twice)["k"].tolist() == [2]
