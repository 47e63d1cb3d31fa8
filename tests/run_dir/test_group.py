"""What a group of runs is, who its members are and in which order."""

import subprocess
import sys

import pytest

from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.divergence import Divergence, clear_divergence, mark_diverged
from vibe_rl.run_dir.group import (
    by_setting,
    is_group,
    is_population,
    is_sweep,
    members,
    why_diverged,
)


@pytest.fixture
def sweep(tmp_path):
    group = RunDir(base_dir=tmp_path, run_id="sweep")
    (group.root / "sweep.json").write_text("{}")
    for setting in ("lr=0.001", "lr=0.0003"):
        for seed in (10, 9):
            RunDir(base_dir=group.root / "members", run_id=f"{setting}_seed_{seed}")
    return group


def names(runs):
    return [run.root.name for run in runs]


def test_a_group_is_told_from_a_run_by_its_members(sweep):
    run = members(sweep)[0]
    assert (is_group(sweep), is_sweep(sweep), is_population(sweep)) == (True, True, False)
    assert (is_group(str(run)), is_sweep(str(run)), members(run)) == (False, False, [])


def test_the_seeds_of_a_setting_stand_together_in_their_order(sweep):
    assert names(by_setting(members(sweep))) == [
        "lr=0.0003_seed_9",
        "lr=0.0003_seed_10",
        "lr=0.001_seed_9",
        "lr=0.001_seed_10",
    ]


def test_a_member_says_why_it_diverged(sweep):
    lost = members(sweep)[0]
    assert why_diverged(lost) is None
    mark_diverged(lost, Divergence(1024, "loss NaN since update 3"))
    assert why_diverged(lost) == "loss NaN since update 3"
    clear_divergence(lost)
    assert why_diverged(lost) is None


def test_run_directories_are_read_without_jax(sweep):
    program = (
        "import sys; from vibe_rl.run_dir.group import members; "
        f"assert len(members({str(sweep)!r})) == 4; assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
