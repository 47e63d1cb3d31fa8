"""Hydra's sweeper over Optuna, with a function in place of a training."""

from pathlib import Path

import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.trainers.driving.composing import Composition, sweep_words
from vibe_rl.trainers.driving.trials import figure_of, trial_callback

HOW = ["hydra/sweeper=optuna", "hydra.sweeper.sampler_seed=0", "hydra.sweeper.storage=s.journal"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def closeness(tree: Composition) -> float:
    return -abs(tree.values["algorithm"]["gamma"] - 0.97)


def test_trials_have_values_within_their_range_and_of_their_choices(capsys, folder):
    seen = []

    def train(tree: Composition) -> float:
        seen.append((tree.values["algorithm"]["gamma"], tree.values["algorithm"]["batch_size"]))
        return closeness(tree)

    words = ["algorithm.gamma=interval(0.9,0.99)", "algorithm.batch_size=32,64", "seed=3"]
    sweep_words([*HOW, "hydra.sweeper.n_trials=6", *words], train)
    assert len(seen) == 6
    assert all(0.9 <= gamma <= 0.99 and batch in (32, 64) for gamma, batch in seen)
    best = min(seen, key=lambda x: abs(x[0] - 0.97))
    assert f"algorithm.gamma={best[0]}" in capsys.readouterr().out.splitlines()[-1]
    assert [path.name for path in folder.iterdir()] == ["s.journal"]


def test_a_study_is_gone_on_with_until_it_has_its_trials():
    seen = []

    def train(tree: Composition) -> float:
        seen.append(tree.values["algorithm"]["gamma"])
        return closeness(tree)

    for n_trials in (2, 5):
        sweep_words(
            [*HOW, f"hydra.sweeper.n_trials={n_trials}", "algorithm.gamma=0.9,0.95,0.99"], train
        )
    assert len(seen) == 5
    with pytest.raises(ConfigError, match="has another space"):
        sweep_words([*HOW, "algorithm.gamma=0.9,0.99"], train)


def test_trials_that_cannot_work_or_are_not_finite_do_not_end_the_study(capsys):
    def train(tree: Composition) -> float:
        if tree.values["seed"] == 1:
            raise ConfigError("seed 1: not that one.")
        return float("nan") if tree.values["seed"] == 2 else 0.5

    sweep_words([*HOW, "hydra.sweeper.n_trials=9", "seed=1,2,3"], train)
    said = capsys.readouterr().out
    assert "refused: seed 1: not that one." in said
    assert "pruned" in said
    assert "Best | trial" in said


def test_a_trial_that_is_worse_than_the_others_is_ended_by_its_evaluations():
    ended = []

    def train(tree: Composition) -> float:
        tell = trial_callback(None)
        assert tell is not None
        quality = float(tree.values["seed"] < 2)
        answers = [tell(step, None, {"eval_success_mean": quality}) for step in (10, 20, 30)]
        ended.append((quality, answers))
        return quality

    seeds = "seed=" + ",".join(map(str, range(4)))
    sweep_words([*HOW, "hydra.sweeper.n_trials=10", seeds], train)
    assert (0.0, [False, False, False]) in ended  # after the first few, which no pruner ends
    assert all(False not in answers for quality, answers in ended if quality)


def test_what_cannot_work_is_refused_before_there_is_a_study(folder):
    (folder / "notes.txt").write_text("mine")
    varied = [*HOW, "seed=1,2"]
    for words, said in {
        ("hydra.sweeper.n_trials=0",): "hydra.sweeper.n_trials 0: give a whole number of at least",
        ("hydra.sweeper.n_trials=x",): "hydra.sweeper.n_trials x: give a whole number of at least",
        ("hydra.sweeper.n_trial=3",): "unknown key 'hydra.sweeper.n_trial': did you mean hydra.swe",
        ("hydra/sweeper=optunna",): "unknown option of hydra/sweeper 'optunna': did you mean opt",
        ("hydra.sweeper.storage=notes.txt",): "storage 'notes.txt' is a file, but no journal",
    }.items():
        with pytest.raises(ConfigError) as refused:
            sweep_words([*varied, *words], closeness)
        assert said in str(refused.value)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert (folder / "notes.txt").read_text() == "mine"


def test_if_no_trial_can_work_the_sweep_is_refused_and_of_several_runs_the_first(capfd):
    def train(tree: Composition) -> float:
        raise ConfigError(f"seed {tree.values['seed']}: not that one.")

    with pytest.raises(ConfigError, match="all 2 trials were refused, the last so: seed"):
        sweep_words([*HOW, "hydra.sweeper.n_trials=2", "seed=1,2"], train)
    with pytest.raises(ConfigError, match=r"^seed 1: not that one\.$"):
        sweep_words(["seed=1,2"], train)
    assert capfd.readouterr().err == ""  # Hydra says nothing beside


def test_nothing_that_varies_is_refused():
    with pytest.raises(ConfigError, match="no key has several values"):
        sweep_words([*HOW, "seed=1"], closeness)
    with pytest.raises(ConfigError, match="give the lower end first"):
        sweep_words([*HOW, "algorithm.gamma=interval(0.99,0.9)"], closeness)


def test_what_is_maximized_is_success_or_else_the_return():
    assert figure_of({"eval_return": 3.0}, None) == 3.0
    assert figure_of({"eval_return": 3.0, "eval_success_mean": 0.5}, None) == 0.5
    assert figure_of({"eval_return": 3.0, "eval_success_mean": 0.5}, "return") == 3.0
    assert figure_of({"episode_return_mean": 3.0}, None) is None


def test_outside_of_a_sweep_nobody_asks_for_evaluations():
    assert trial_callback(None) is None
