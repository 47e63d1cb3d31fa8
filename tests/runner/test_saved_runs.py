"""Runs that version 0.1 saved: they resume, and the same seeds give what they gave then.

`saved_runs/` has a directory of each algorithm, trained for half of its budget; the rows and the
agent of the whole budget; and the digest of the processor, for bits are the same on its kind only.
"""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from processes import environ
from vibe_rl.system.programs import processor_digest

SAVED = Path(__file__).parent / "saved_runs"
SAME_PROCESSOR = processor_digest() == (SAVED / "processor.txt").read_text().strip()
MEANS = {"episode_return_mean": "episode_return"}  # how version 0.1 called those of PPO


@pytest.fixture(scope="module", params=["ppo", "dqn", "sac"])
def outcome(request, tmp_path_factory):
    """See `saved_runs/resume_them.py`."""
    directory = tmp_path_factory.mktemp(request.param)
    command = [sys.executable, SAVED / "resume_them.py", request.param, directory]
    subprocess.run(command, check=True, env=environ(XLA_FLAGS=""))
    return {
        "algorithm": request.param,
        **pickle.loads((directory / "outcome.pickle").read_bytes()),
    }


def assert_same(found, expected):
    """To the bit; elsewhere rounding differs, and with it what is learned, but not the shapes."""
    assert np.shape(found) == np.shape(expected)
    assert not SAME_PROCESSOR or np.array_equal(found, expected)


def assert_same_rows(algorithm, until, rows):
    expected = json.loads((SAVED / f"{algorithm}.json").read_text())
    expected = [row for row in expected if row["step"] <= until]
    assert rows[-1]["step"] == expected[-1]["step"] == until
    if not SAME_PROCESSOR:  # where episodes may end at other steps
        return
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    for row, then in zip(rows, expected, strict=True):
        now = row | {old: row[new] for new, old in MEANS.items() if new in row}
        for name in then:
            assert_same(now[name], then[name])


def test_a_run_of_version_0_1_resumes_to_the_same_rows(outcome):
    assert_same_rows(outcome["algorithm"], *outcome["resumed"])


def test_a_run_of_version_0_1_resumes_to_the_same_agent(outcome):
    found = outcome["agent"]
    with np.load(SAVED / f"{outcome['algorithm']}.npz") as expected:
        assert set(found) == set(expected.files)
        for name, leaf in found.items():
            assert_same(leaf, expected[name])


def test_the_same_seed_learns_what_it_learned_in_version_0_1(outcome):
    assert_same_rows(outcome["algorithm"], *outcome["anew"])


def test_an_agent_of_version_0_1_is_evaluated(outcome):
    assert_same(*outcome["evaluation"])
