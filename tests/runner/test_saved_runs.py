"""Runs that version 0.1 saved: they resume, and the same seeds give what they gave then.

`saved_runs/` has a directory of each algorithm, trained for half of its budget; the rows and the
agent of the whole budget; and the digest of the processor, for bits are the same on its kind only.
On other kinds only what does not depend on rounding is compared. SAC's noise has been computed in
one piece since, which rounds otherwise.
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
ALGORITHMS = ("ppo", "dqn", "sac")
TO_THE_BIT = ("ppo", "dqn")
MEANS = {"episode_return_mean": "episode_return"}  # how version 0.1 called those of PPO


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """See `saved_runs/resume_them.py`."""
    directory = tmp_path_factory.mktemp("saved_runs")
    command = [sys.executable, SAVED / "resume_them.py", directory, *ALGORITHMS]
    how = environ(XLA_FLAGS="") if SAME_PROCESSOR else environ()  # bits count, or only shapes
    subprocess.run(command, check=True, env=how)
    return pickle.loads((directory / "outcomes.pickle").read_bytes())


@pytest.fixture(params=ALGORITHMS)
def outcome(request, outcomes):
    """That of one algorithm."""
    return {"algorithm": request.param, **outcomes[request.param]}


def assert_same(found, expected, algorithm):
    """To the bit, or to rounding and what learning makes of it; elsewhere only shapes."""
    assert np.shape(found) == np.shape(expected)
    if not SAME_PROCESSOR:
        return
    if algorithm in TO_THE_BIT or not np.issubdtype(np.asarray(expected).dtype, np.floating):
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


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
            assert_same(now[name], then[name], algorithm)


@pytest.mark.skipif(not SAME_PROCESSOR, reason="another kind of processor saved the runs")
def test_on_the_processor_that_saved_the_runs_the_last_bit_counts():
    with pytest.raises(AssertionError):
        assert_same(np.nextafter(1.0, 2.0), 1.0, "ppo")
    with pytest.raises(AssertionError):
        assert_same(1.01, 1.0, "sac")


def test_a_run_of_version_0_1_resumes_to_the_same_rows(outcome):
    assert_same_rows(outcome["algorithm"], *outcome["resumed"])


def test_a_run_of_version_0_1_resumes_to_the_same_agent(outcome):
    found = outcome["agent"]
    with np.load(SAVED / f"{outcome['algorithm']}.npz") as expected:
        assert set(found) == set(expected.files)
        for name, leaf in found.items():
            assert_same(leaf, expected[name], outcome["algorithm"])


def test_the_same_seed_learns_what_it_learned_in_version_0_1(outcome):
    assert_same_rows(outcome["algorithm"], *outcome["anew"])


def test_an_agent_of_version_0_1_is_evaluated(outcome):
    assert_same(*outcome["evaluation"], outcome["algorithm"])
