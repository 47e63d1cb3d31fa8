"""The benches of driving: their words are settings, and their rows are kept and read again."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compiling import as_users_do
from straight_roads import straight
from vibe_rl.env.driving.io import write_scenarios
from vibe_rl.experiment.build import build
from vibe_rl.trainers.driving.plans import plan_of
from vibe_rl.trainers.driving.results import DriveOutcome
from vibe_rl.trainers.driving.scenarios import with_scenarios_of

BENCH = Path(__file__).parents[2] / "bench"
OUTCOME = DriveOutcome(
    *(range(4), "abcd", ["highway", "merge"] * 2),
    figures={name: np.array([1.0, 0.0, 1.0, 1.0]) for name in ("success", "accuracy", "progress")},
    ended_by=["time", "overlap", "time", "time"],
)


@pytest.fixture
def benches(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import driving_bands  # noqa: PLC0415 - scripts, not a part of the library
    import driving_gpu  # noqa: PLC0415
    import driving_learning  # noqa: PLC0415

    for module in (driving_bands, driving_gpu, driving_learning):
        monkeypatch.setattr(module, "enable_compilation_cache", lambda: None)
    return driving_bands, driving_gpu, driving_learning


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets")
    for i, name in enumerate(("train", "validation")):
        write_scenarios(path / name, [straight(uid=10 * i + j) for j in range(2)])
    return path


def in_place_of_drives(module, monkeypatch):
    """Nobody drives, and all fare as in `OUTCOME`."""
    monkeypatch.setattr(module, "drive", lambda actor, world: OUTCOME)
    monkeypatch.setattr(module, "open_worlds", lambda wanted, names: ([None], None))
    monkeypatch.setattr(module, "folder_of", lambda name, *how: name)


@pytest.fixture
def trained(benches, monkeypatch):
    """The seeds that are trained in place of which nothing is."""
    learning, seeds = benches[-1], []

    def train(options, seed, runs):
        seeds.append(seed)
        return "run", {"env_steps": 320, "seconds": 9, "steps_per_second": 64}

    in_place_of_drives(learning, monkeypatch)
    monkeypatch.setattr(learning, "trained", train)
    return seeds


def test_the_words_of_settings_make_runs(benches, folder):
    *_, learning = benches
    for name in ("ppo", "seed"):  # without a replay, and with one
        options = SimpleNamespace(settings=name, steps=None, set=[], folders={})
        options.folders = {part: str(folder / part) for part in ("train", "validation")}
        made = plan_of(learning.tree_of(options, seed=3, runs="none"))
        with as_users_do():
            run = build(with_scenarios_of(made.config, made.source, made.keys))
        assert run.config.seed == 3
        assert run.config.eval_every == pytest.approx(learning.EVERY, rel=0.05)


def test_a_trained_agent_has_a_row_and_is_not_trained_again(
    benches, trained, monkeypatch, tmp_path, capsys
):
    words = ["sac", "--seeds", "1,2", "--json", str(tmp_path / "rows.json")]
    monkeypatch.setattr(sys, "argv", ["driving_learning.py", *words])
    for _ in range(2):
        benches[-1].main()
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert trained == [row["seed"] for row in rows] == [1, 2]
    assert rows[0]["last"]["success"] == 0.75
    assert rows[0]["last"]["families"]["merge"]["ended_by"] == {"overlap": 1, "time": 1}
    assert capsys.readouterr().out.count("success 0.750 (highway 1.000, merge 0.500)") == 2


def test_a_gpu_is_told_of_line_by_line(benches, trained, monkeypatch, capsys):
    gpu = benches[1]
    monkeypatch.setattr(gpu, "folder_of", lambda name, *how: name)
    monkeypatch.setattr(gpu.driving_env, "random_driving", lambda *how: {"width": how[1]})
    monkeypatch.setattr(sys, "argv", ["driving_gpu.py", "--width", "64", "--steps", "320"])
    gpu.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    parts = [line.get("part") for line in lines]
    assert parts == [None, "scenes", "random_driving", "training"]
    assert lines[2]["width"] == 64
    assert lines[3]["last"]["success"] == 0.75


def test_who_is_outside_of_a_band_is_named(benches, monkeypatch, tmp_path, capsys):
    bands, *_ = benches
    in_place_of_drives(bands, monkeypatch)
    monkeypatch.setattr(bands, "replace", lambda actor, **fields: actor)
    words = ["--actors", "idm", "expert", "lane 0.5", "--json", str(tmp_path / "bands.json")]
    monkeypatch.setattr(sys, "argv", ["driving_bands.py", *words])
    with pytest.raises(SystemExit) as ended:
        bands.main()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[2] == "| idm | 0.750 | 1.000 | 0.500 | 0.75 |"
    assert said.err.splitlines() == [
        "expert: success 0.750 is not from 0.99 to 1.0.",
        "lane 0.5: success 0.750 is not from 0.0 to 0.6.",
    ]
    assert set(json.loads((tmp_path / "bands.json").read_text())["drivers"]) == set(words[1:4])
