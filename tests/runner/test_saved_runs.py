"""Runs that version 0.1 saved: they resume, and the same seeds give what they gave then.

`saved_runs/` has a directory of each algorithm, trained for half of its budget; the rows and the
agent of the whole budget; and the digest of the processor, for bits are the same on its kind only.
"""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from vibe_rl import experiment
from vibe_rl.configs import from_dict
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir
from vibe_rl.system.programs import processor_digest

SAVED = Path(__file__).parent / "saved_runs"
ALGORITHMS = ("ppo", "dqn", "sac")
SAME_PROCESSOR = processor_digest() == (SAVED / "processor.txt").read_text().strip()
MEANS = {"episode_return_mean": "episode_return"}  # how version 0.1 called those of PPO


def saved_run(algorithm, tmp_path):
    with tarfile.open(SAVED / f"{algorithm}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    return RunDir.open(tmp_path / algorithm)


def config_of(run_dir, budgets=1):
    config = from_dict(run_dir.load_config())
    total = budgets * config.runner.total_timesteps
    return replace(config, runner=replace(config.runner, total_timesteps=total))


def assert_same(found, expected):
    """To the bit; elsewhere rounding differs, and with it what is learned, but not the shapes."""
    assert np.shape(found) == np.shape(expected)
    assert not SAME_PROCESSOR or np.array_equal(found, expected)


def assert_same_rows(run_dir, algorithm, until):
    expected = json.loads((SAVED / f"{algorithm}.json").read_text())
    rows = [row for row in read_metrics(run_dir.root) if row["step"] <= until]
    expected = [row for row in expected if row["step"] <= until]
    assert rows[-1]["step"] == expected[-1]["step"] == until
    if not SAME_PROCESSOR:  # where episodes may end at other steps
        return
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    for row, then in zip(rows, expected, strict=True):
        now = row | {old: row[new] for new, old in MEANS.items() if new in row}
        for name in then:
            assert_same(now[name], then[name])


def leaves(tree):
    return {jax.tree_util.keystr(path): x for path, x in jax.tree.leaves_with_path(tree)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_run_of_version_0_1_resumes_to_the_same_rows_and_the_same_agent(algorithm, tmp_path):
    run_dir = saved_run(algorithm, tmp_path)
    run_dir, result = experiment.resume(run_dir.root, config_of(run_dir, budgets=2))
    assert_same_rows(run_dir, algorithm, result.step)
    state = result.state.agent_state
    found = leaves(state._replace(memory=None) if algorithm == "sac" else state.params)
    with np.load(SAVED / f"{algorithm}.npz") as expected:
        assert set(found) == set(expected.files)
        for name, leaf in found.items():
            assert_same(np.asarray(leaf), expected[name])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_learns_what_it_learned_in_version_0_1(algorithm, tmp_path):
    config = config_of(saved_run(algorithm, tmp_path))
    run_dir, result = experiment.train(config, tmp_path / "runs")
    assert_same_rows(run_dir, algorithm, result.step)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_agent_of_version_0_1_is_evaluated(algorithm, tmp_path):
    run_dir = saved_run(algorithm, tmp_path)
    returns = [row["eval_return"] for row in read_metrics(run_dir.root) if "eval_return" in row]
    assert_same(float(experiment.evaluate_run(run_dir.root).mean_return), returns[-1])
