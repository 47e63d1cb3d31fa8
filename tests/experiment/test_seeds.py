"""Groups of seeds from the command line: their files, how they are resumed, and bad input."""

import shutil
from functools import partial

import jax
import numpy as np
import pytest

from compiling import one_device
from vibe_rl.checkpoint import load_metadata, saved_steps
from vibe_rl.cli import main
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import evaluate_run, load_run, resume
from vibe_rl.experiment.config_files import read_config
from vibe_rl.experiment.seeds import check_seeds
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import find_runs
from vibe_rl.run_dir.divergence import Divergence, mark_diverged
from vibe_rl.run_dir.group import members

WORDS = "--algo.hidden_sizes (8,) --algo.n_steps 32 --runner.total_timesteps 512 "
WORDS += "--runner.eval_every 256 --runner.eval_episodes 2 --runner.checkpoint_interval 128 "
WORDS += "--runner.checkpoint_share 1 --runner.plot false --runner.progress_bar false"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three seeds of a short run, on a device each."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["train", "cartpole_ppo", "--seeds", "4:7", *WORDS.split()])
    return folder


@pytest.fixture
def group(trained, tmp_path, monkeypatch):
    """A copy of the three seeds."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / "runs", "runs", symlinks=True)
    return find_runs("runs")[0]


def rows_of(run):
    clocks = ("wall_time", "steps_per_second")
    return [{k: v for k, v in row.items() if k not in clocks} for row in read_metrics(run)]


def test_every_seed_has_a_run_directory_of_its_own(group, capsys):
    runs = members(group)
    assert [run.root.name for run in runs] == ["seed_4", "seed_5", "seed_6"]
    for run, seed in zip(runs, (4, 5, 6), strict=True):
        assert run.load_config()["runner"]["seed"] == seed
        assert rows_of(run)[-1]["step"] == 512
        assert saved_steps(run.checkpoints)[-1] == 512
        best = max(row["eval_return"] for row in rows_of(run) if "eval_return" in row)
        assert load_run(run, best=True)[2]["seed"] == seed
        capsys.readouterr()
        main(["evaluate", str(run), "--best"])
        again = float(capsys.readouterr().out.split()[1])
        assert again == pytest.approx(best, rel=0.05)  # another program rounds otherwise
    main(["evaluate", str(group)])
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in said[:3]] == ["seed_4", "seed_5", "seed_6"]
    assert said[3].startswith("IQM ")
    assert "of 3 seeds (95 % bootstrap)" in said[3]
    main(["plot", str(group)])
    assert (group.artifacts / "reward_curve.png").stat().st_size > 10_000


def test_a_killed_group_is_resumed_from_the_step_that_all_have_to_the_same_bits(group):
    shutil.copytree(group.root, "runs/lost", symlinks=True)
    lost = members("runs/lost")
    lacking = {lost[0]: (384, 512), lost[1]: (512,), lost[2]: (256, 384, 512)}
    for run, steps in lacking.items():  # as if the process had been killed while it saved
        for step in steps:
            shutil.rmtree(run.checkpoints / f"step_{step}", ignore_errors=True)
    main(["train", "--resume", "runs/lost"])
    later = [path.name for path in lost[0].checkpoints.glob("later_step_*")]
    assert later == ["later_step_256"]
    for run, whole in zip(lost, members(group), strict=True):
        assert rows_of(run) == rows_of(whole)
        digests = [load_metadata(r.checkpoints)["digests"] for r in (run, whole)]
        assert digests[0] == digests[1]


def test_a_group_is_extended(group, capsys):
    for words in (["--runner.total_timesteps", "768"], []):  # the group remembers
        main(["train", "--resume", str(group), *words])
        assert "Training complete | 768 env steps of each of 3 seeds" in capsys.readouterr().out
    agents = [load_run(run)[1] for run in members(group)]
    weights = [np.asarray(jax.tree.leaves(agent.params)[0]) for agent in agents]
    assert not np.array_equal(weights[0], weights[1])


def test_a_group_is_not_recorded_with_a_budget_that_it_is_past(group, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(group), "--runner.total_timesteps", "256"])
    assert "total_timesteps 256 is less than the 512 env steps" in capsys.readouterr().err
    assert not list(group.root.rglob("config_2.json"))
    assert [saved_steps(run.checkpoints)[-1] for run in members(group)] == [512] * 3


def test_a_run_without_its_checkpoints_is_said_to_start_from_scratch(group, caplog):
    run = members(group)[0]
    shutil.rmtree(run.checkpoints)
    with one_device():
        resume(run, read_config(run))
    assert "has no checkpoint to resume from: it starts from scratch" in caplog.text


def test_a_group_is_no_single_run(group):
    config = read_config(members(group)[0])
    for use in (partial(resume, config=config), load_run, evaluate_run):
        with pytest.raises(ConfigError, match="is a group of runs: name one of its members"):
            use(group)
    assert not list(group.root.glob("config_2.json"))


def test_a_seed_that_diverges_is_taken_out_and_named(group, capsys):
    first, second, third = members(group)
    config = second.load_config()
    config["algo"]["lr"] = "inf"
    second.save_next_config(config)
    for total in ("768", "1024"):  # the second time it is left out from the beginning
        main(["train", "--resume", str(group), "--runner.total_timesteps", total])
        said = capsys.readouterr().out
        assert f"Training complete | {int(total):,} env steps of each of" in said
        assert "Diverged | seed_5: actor_loss became nan at update 5" in said
        assert "of 3 seeds (95 % bootstrap), worst diverged" in said
    assert [rows_of(run)[-1]["step"] for run in (first, second, third)] == [1024, 512, 1024]
    assert saved_steps(first.checkpoints)[-1] == saved_steps(third.checkpoints)[-1] == 1024
    assert saved_steps(second.checkpoints)[-1] == 512
    main(["evaluate", str(group)])
    assert "seed_5 | diverged" in capsys.readouterr().out
    main(["plot", str(group)])


def test_a_group_of_which_all_diverged_is_not_resumed(group, capsys):
    for run in members(group):
        mark_diverged(run, Divergence(512, "actor_loss became nan"))
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(group)])
    assert "has no member that did not diverge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("cartpole_ppo --seeds", "--seeds needs seeds: vibe-rl train PRESET --seeds 0:8"),
        ("cartpole_ppo --seeds a:b", "seeds 'a:b': give a range such as 0:8"),
        ("cartpole_ppo --seeds 0:1:2", "seeds '0:1:2': give a range such as 0:8"),
        ("cartpole_ppo --seeds 0:3,2", "seeds [2] are given twice: name each once"),
        ("cartpole_ppo --seeds 0:3 --runner.seed 2", "runner.seed is each of --seeds in turn"),
        ("cartpole_ppo --seeds 3:3", "give a range whose end is above"),
        (
            "cartpole_ppo --seeds 0:2 --runner.num_devices 2",
            "need one process and runs of one device each",
        ),
    ],
)
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["train", *words.split()])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_group_keeps_its_seeds(group, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(group), "--seeds", "0:2"])
    assert "a group keeps its seeds" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="given twice"):
        check_seeds([1, 1])
