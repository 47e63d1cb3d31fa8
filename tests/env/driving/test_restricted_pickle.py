import builtins
import collections
import os
import pickle
import struct

import numpy as np
import pytest

from vibe_rl.env.driving.io.restricted_pickle import plain_pickle, read_pickle
from vibe_rl.errors import ConfigError


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def state_of(array, **changes):
    state = {"shape": array.shape, "dtype": array.dtype, "content": array.tobytes()} | changes
    call = (np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"))
    return WithState(*call, (1, state["shape"], state["dtype"], False, state["content"]))


class WithState:
    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_plain_data_and_arrays_come_back_the_same(protocol):
    tree = {
        "a": [np.arange(6.0).reshape(2, 3), np.array([True, False]), np.float32([[1]])],
        "b": (1, -(2**70), 2.5, None, True, "text", b"x"),
        "c": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "d": np.array([1, 2], ">i4"),
        "e": np.array(["LANE_STATE_GO", ""]),
        "f": collections.defaultdict(int, {"x": 1}),
        "g": np.zeros((0, 3)),
    }
    if protocol < 3:
        tree = {"b": (1, "text", [2.5])}  # arrays of Python 2 pickle text, not bytes
    found = plain_pickle(pickle.dumps(tree, protocol))
    np.testing.assert_equal(found, tree)
    for name in set(tree) & set("cdeg"):
        assert found[name].dtype == tree[name].dtype
        assert found[name].shape == tree[name].shape


def test_names_of_old_and_new_numpy_are_both_read():
    content = pickle.dumps(np.arange(3), 0 + 3)
    old, new = b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n"
    assert old in content or new in content
    for name in (old, new):
        renamed = content.replace(old, name).replace(new, name)
        np.testing.assert_array_equal(plain_pickle(renamed), np.arange(3))


@pytest.mark.parametrize(
    "hostile",
    [
        Call(os.system, "touch ran"),
        Call(builtins.eval, "open('ran', 'w')"),
        Call(builtins.exec, "open('ran', 'w')"),
        Call(getattr, "x", "upper"),
        Call(builtins.open, "ran", "w"),
        Call(np.load, "ran"),
        Call(np.fromfile, "ran"),
        {"deep": [Call(os.mkdir, "ran")]},
    ],
)
def test_calls_are_refused_and_nothing_runs(hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sd.pkl"
    path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(ConfigError, match=r"sd.pkl is no pickle .* refers to '.*export it anew"):
        read_pickle(path)
    assert [x.name for x in tmp_path.iterdir()] == ["sd.pkl"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8c\x08builtins\x8c\x0eint.from_bytes\x93.",  # a dotted name
        b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile\x93.",
        b"cbuiltins\nint\n}(V__call__\nK\x01ub.",  # sets the state of what it refers to
        b"cnumpy.core.multiarray\n_reconstruct\nN}(Vx\nK\x01u\x86b.",
        b"cnumpy\nndarray\n(tR.",
        b"cnumpy\nndarray\n.",
        b"\x80\x04cnumpy\nndarray\n)\x81.",  # a new object of it
        b"(icollections\ndefaultdict\n0.",
        b"\x80\x02\x82\x01.",  # of the registry of extensions
        b"Pid\n.",  # persistent
        b"\x80\x04]\x94h\x00a.",  # a list that holds itself
        b"]" * 40 + b"a" * 39 + b".",
        b"\x8e" + struct.pack("<Q", 2**60) + b".",
        b"cnumpy\ndtype\n(VO8\ntR.",
        b"cnumpy\ndtype\n(VV8\ntR.",
        b"cbuiltins\nint\n(V" + b"9" * 10_000 + b"\ntR.",
        b"",
        b"no pickle",
        pickle.dumps(list(range(100)))[:-20],
        pickle.dumps(np.arange(100))[:-300],
    ],
)
def test_damaged_and_crafted_pickles_are_refused(content, tmp_path):
    path = tmp_path / "sd.pkl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"sd.pkl is no pickle"):
        read_pickle(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (10**12,)},
        {"shape": (-1,)},
        {"shape": (3, -1, -1)},
        {"shape": (4,)},
        {"shape": 3},
        {"shape": (1,) * 40},
        {"shape": (3.0,)},
        {"content": b""},
        {"content": [1.0, 2.0, 3.0]},
        {"dtype": np.dtype(object)},
        {"dtype": np.dtype("M8[s]")},
        {"dtype": np.dtype([("a", "f8")])},
        {"dtype": "f8"},
    ],
)
def test_arrays_whose_state_does_not_fit_are_refused(changes):
    plain_pickle(pickle.dumps(state_of(np.arange(3.0))))
    with pytest.raises(pickle.UnpicklingError):
        plain_pickle(pickle.dumps(state_of(np.arange(3.0), **changes)))


def test_a_shape_asked_for_at_first_allocates_nothing():
    call = (np.zeros(0).__reduce__()[0], (np.ndarray, (2**50,), b"b"))
    content = pickle.dumps(WithState(*call, (1, (1,), np.dtype("u1"), False, b"\x07")))
    assert plain_pickle(content).tolist() == [7]


def test_a_list_that_is_shared_many_times_is_read_once():
    tree = [1]
    for _ in range(25):
        tree = [tree] * 50
    assert len(plain_pickle(pickle.dumps(tree))) == 50


def test_what_is_read_cannot_change_the_next_read():
    with pytest.raises(Exception, match="state of a function"):
        plain_pickle(b"cnumpy\ndtype\nN}(Vmake\nK\x01u\x86b.")
    np.testing.assert_array_equal(plain_pickle(pickle.dumps(np.arange(3))), np.arange(3))
