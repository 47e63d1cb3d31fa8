"""Trainings of a `PPOTrainer`: what they call, report, leave, and resume."""

import csv
import json
import logging
import math
import signal
import warnings

import jax
import numpy as np
import pytest
from small_trainer import small_agent, small_trainer

from compiling import as_users_do
from vibe_rl.errors import ConfigError, TrainingInterrupted
from vibe_rl.runner.loop import run_chunk
from vibe_rl.tracking.jsonl import read_metrics
from vibe_rl.trainers import (
    CartPoleWrapper,
    ConvergenceMonitor,
    PlateauMonitor,
    PPOAgent,
    PPOTrainer,
)
from vibe_rl.trainers.ppo_trainer.progress.monitors import Status
from vibe_rl.trainers.ppo_trainer.progress.progress import Episode, Progress

TIMES = ("training_time", "run_dir")


def timeless(results):
    return {name: x for name, x in results.items() if name not in TIMES}


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A complete training, its payloads and its trainer."""
    payloads = []
    trainer = small_trainer(tmp_path_factory.mktemp("trained"), plot=True)
    results = trainer.train(callback=payloads.append)
    return trainer, results, payloads


class Recorder:
    """A tracker that keeps what it is told."""

    def __init__(self):
        self.rows, self.events = [], []

    def log(self, metrics, step):
        self.rows.append((step, dict(metrics)))

    def log_config(self, config):
        self.events.append(("config", dict(config)))

    def log_file(self, path):
        self.events.append(("file", str(path)))

    def close(self, status="finished"):
        self.events.append(("close", status))


def test_results_say_what_happened_and_are_plain(trained):
    trainer, results, _ = trained
    assert results["total_episodes"] == len(results["episode_rewards"]) == 12
    assert results["episode_rewards"] == results["episode_lengths"]  # a reward of 1 a step
    assert results["total_steps"] == sum(results["episode_lengths"])
    assert max(results["episode_lengths"]) <= 20
    assert results["eval_episodes_at"] == [4, 8, 12]
    assert results["stop_reason"] == "max_episodes"
    assert not results["converged"]
    assert results["seed"] == 42
    assert {len(losses) for losses in results["losses"].values()} == {12}
    written = json.loads((trainer.run_dir / "results.json").read_text())
    assert written == json.loads(json.dumps(results, allow_nan=False))
    assert results["final_eval"]["avg_reward"] == results["final_avg_reward"]


def test_callbacks_get_every_episode_with_its_evaluation(trained):
    _, results, payloads = trained
    assert [payload["episode"] for payload in payloads] == list(range(12))
    evaluated = [payload["episode"] for payload in payloads if payload["eval_metrics"]]
    assert evaluated == [3, 7, 11]
    for payload, reward in zip(payloads, results["episode_rewards"], strict=True):
        metrics = payload["step_metrics"]
        assert metrics["episode_rewards"] == [reward]
        assert metrics["episode_reward"] == metrics["avg_reward"] == reward
    assert set(payloads[0]) == {
        *("episode", "step_metrics", "eval_metrics", "convergence", "results_so_far")
    }
    scores = payloads[3]["eval_metrics"]
    assert scores["avg_reward"] == results["eval_rewards"][0]
    assert scores["avg_reward"] == pytest.approx(np.mean(scores["episode_rewards"]))
    assert scores["std_reward"] == pytest.approx(np.std(scores["episode_rewards"]))
    assert payloads[-1]["results_so_far"]["total_steps"] == results["total_steps"]


def test_step_metrics_have_the_names_of_the_contract(trained):
    _, _, payloads = trained
    assert {
        *("episode_rewards", "episode_lengths", "avg_reward", "avg_length", "total_steps"),
        *("episode_reward", "episode_length", "policy_loss", "value_loss", "entropy_loss"),
        *("total_loss", "kl_divergence", "clipfrac", "grad_norm", "entropy", "approx_kl"),
        *("explained_variance", "learning_rate", "steps_per_second", "rolling_reward", "kl_k1"),
        "num_updates",
    } <= set(payloads[-1]["step_metrics"])
    metrics = payloads[-1]["step_metrics"]
    expected = metrics["policy_loss"] + 0.5 * metrics["value_loss"] + 0.01 * metrics["entropy_loss"]
    assert metrics["total_loss"] == pytest.approx(expected, rel=1e-4)
    assert metrics["kl_divergence"] >= 0
    assert metrics["entropy_loss"] == -metrics["entropy"]
    agent = trained[0].agent.config
    per_epoch = math.ceil(metrics["episode_length"] / agent.minibatch_size)
    assert metrics["num_updates"] == agent.epochs_per_update * per_epoch


def test_the_monitor_has_seen_the_episode_that_a_callback_is_told_of(trained):
    _, results, payloads = trained
    rewards = results["episode_rewards"]
    for i, payload in enumerate(payloads):
        mean = None if i < 2 else pytest.approx(np.mean(rewards[i - 2 : i + 1]))
        assert payload["convergence"]["rolling"] == mean
        assert payload["step_metrics"]["rolling_reward"] == mean


def test_figures_and_a_report_are_left(trained):
    trainer, results, _ = trained
    artifacts = trainer.run_dir / "artifacts"
    assert len(list(artifacts.rglob("*.png"))) == 9
    path = artifacts / "performance_analysis" / "performance_report.json"
    report = json.loads(path.read_text())
    assert report["basic_stats"]["total_episodes"] == 12
    assert report["convergence_analysis"]["target"] == 1000.0
    assert report["convergence_analysis"]["converged"] is False
    summary = json.loads((artifacts / "dashboard" / "training_summary.json").read_text())
    assert summary["final_avg_reward"] == results["final_avg_reward"]


def test_the_run_directory_is_that_of_any_run(trained):
    trainer, results, _ = trained
    rows = read_metrics(trainer.run_dir / "logs" / "metrics.jsonl")
    assert [row["update"] for row in rows] == list(range(1, 13))
    assert [row["episode_return_mean"] for row in rows] == results["episode_rewards"]
    assert trainer.run_dir.name.startswith("cartpole-ppo_")
    config = json.loads((trainer.run_dir / "config.json").read_text())
    assert config["env_kwargs"] == {"max_steps": 20}
    assert config["algo"]["whole_episodes"]


def test_the_same_seed_gives_the_same_results_and_another_one_does_not(trained, tmp_path):
    trainer, results, _ = trained
    again = small_trainer(tmp_path, key=jax.random.PRNGKey(42))
    assert timeless(again.train()) == timeless(results)
    assert_same(again.agent.state, trainer.agent.state)
    other = small_trainer(tmp_path, seed=43).train()
    assert other["episode_rewards"] != results["episode_rewards"]


def test_evaluating_never_changes_what_is_learned(trained, tmp_path):
    _, results, _ = trained
    seldom = small_trainer(tmp_path, eval_frequency=0, restore_best=False)
    rare = seldom.train()
    assert rare["episode_rewards"] == results["episode_rewards"]
    assert rare["losses"] == results["losses"]
    assert rare["eval_rewards"] == []
    assert rare["final_eval"] is not None


def test_a_second_training_begins_anew_and_says_so(tmp_path, caplog):
    trainer = small_trainer(tmp_path, max_episodes=4)
    first = trainer.train()
    with caplog.at_level(logging.WARNING, "vibe_rl"):
        second = trainer.train()
    assert "train begins anew" in caplog.text
    assert timeless(first) == timeless(second)
    assert first["run_dir"] != second["run_dir"]


def test_one_program_serves_episodes_of_every_length(trained, tmp_path):
    small_trainer(tmp_path).train()
    before = run_chunk._cache_size()
    small_trainer(tmp_path, seed=7, agent=small_agent(learning_rate=1e-3)).train()
    assert run_chunk._cache_size() == before


def stopping_at(episode, answer=False):
    return lambda payload: answer if payload["episode"] == episode else None


@pytest.mark.parametrize("answer", [False, np.bool_(False)])
def test_a_callback_that_returns_false_ends_the_training(tmp_path, answer):
    results = small_trainer(tmp_path).train(callback=stopping_at(4, answer))
    assert results["total_episodes"] == 5
    assert results["stop_reason"] == "callback"
    assert results["final_eval"] is not None


@pytest.mark.parametrize("answer", [None, 0, True, "", []])
def test_what_is_merely_nothing_ends_nothing(trained, tmp_path, answer):
    _, results, _ = trained
    if answer is None:
        assert results["total_episodes"] == 12
        return
    trainer = small_trainer(tmp_path, max_episodes=3, eval_frequency=0)
    assert trainer.train(callback=lambda _: answer)["total_episodes"] == 3


def test_callbacks_are_called_in_their_order_and_all_of_them(tmp_path):
    called = []
    callbacks = [lambda p, name=name: called.append((name, p["episode"])) for name in "ab"]
    trainer = small_trainer(tmp_path, callbacks=[*callbacks, stopping_at(1)])
    results = trainer.train(callback=lambda p: called.append(("c", p["episode"])))
    assert called == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("c", 1)]
    assert results["stop_reason"] == "callback"


def test_a_callback_that_raises_fails_the_run_and_keeps_its_data(tmp_path):
    tracker = Recorder()

    def fail(payload):
        if payload["episode"] == 5:
            raise RuntimeError("mine")

    trainer = small_trainer(tmp_path, trackers=[tracker])
    with pytest.raises(RuntimeError, match="mine"):
        trainer.train(callback=fail)
    assert tracker.events[-1] == ("close", "failed")
    (run_dir,) = tmp_path.iterdir()
    assert len(read_metrics(run_dir / "logs" / "metrics.jsonl")) == 6
    assert (run_dir / "checkpoints" / "step_96").is_dir()  # 3 episodes of 32 steps


def test_trackers_get_rows_at_the_numbers_of_episodes(tmp_path):
    tracker = Recorder()
    results = small_trainer(tmp_path, trackers=[tracker]).train()
    steps = [step for step, _ in tracker.rows]
    assert steps == [0, 2, 3, 4, 6, 7, 8, 10, 11, 12]  # every second, and evaluations
    by_step = dict(tracker.rows)
    assert by_step[0]["episode_reward"] == results["episode_rewards"][0]
    assert by_step[3]["eval_avg_reward"] == results["eval_rewards"][0]
    assert by_step[8]["avg_reward_10"] == pytest.approx(np.mean(results["episode_rewards"][:9]))
    assert by_step[8]["env_steps"] == sum(results["episode_lengths"][:9])
    assert "eval_avg_reward" not in by_step[8]
    assert by_step[12]["final_avg_reward"] == results["final_avg_reward"]
    assert by_step[12]["converged"] == 0.0
    kinds = [kind for kind, _ in tracker.events]
    assert kinds[0] == "config"
    assert tracker.events[-1] == ("close", "finished")
    config = tracker.events[0][1]
    assert config["max_episodes"] == 12
    assert config["clip_epsilon"] == 0.2


def test_a_table_has_a_line_for_every_update(trained):
    trainer, results, _ = trained
    with (trainer.run_dir / "logs" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["episode_reward"]) for row in rows] == results["episode_rewards"]
    assert [row["eval_avg_reward"] != "" for row in rows] == [i % 4 == 3 for i in range(12)]


def interrupting_at(episode):
    def callback(payload):
        if payload["episode"] == episode:
            signal.raise_signal(signal.SIGINT)

    return callback


@pytest.mark.parametrize("episode", [4, 7])
def test_ctrl_c_returns_results_and_resuming_makes_them_whole(trained, tmp_path, episode):
    complete, results, _ = trained
    tracker = Recorder()
    trainer = small_trainer(tmp_path, trackers=[tracker])
    with pytest.raises(TrainingInterrupted) as raised:
        trainer.train(callback=interrupting_at(episode))
    partial = raised.value.result
    assert partial["stop_reason"] == "interrupted"
    assert partial["episode_rewards"] == results["episode_rewards"][: episode + 1]
    assert partial["final_eval"] is None
    assert tracker.events[-1] == ("close", "interrupted")

    tracker.rows.clear()
    resumed = PPOTrainer.restore(trainer.run_dir, trackers=[tracker])
    payloads = []
    again = resumed.train(callback=payloads.append, resume=True)
    assert timeless(again) == timeless(results)
    assert_same(resumed.agent.state, complete.agent.state)
    assert [payload["episode"] for payload in payloads] == list(range(episode + 1, 12))
    told = [
        (step, row["eval_max_reward"]) for step, row in tracker.rows if "eval_max_reward" in row
    ]
    assert [step for step, _ in told] == [3, 7, 11], "those of before in full"
    with (trainer.run_dir / "logs" / "metrics.csv").open(newline="") as file:
        assert [int(row["episode"]) for row in csv.DictReader(file)] == list(range(12))


@pytest.mark.usefixtures("few_figures")
def test_resuming_what_is_complete_changes_nothing(trained):
    trainer, results, _ = trained
    resumed = PPOTrainer.restore(trainer.run_dir)
    assert timeless(resumed.train(resume=True)) == timeless(results)


def test_a_longer_training_goes_on_where_a_complete_one_ended(tmp_path):
    short = small_trainer(tmp_path, max_episodes=6, save_frequency=4)
    short.train()
    longer = PPOTrainer.restore(short.run_dir, max_episodes=9)
    results = longer.train(resume=True)
    straight = small_trainer(tmp_path, max_episodes=9, save_frequency=4).train()
    assert results["episode_rewards"] == straight["episode_rewards"]
    assert results["losses"] == straight["losses"]


def test_convergence_ends_the_training_unless_it_is_only_watched(tmp_path):
    easy = {"target_reward": 5.0, "convergence_window": 2, "early_stopping_patience": 3}
    results = small_trainer(tmp_path, **easy).train()
    assert results["stop_reason"] == "converged"
    assert results["converged"]
    assert results["total_episodes"] == results["convergence_episode"] == 4
    assert results["reached_episode"] == 2
    watched = small_trainer(tmp_path, early_stop=False, **easy).train()
    assert watched["converged"]
    assert watched["total_episodes"] == 12
    assert watched["stop_reason"] == "max_episodes"


def test_another_monitor_ends_the_training_for_its_own_reason(tmp_path):
    monitor = PlateauMonitor(min_delta=1000.0, patience=2, window=2)
    results = small_trainer(tmp_path, monitor=monitor).train()
    assert results["stop_reason"] == "plateau"
    assert results["total_episodes"] == 4
    assert not results["converged"]


def test_the_best_evaluated_agent_is_returned_if_the_last_is_worse(tmp_path):
    # A learning rate that ruins what was learned: the best evaluation is not the last.
    agent = small_agent(learning_rate=1.0)
    trainer = small_trainer(tmp_path, agent=agent, seed=2)
    results = trainer.train()
    best, last = results["best_eval_reward"], results["last_eval"]["avg_reward"]
    assert results["best_eval_episode"] < 12
    assert last < best
    restored = PPOTrainer.restore(trainer.run_dir)
    assert_same(restored.agent.state, trainer.agent.state)
    assert results["final_avg_reward"] > last
    assert trainer.agent.state.step == results["best_eval_episode"]
    kept = small_trainer(tmp_path, agent=small_agent(learning_rate=1.0), seed=2, restore_best=False)
    assert kept.train()["final_avg_reward"] == last
    assert kept.agent.state.step == 12


def test_an_evaluation_before_training_is_of_the_first_agent_and_survives_resuming(tmp_path):
    trainer = small_trainer(tmp_path, eval_at_start=True)
    with pytest.raises(TrainingInterrupted):
        trainer.train(callback=interrupting_at(4))
    assert trainer.results["eval_episodes_at"] == [0, 4]
    again = PPOTrainer.restore(trainer.run_dir).train(resume=True)
    assert again["eval_episodes_at"] == [0, 4, 8, 12]
    assert again["eval_rewards"][0] == trainer.results["eval_rewards"][0]


def test_several_episodes_in_an_update(tmp_path):
    payloads = []
    trainer = small_trainer(tmp_path, episodes_per_update=3)
    results = trainer.train(callback=payloads.append)
    assert results["total_episodes"] == 12
    assert [payload["episode"] for payload in payloads] == [2, 5, 8, 11]
    assert results["eval_episodes_at"] == [6, 9, 12]  # the first update past 4, 8 and 12
    rewards = [x for p in payloads for x in p["step_metrics"]["episode_rewards"]]
    assert rewards == results["episode_rewards"]
    with pytest.raises(TrainingInterrupted) as raised:
        small_trainer(tmp_path, episodes_per_update=3).train(callback=interrupting_at(5))
    restored = PPOTrainer.restore(raised.value.result["run_dir"])
    assert timeless(restored.train(resume=True)) == timeless(results)


def test_envs_side_by_side(tmp_path):
    payloads = []
    how = {"mode": "vectorized", "num_envs": 4, "rollout_steps": 16}
    trainer = small_trainer(tmp_path, max_episodes=30, **how)
    results = trainer.train(callback=payloads.append)
    assert 30 <= results["total_episodes"] < 60
    assert results["stop_reason"] == "max_episodes"
    assert len(results["episode_rewards"]) == results["total_episodes"]
    assert all(len(p["step_metrics"]["episode_rewards"]) >= 1 for p in payloads)
    assert payloads[-1]["episode"] == results["total_episodes"] - 1


def test_gradient_norms_are_kept_on_demand(tmp_path):
    payloads = []
    trainer = small_trainer(tmp_path, max_episodes=4, log_gradient_flow=True)
    results = trainer.train(callback=payloads.append)
    norms = results["gradient_norms"]
    assert len(norms) == 8
    assert all(len(values) == 4 for values in norms.values())
    assert payloads[0]["step_metrics"]["grad_norms"]["value_head.bias"] > 0


def test_gifs_are_made_of_evaluations(tmp_path):
    payloads = []
    trainer = small_trainer(tmp_path, video_record_frequency=6)
    trainer.train(callback=payloads.append)
    paths = [p["eval_metrics"]["gif_path"] for p in payloads if p["eval_metrics"]]
    assert [path is not None for path in paths] == [False, True, True]
    names = sorted(path.name for path in (trainer.run_dir / "videos").iterdir())
    assert names == ["eval_ep00008.gif", "eval_ep00012.gif"]
    assert (trainer.run_dir / "videos" / names[0]).read_bytes().startswith(b"GIF89a")


def test_evaluating_an_agent_says_how_it_does(trained):
    trainer, _, _ = trained
    scores = trainer.evaluate(num_episodes=7)
    assert len(scores["episode_rewards"]) == 7
    assert scores == trainer.evaluate(num_episodes=7)
    assert scores["episode_rewards"] != trainer.evaluate(7, episode_id=99)["episode_rewards"]
    assert scores["success_rate"] == 0.0
    assert scores["min_reward"] <= scores["avg_reward"] <= scores["max_reward"]


def test_episodes_are_collected_whole(trained):
    trainer, _, _ = trained
    batch = trainer.collect_batch(jax.random.key(5), 3)
    for data in batch:
        length = len(data["rewards"])
        assert data["observations"].shape == data["next_observations"].shape == (length, 4)
        assert data["dones"].tolist() == [False] * (length - 1) + [True]
        np.testing.assert_array_equal(data["observations"][1:], data["next_observations"][:-1])
        np.testing.assert_array_equal(data["dones"], data["terminated"] | data["truncated"])
        assert (data["log_probs"] <= 0).all()
    assert len({len(data["rewards"]) for data in batch}) > 1
    one = trainer.collect_episode(jax.random.PRNGKey(5))
    assert set(one) == set(batch[0])


def test_a_single_update_changes_the_agent_and_counts(tmp_path):
    trainer = small_trainer(tmp_path)
    before = trainer.agent.state
    metrics = trainer.train_step(jax.random.key(0))
    assert trainer.episode_count == 1
    assert trainer.step_count == metrics["episode_length"] == trainer.episode_lengths[0]
    assert not np.array_equal(
        before.params.value_head.weight, trainer.agent.network_params.value_head.weight
    )
    assert list(tmp_path.iterdir()) == []
    trainer.train_step(jax.random.key(1))
    assert trainer.episode_count == 2
    assert trainer.evaluate(2)["avg_reward"] > 0


def test_lines_are_printed(tmp_path, capsys):
    small_trainer(tmp_path, verbose=True, max_episodes=4).train()
    lines = capsys.readouterr().out.splitlines()
    numbers = [int(line.split("|")[0].split()[1]) for line in lines]
    assert numbers == [1, 3, 4]
    assert "evaluation" in lines[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_episode": 5}, "unknown argument of PPOTrainer 'max_episode': did you mean"),
        ({"max_episodes": 0}, "PPOTrainer max_episodes 0: give at least 1."),
        ({"convergence_window": 50}, "convergence_window 50 is longer than max_episodes 12"),
        ({"mode": "vectorised"}, "did you mean vectorized"),
        (
            {"num_envs": 4},
            "PPOTrainer num_envs 4 is of mode vectorized: leave it out, or give mode",
        ),
        ({"mode": "vectorized", "episodes_per_update": 2}, "is of mode episodic"),
        ({"episodes_per_update": 5}, "episodes_per_update 5 does not divide max_episodes 12"),
        ({"track": ["mlfow"]}, "unknown tracker 'mlfow': did you mean mlflow"),
        ({"agent": small_agent}, "agent is a function: give a PPOAgent."),
        ({"key": jax.random.split(jax.random.key(0))}, "PPOTrainer key .*: give one key"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(tmp_path, changes, message):
    with as_users_do(), pytest.raises(ConfigError, match=message):
        small_trainer(tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="observation_dim 3 is not the env's 4: give 4"):
        PPOTrainer(PPOAgent(3, 2), CartPoleWrapper())
    trainer = small_trainer(tmp_path)
    with pytest.raises(ConfigError, match="evaluate comes before train: train first"):
        trainer.evaluate()
    with pytest.raises(ConfigError, match=r"train\(resume=True\) has nothing to resume"):
        trainer.train(resume=True)
    with as_users_do(), pytest.raises(ConfigError, match="callback 'log': give a function"):
        trainer.train(callback="log")
    vectorized = small_trainer(tmp_path, mode="vectorized", num_envs=3, rollout_steps=5)
    with pytest.raises(ConfigError, match="minibatch_size 16 does not divide num_envs 3"):
        vectorized.train()
    with pytest.raises(ConfigError, match="is not a run directory"):
        PPOTrainer.restore(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_directory_is_not_written_over(tmp_path):
    trainer = small_trainer(tmp_path, run_dir=tmp_path / "one", max_episodes=3)
    (tmp_path / "one").mkdir()  # an empty folder is as good as none
    trainer.train()
    learned = trainer.agent.state
    before = {path: path.read_bytes() for path in (tmp_path / "one").rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="exists"):
        trainer.train()
    assert_same(trainer.agent.state, learned)
    assert before == {p: p.read_bytes() for p in (tmp_path / "one").rglob("*") if p.is_file()}


def test_a_resumed_training_of_another_shape_is_refused(trained, tmp_path):
    trainer, _, _ = trained
    other = small_trainer(tmp_path, agent=small_agent(hidden_sizes=(6,)), run_dir=trainer.run_dir)
    with pytest.raises(ConfigError, match="hidden_sizes"):
        other.train(resume=True)


def test_a_default_window_longer_than_the_training_is_only_named(tmp_path, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "vibe_rl"):
        PPOTrainer(small_agent(), CartPoleWrapper(), max_episodes=7)
    assert "convergence_window 100 is longer than max_episodes 7" in caplog.text


def test_another_agent_of_the_trainer_is_trained_from_where_it_is(tmp_path):
    trainer = small_trainer(tmp_path, max_episodes=3, restore_best=False)
    trainer.train()
    other = small_agent(key=jax.random.key(9))
    trainer.agent = other
    seen = []
    trainer.train(lambda payload: seen.append(trainer.agent.state.step))
    assert seen == [1, 2, 3]
    alone = small_trainer(
        tmp_path, agent=small_agent(key=jax.random.key(9)), max_episodes=3, restore_best=False
    )
    alone.train()
    assert_same(other.state, alone.agent.state)


def test_a_callback_may_evaluate_the_agent_as_it_is(tmp_path):
    scores = []

    def callback(payload):
        if payload["episode"] in (0, 2):
            scores.append(trainer.evaluate(2)["episode_rewards"])

    trainer = small_trainer(tmp_path, max_episodes=3)
    results = trainer.train(callback)
    assert len(scores) == 2
    assert results["stop_reason"] == "max_episodes"


def test_convergence_within_an_update_ends_the_training(tmp_path):
    progress = Progress(ConvergenceMonitor(10.0, window=2, patience=2))
    row = dict.fromkeys(
        ("actor_loss", "critic_loss", "entropy", "total_loss", "approx_kl", "kl_k1"), 0.0
    ) | dict.fromkeys(("clip_fraction", "grad_norm", "explained_variance", "lr"), 0.0)
    progress.add([Episode(x, 1) for x in (12.0, 12.0, 12.0, 1.0)], row)
    assert progress.stop
    assert not progress.status.stop


def test_a_training_killed_before_its_first_checkpoint_begins_anew(trained, tmp_path):
    complete, results, _ = trained

    def fail(payload):
        if payload["episode"] == 1:
            raise RuntimeError("as a kill")

    agent = small_agent(key=jax.random.key(0))
    trainer = small_trainer(tmp_path, agent=agent, save_frequency=12, eval_frequency=4)
    with pytest.raises(RuntimeError):
        trainer.train(fail)
    assert not list(tmp_path.glob("*/checkpoints/step_*"))
    (run_dir,) = tmp_path.iterdir()
    restored = PPOTrainer.restore(run_dir)
    again = restored.train(resume=True)
    assert timeless(again) == timeless(results)
    assert_same(restored.agent.state, complete.agent.state)


def test_a_restored_trainer_has_its_monitor_name_and_places(tmp_path):
    monitor = PlateauMonitor(min_delta=1000.0, patience=2, window=2)
    trainer = small_trainer(tmp_path, monitor=monitor, mlflow_experiment_name="mine", csv=False)
    with pytest.raises(TrainingInterrupted):
        trainer.train(interrupting_at(2))
    assert trainer.run_dir.name.startswith("mine_")
    restored = PPOTrainer.restore(trainer.run_dir)
    assert restored.name == "mine"
    assert restored.train(resume=True)["stop_reason"] == "plateau"
    assert not (trainer.run_dir / "logs" / "metrics.csv").exists()


class OfMine:
    reason, best, reached_episode, convergence_episode = "mine", None, None, None

    def update(self, episode_return):
        return Status(None, 0, reached=False, converged=False, stop=False)


def test_a_monitor_of_ones_own_has_to_be_given_again(tmp_path):
    trainer = small_trainer(tmp_path, monitor=OfMine(), max_episodes=3)
    trainer.train()
    with pytest.raises(ConfigError, match="had a monitor of its own, OfMine: give monitor"):
        PPOTrainer.restore(trainer.run_dir)
    assert PPOTrainer.restore(trainer.run_dir, monitor=OfMine()).agent.trained


@pytest.mark.parametrize("name", ["seed", "key", "mode", "eval_at_start", "log_gradient_flow"])
def test_what_a_training_began_with_stays(trained, name):
    trainer, _, _ = trained
    with pytest.raises(ConfigError, match=f"{name} of a resumed training stays as it was"):
        PPOTrainer.restore(trainer.run_dir, **{name: 5})


def test_an_evaluation_before_the_training_is_no_agent_to_return(tmp_path):
    agent = small_agent(learning_rate=1.0)
    trainer = small_trainer(tmp_path, agent=agent, seed=1, eval_at_start=True)
    results = trainer.train()  # which only ruins it
    assert results["eval_rewards"][0] > max(results["eval_rewards"][1:])
    last, best = results["last_eval"]["avg_reward"], max(results["eval_rewards"][1:])
    assert (results["final_avg_reward"] == last) == (last >= best)


def test_episodes_are_collected_whole_in_vectorized_mode_too(tmp_path):
    how = {"mode": "vectorized", "num_envs": 4, "rollout_steps": 16}
    trainer = small_trainer(tmp_path, agent=small_agent(minibatch_size=16), **how)
    data = trainer.collect_episode(jax.random.key(0))
    assert data["dones"][-1]
    assert not data["dones"][:-1].any()


def test_films_never_replace_one_another(trained):
    trainer, _, _ = trained
    paths = [trainer.evaluate(2, record_gif=True, episode_id=12)["gif_path"] for _ in range(2)]
    assert len(set(paths)) == 2


def test_pictures_that_cannot_be_made_end_nothing(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("vibe_rl.trainers.ppo_trainer.finishing.illustrate", fail)
    (tmp_path / "films").write_text("a file")
    env = CartPoleWrapper(video_dir=tmp_path / "films", video_record_freq=1)
    trainer = small_trainer(tmp_path, env=env, max_episodes=4)
    with caplog.at_level(logging.WARNING, "vibe_rl"):
        results = trainer.train()
    assert "figures and reports are not complete: no space left" in caplog.text
    assert "no GIF of an evaluation" in caplog.text
    assert json.loads((trainer.run_dir / "results.json").read_text())["total_episodes"] == 4
    assert results["final_eval"] is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"callbacks": 3}, "callback 3: give objects with a method __call__"),
        ({"trackers": [3]}, "trackers 3: give objects with a method log"),
        ({"target_reward": float("nan")}, "target_reward nan: give a number"),
        ({"seed": 1, "key": jax.random.key(1)}, "seed 1 and a key: give one of them"),
        ({"key": jax.random.key(0, impl="rbg")}, "key of 4 words: give one of jax.random.key"),
        ({"key": 5}, "PPOTrainer key 5: give one key, such as"),
        ({"key": "x"}, "PPOTrainer key 'x': give one key, such as"),
        ({"run_dir": 5}, "run_dir is a int: give a str or PathLike"),
        ({"enable_mlflow": "yes"}, "enable_mlflow 'yes': give True or False"),
        ({"plot": "no"}, "plot 'no': give True or False"),
        ({"csv": None}, "csv None: give True or False"),
        ({"track": 3}, "track is a int: give a str or list or tuple"),
        ({"track": [3]}, "a name of track is a int: give a str"),
        ({"monitor": "flat"}, "monitor 'flat': give a ConvergenceMonitor"),
        ({"run_dir": 0}, "run_dir is a int: give a str or PathLike"),
        ({"mlflow_experiment_name": " "}, "mlflow_experiment_name ' ': give a name"),
        ({"register_stage": "v2"}, "alias 'v2' of a model: give letters"),
    ],
)
def test_odd_arguments_are_refused_in_one_sentence(tmp_path, changes, message):
    with as_users_do(), pytest.raises(ConfigError, match=message):
        small_trainer(tmp_path, **changes)


def test_one_callback_one_tracker_and_names_with_commas_are_taken(tmp_path):
    called, tracker = [], Recorder()
    with as_users_do():
        trainer = small_trainer(
            tmp_path, max_episodes=3, callbacks=called.append, trackers=tracker, track="tensorboard"
        )
    trainer.train()
    assert len(called) == 3
    assert tracker.rows
    assert trainer.track == ("tensorboard",)
