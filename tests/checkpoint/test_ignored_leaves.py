"""Leaves that are no longer kept are skipped by name; whatever else differs is refused."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.checkpoint import check_fits, load_checkpoint, save_checkpoint
from vibe_rl.errors import ConfigError, DamagedCheckpointError

CHECK = ".agent_state.memory.check"


class OldMemory(NamedTuple):
    count: Any
    check: Any
    checked: Any


class NewMemory(NamedTuple):
    count: Any
    checked: Any


class Check(NamedTuple):
    first: Any
    sums: Any


class Agent(NamedTuple):
    params: Any
    memory: Any


class State(NamedTuple):
    agent_state: Agent
    key: Any


def old_state():
    noise = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    check = Check(jnp.asarray(noise), (jnp.zeros(2), jnp.ones(3)))
    memory = OldMemory(jnp.int32(7), check, jnp.float32(0.5))
    return State(Agent(jnp.arange(4.0), memory), jax.random.key(3))


def new_state():
    return State(Agent(jnp.zeros(4), NewMemory(jnp.int32(0), jnp.float32(0))), jax.random.key(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved")
    save_checkpoint(directory, old_state(), step=1)
    return directory


def test_a_run_loads_without_the_leaves_that_it_ignores(saved):
    check_fits(saved, new_state(), ignore=(CHECK,))
    state = load_checkpoint(saved, new_state(), ignore=(CHECK,))
    assert isinstance(state.agent_state.memory, NewMemory)
    np.testing.assert_array_equal(state.agent_state.params, np.arange(4.0))
    assert (state.agent_state.memory.count, state.agent_state.memory.checked) == (7, 0.5)
    assert state.key == jax.random.key(3)


def test_an_agent_loads_from_a_run_without_the_leaves_that_it_ignores(saved):
    agent = load_checkpoint(saved, new_state().agent_state, part=".agent_state", ignore=(CHECK,))
    assert (agent.memory.count, agent.memory.checked) == (7, 0.5)


def test_ignored_leaves_that_are_wanted_are_read(saved):
    state = load_checkpoint(saved, old_state(), ignore=(CHECK,))
    np.testing.assert_array_equal(
        state.agent_state.memory.check.first, old_state().agent_state.memory.check.first
    )


@pytest.mark.parametrize(
    ("ignore", "named"),
    [
        ((), r"\.check\.first \(float32\[100000\] saved, nothing expected\)"),
        ((f"{CHECK}.first",), r"\.check\.sums\[0\] \(float32\[2\] saved, nothing expected\)"),
        ((f"{CHECK}.fir", f"{CHECK}.sums"), r"\.check\.first"),
        (("check",), r"\.check\.first"),
    ],
    ids=["none", "one of three", "half a name", "without its path"],
)
def test_a_leaf_that_no_name_covers_is_refused(saved, ignore, named):
    for function in (check_fits, load_checkpoint):
        with pytest.raises(ConfigError, match=f"step_1 does not fit the config at .*{named}"):
            function(saved, new_state(), ignore=ignore)


@pytest.mark.parametrize(
    ("memory", "named"),
    [
        (NewMemory(jnp.int32(0), jnp.zeros(2)), r"float32\[\] saved, float32\[2\] expected"),
        (NewMemory(jnp.uint8(0), jnp.float32(0)), r"int32\[\] saved, uint8\[\] expected"),
        ({"count": jnp.int32(0)}, r"\.memory\.checked \(float32\[\] saved, nothing expected\)"),
        (
            OldMemory(jnp.int32(0), Check(jnp.zeros(9), ()), jnp.float32(0)),
            r"float32\[100000\] saved, float32\[9\] expected",
        ),
    ],
    ids=["shape", "dtype", "name that begins alike", "shape of an ignored one"],
)
def test_other_differences_are_refused_with_the_shapes(saved, memory, named):
    like = new_state()._replace(agent_state=Agent(jnp.zeros(4), memory))
    for function in (check_fits, load_checkpoint):
        with pytest.raises(ConfigError, match=f"step_1 does not fit the config at .*{named}"):
            function(saved, like, ignore=(CHECK,))


def test_ignored_leaves_are_not_read_and_the_others_are_checked(tmp_path):
    path = save_checkpoint(tmp_path, old_state(), step=1)
    (file,) = (file for file in path.rglob("*") if file.is_file() and file.stat().st_size > 100_000)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1  # amid the noise
    file.write_bytes(content)
    with pytest.raises(DamagedCheckpointError):
        load_checkpoint(tmp_path, old_state())
    state = load_checkpoint(tmp_path, new_state(), ignore=(CHECK,))
    assert state.agent_state.memory.count == 7


def test_the_checksums_of_the_leaves_that_are_read_are_compared(tmp_path):
    path = save_checkpoint(tmp_path, old_state(), step=1)
    notes = path / "metadata" / "metadata"
    text = notes.read_text()
    name = '".agent_state.params": '
    assert name in text
    notes.write_text(text.replace(name, name + "1"))
    with pytest.raises(DamagedCheckpointError, match=r"altered at \.agent_state\.params"):
        load_checkpoint(tmp_path, new_state(), ignore=(CHECK,))
