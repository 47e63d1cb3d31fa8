"""Pickles as data: all that scenarios hold is read, and nothing that a pickle names is executed."""

import builtins
import os
import pickle
import random
import struct
from collections import OrderedDict, defaultdict
from contextlib import suppress
from functools import partial
from operator import attrgetter

import numpy as np
import pytest

from vibe_rl.env.driving.io.scenarionet.restricted_pickle import parse_pickle, read_pickle
from vibe_rl.errors import ConfigError

HELD = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "flags": np.array([True, False]),
    "texts": np.array(["LANE_STATE_GO", ""]),
    "big-endian": np.arange(4, dtype=">f8"),
    "nothing": np.zeros((0, 3), np.float32),
    "one": np.array(3.0),
    "counts": defaultdict(int, {"a": 1}),
    "list": [1, -5, 2**40, 1.5, None, True, "é", [], {}],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "scalar": np.float64(3.5),
    "set": {1, 2},
    "bytes": b"abc\xff",
    "no bytes": b"",
    7: "a key that is a number",
    "long": "x" * 70_000,
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_numbers_and_containers_are_read(protocol):
    read = parse_pickle(pickle.dumps({**HELD, "again": HELD["matrix"]}, protocol), "f")
    assert read.keys() == {*HELD, "again"}
    for key, value in HELD.items():
        np.testing.assert_equal(read[key], value)
    assert read["again"] is read["matrix"]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_arrays_of_either_numpy_are_read(protocol):
    written = pickle.dumps(HELD, protocol)
    other = ("core", "_core") if b"numpy.core" in written else ("_core", "core")
    old, new = (f"numpy.{name}.".encode() for name in other)
    shift = len(new) - len(old)
    renamed = written.replace(old, new)
    if protocol > 2:  # names carry their lengths, and frames theirs
        for tail in (b"multiarray", b"numeric"):
            text = new + tail
            renamed = renamed.replace(bytes([len(text) - shift]) + text, bytes([len(text)]) + text)
        renamed = renamed[:3] + struct.pack("<Q", len(renamed) - 11) + renamed[11:]
    read = parse_pickle(renamed, "f")
    np.testing.assert_array_equal(read["matrix"], HELD["matrix"])


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments, *([state] if state is not None else []))

    def __reduce__(self):
        return self.call


