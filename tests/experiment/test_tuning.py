"""Sizes that are chosen by measurement: what is tried, what is chosen, and what stays."""

from dataclasses import replace

import pytest

from small_run import CONFIG
from vibe_rl import cli
from vibe_rl.configs import from_dict
from vibe_rl.configs.scaling import sizes_of
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import tuning
from vibe_rl.experiment.tuning import (
    Measured,
    Stopwatch,
    envs_to_try,
    faster_minibatches,
    fewest_envs,
    minibatches_to_try,
    tune,
)
from vibe_rl.run_dir import find_runs


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def with_sizes(num_envs, n_minibatches=4):
    algo = replace(CONFIG.algo, num_envs=num_envs, n_minibatches=n_minibatches)
    return replace(CONFIG, algo=algo)


def measured(num_envs, speed, n_minibatches=4):
    return Measured(with_sizes(num_envs, n_minibatches), 1.0, speed)


@pytest.fixture
def fake(monkeypatch):
    """Measurements by a table of speeds instead of a device; each takes ten seconds."""
    clock, speeds = Clock(), {}

    def measure(config, watch):
        clock.now += 10.0
        speed = speeds.get((config.algo.num_envs, config.algo.n_minibatches), 1000.0)
        return Measured(config, 1.0, speed)

    monkeypatch.setattr(tuning, "measure_size", measure)
    return Stopwatch(clock=clock), speeds


def test_the_fewest_envs_are_taken_that_are_nearly_as_fast_as_the_fastest():
    options = [measured(4, 100.0), measured(8, 920.0), measured(16, 1000.0), measured(2, 899.0)]
    assert fewest_envs(options).num_envs == 8


def test_other_minibatches_are_taken_only_if_they_are_clearly_faster():
    own = measured(8, 920.0)
    assert faster_minibatches(own, [measured(8, 1000.0, 2), measured(8, 500.0, 8)]) is own
    faster = measured(8, 1100.0, 2)
    assert faster_minibatches(own, [faster]) is faster


def test_sizes_follow_the_envs_and_half_and_twice_the_minibatches_are_tried(fake):
    watch, speeds = fake
    speeds |= {(8, 8): 5000.0, (8, 4): 9000.0}  # the rule gives 8 envs 8 minibatches
    found = tune(CONFIG, CONFIG, watch=watch)
    tried = [(m.config.algo.num_envs, m.config.algo.n_minibatches) for m in found.measured]
    assert tried == [(4, 4), (8, 8), (16, 16), (32, 32), (2, 4), (8, 4), (8, 16)]
    assert found.all_tried
    algo = found.chosen.config.algo
    assert (algo.num_envs, algo.n_minibatches, algo.n_epochs) == (8, 4, 2)


def test_no_size_is_begun_when_the_time_is_over(fake):
    watch, _ = fake
    watch.budget = 15.0
    found = tune(CONFIG, CONFIG, watch=watch)
    assert len(found.measured) == 2
    assert not found.all_tried


def test_what_was_typed_is_not_changed(fake):
    watch, _ = fake
    (only,) = envs_to_try(CONFIG, CONFIG, {"algo.num_envs"})
    assert only == CONFIG
    assert minibatches_to_try(CONFIG, measured(8, 1.0), CONFIG, {"algo.n_minibatches"}) == []
    typed = {"algo.n_minibatches", "algo.n_epochs", "algo.lr"}
    found = tune(CONFIG, CONFIG, typed, watch)
    for each in found.measured:
        kept = each.config.algo
        assert (kept.n_minibatches, kept.n_epochs, kept.lr) == (4, 4, CONFIG.algo.lr)
    with pytest.raises(ConfigError, match="both are given: leave one out"):
        tune(CONFIG, CONFIG, {"algo.num_envs", "algo.n_minibatches"}, watch)


def test_a_size_that_memory_does_not_hold_is_passed_over(monkeypatch):
    def time_updates(run, watch):
        too_large = run.algo.num_envs > 4
        raise RuntimeError("RESOURCE_EXHAUSTED: memory" if too_large else "something else")

    monkeypatch.setattr(tuning, "time_updates", time_updates)
    monkeypatch.setattr(tuning, "build", FakeRun)
    assert tuning.measure_size(with_sizes(8), Stopwatch()).steps_per_second == 0.0
    with pytest.raises(RuntimeError, match="something else"):
        tuning.measure_size(with_sizes(4), Stopwatch())


class FakeRun:
    def __init__(self, config):
        self.config, self.algo = config.runner, config.algo


def test_a_real_measurement_writes_nothing_and_prints_a_command_that_trains(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "FACTORS", (1.0, 2.0))
    how = ["--seconds", "0.05", "--algo.hidden_sizes", "(8,)", "--algo.n_minibatches", "4"]
    cli.main(["tune", "cartpole_ppo", *how])
    *_, command = capsys.readouterr().out.splitlines()
    assert command.startswith("Train with | vibe-rl train cartpole_ppo --algo.hidden_sizes '(8,)'")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--auto-scale", "Sizes | batch 1,024: 8 minibatches of 128, 2 epochs, 16 gradient steps"),
        ("--auto_tune", "1,000  chosen"),
    ],
)
def test_train_takes_sizes_that_nobody_typed_and_records_them(
    flag, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["cartpole_ppo", flag, "--algo.hidden_sizes", "(8,)", "--algo.num_envs", "8"]
    words += ["--runner.total_timesteps", "1024", "--runner.eval_episodes", "0"]
    cli.main(["train", *words, "--runner.plot", "false", "--runner.progress_bar", "false"])
    assert said in capsys.readouterr().out
    (run_dir,) = find_runs("runs")
    assert from_dict(run_dir.load_config()).algo.n_minibatches == 8
    with pytest.raises(SystemExit):
        cli.main(["train", "--resume", str(run_dir), flag])
    assert "with --resume: a run keeps its sizes, leave it out." in capsys.readouterr().err


def test_the_speed_is_that_of_whole_updates_compilation_apart():
    run = tuning.build(tuning.endless(CONFIG))
    compile_seconds, speed = tuning.time_updates(run, Stopwatch(seconds=0.05))
    assert compile_seconds > 0.0
    assert 0.0 < speed < 1e8
    assert sizes_of(CONFIG).batch == 128
