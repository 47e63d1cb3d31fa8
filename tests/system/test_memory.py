"""How much memory is free: of the machine, of its containers, of the device."""

import os
import sys

import pytest

from vibe_rl.system import memory
from vibe_rl.system.memory import format_bytes, free_in_containers, free_on_device, free_on_host


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (2500, "2.5 kB"),
        (999_700, "1 MB"),
        (2.5e6, "2.5 MB"),
        (1.2e14, "120 TB"),
        (1.2e18, "1.2e+06 TB"),
    ],
)
def test_bytes_are_written_with_a_unit(n_bytes, text):
    assert format_bytes(n_bytes) == text


def test_the_machine_has_some_memory_free():
    assert 0 < free_on_host() < 1e15
    assert 0 < free_on_device() < 1e15


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        (".", ("memory.max", "memory.current", "inactive_file")),
        ("memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")),
    ],
)
def test_a_container_leaves_its_limit_less_what_cannot_be_dropped(folder, names, tmp_path):
    limit, usage, cache = names
    (tmp_path / folder).mkdir(exist_ok=True)
    for name, text in {
        limit: "8000\n",
        usage: "5000\n",
        "memory.stat": f"anon 1\n{cache} 700\n",
    }.items():
        (tmp_path / folder / name).write_text(text)
    assert free_in_containers(tmp_path) == [8000 - (5000 - 700)]
    (tmp_path / folder / limit).write_text("max\n")
    assert free_in_containers(tmp_path) == []


def test_memory_is_unlimited_where_no_system_says_how_much_there_is(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    for name in ("_available", "free_in_containers"):
        monkeypatch.setattr(memory, name, lambda: [])
    assert free_on_host() == sys.maxsize