def hostile() -> dict[str, object]:
    told = "open('executed', 'w').close()"
    return {
        "posix.system": Calls(os.system, "touch executed"),
        "builtins.eval": Calls(builtins.eval, told),
        "builtins.exec": Calls(builtins.exec, told),
        "builtins.getattr": Calls(getattr, "x", "upper"),
        "operator.attrgetter": attrgetter("system.__globals__"),
        "functools.partial": partial(os.system, "touch executed"),
        "collections.OrderedDict": OrderedDict(a=1),
        "builtins.bytearray": Calls(bytearray, 10**12),
        "numpy.zeros": Calls(np.zeros, 10**12),
    }


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", hostile())
def test_a_name_that_is_not_in_the_table_is_refused_and_not_called(
    name, protocol, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pkl"
    path.write_bytes(pickle.dumps({"fine": 1, "nested": [({"deep": hostile()[name]},)]}, protocol))
    last = name.rpartition(".")[2]
    with pytest.raises(ConfigError, match=rf"bad\.pkl, byte \d+: it names \S*{last}, which"):
        read_pickle(path)
    assert not (tmp_path / "executed").exists()


START = b"\x80\x04"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
FLOATS = (
    b"cnumpy\ndtype\n\x8c\x02f8\x85R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
BEGUN = ARRAY + b"K\x00\x85C\x01btR"


def filled(shape: bytes, data: bytes, dtype: bytes = FLOATS) -> bytes:
    return START + BEGUN + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb."


def test_a_pickle_written_by_hand_is_read():
    data = filled(b"K\x02\x85", b"C\x10" + struct.pack("<2d", 1.0, 2.0))
    np.testing.assert_array_equal(parse_pickle(data, "f"), [1.0, 2.0])


@pytest.mark.parametrize(
    ("data", "says"),
    {
        "an array as large as the memory": (
            START + ARRAY + b"\x8a\x06\x00\x00\x00\x00\x00\x10\x85C\x01btR.",
            "arguments that pickle does not write",
        ),
        "a shape that is larger than its bytes": (
            filled(b"\x8a\x05\x00\x00\x00\x00\x10\x85", b"C\x08" + b"\0" * 8),
            "has 8 bytes",
        ),
        "a negative shape": (filled(b"J\xff\xff\xff\xff\x85", b"C\x00"), "has 0 bytes"),
        "a shape of flags": (filled(b"\x88\x85", b"C\x08" + b"\0" * 8), "has 8 bytes"),
        "an array of objects": (
            filled(b"K\x01\x85", b"](e", FLOATS.replace(b"f8", b"O8")),
            "an array is of 'O8'",
        ),
        "a type without end": (
            filled(b"K\x01\x85", b"C\x00", FLOATS.replace(b"\x02f8", b"\x0aV999999999")),
            "an array is of 'V999999999'",
        ),
        "a memo that is filled far away": (START + b"K\x01r\xff\xff\xff\xff.", None),
        "bytes of a length beyond the file": (
            START + b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
            "ends within the operation at byte 2",
        ),
        "a number of 4 GB": (START + b"\x8b\xff\xff\xff\x7f.", "ends within the operation"),
        "a number of 20 bytes": (START + b"\x8a\x14" + b"\1" * 20 + b".", "has 20 bytes"),
        "the memo's empty place": (START + b"h\x07.", "it recalls 7"),
        "a tuple as a key": (START + b"}K\x01\x85K\x01s.", "a tuple is a key"),
        "an array's class called": (START + b"cnumpy\nndarray\n)R.", "numpy.ndarray has arguments"),
        "an object made by a class": (START + b"cnumpy\nndarray\n)\x81.", r"operation b'\\x81'"),
        "an extension": (START + b"\x82\x01.", r"operation b'\\x82'"),
        "a persistent id": (START + b"K\x01Q.", "operation b'Q'"),
        "a buffer out of band": (START + b"\x97.", r"operation b'\\x97'"),
        "a state for a function": (START + b"cnumpy\ndtype\n}b.", "sets the state of a Symbol"),
        "a state for a list": (START + b"]}b.", "sets the state of a list"),
        "a name of no text": (START + b"K\x01K\x02\x93.", "it names int.int"),
        "a name with dots": (START + b"\x8c\x05numpy\x8c\x08core.sin\x93.", "numpy.core.sin"),
        "a mark as a value": (START + b"(\x85.", "a mark is where a value is wanted"),
        "values without a mark": (START + b"K\x01t.", "a mark is missing"),
        "a key without a value": (START + b"}(K\x01u.", "a key has no value"),
        "a call of a number": (START + b"K\x01)R.", "calls what is no name"),
        "nothing": (b"", "ends within the operation"),
        "a stop alone": (START + b".", "ends within the operation"),
        "protocol 0": (b"(dp0\n.", "does not begin as a pickle"),
        "a protocol of tomorrow": (b"\x80\x06N.", "does not begin as a pickle"),
        "a second pickle": (START + b"N.N.", "something follows the end"),
        "no text": (START + b"\x8c\x01\xff.", "is not UTF-8"),
    }.values(),
)
def test_what_no_scenario_holds_is_refused_in_one_sentence(data, says):
    if says is None:
        assert parse_pickle(data, "f.pkl") == 1
        return
    with pytest.raises(ConfigError, match=says) as caught:
        parse_pickle(data, "f.pkl")
    assert "f.pkl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_containers_nested_without_end_are_read_and_not_walked():
    assert parse_pickle(START + b")" + b"\x85" * 20_000 + b"0N.", "f") is None
    laughing = START + b"]" + b"\x94(h\x00h\x00e" + b"0N."
    assert parse_pickle(laughing, "f") is None


def test_a_key_whose_hash_would_overflow_the_stack_is_refused():
    with pytest.raises(ConfigError, match="a tuple is a key"):
        parse_pickle(START + b"})" + b"\x85" * 50_000 + b"K\x01s.", "f")


def test_a_file_that_is_cut_anywhere_is_refused():
    data = pickle.dumps(HELD | {"long": ""}, 4)
    for end in range(0, len(data), 5):
        with pytest.raises(ConfigError, match=r"f\.pkl"):
            parse_pickle(data[:end], "f.pkl")


def test_bytes_that_are_changed_are_read_or_refused_and_nothing_else():
    data, draw = pickle.dumps(HELD | {"long": ""}, 4), random.Random(1)
    for _ in range(500):
        changed = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(data))] = draw.randrange(256)
        with suppress(ConfigError):
            parse_pickle(bytes(changed), "f.pkl")
