"""What an environment says of its episodes: in rows, in rows of single episodes, in evaluations."""

from dataclasses import dataclass, replace
from typing import ClassVar

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Climber, Constants, Counter
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, GymnasiumWrapper, HookWrapper, HostStep, TimeLimitWrapper
from vibe_rl.env.reductions import column, reductions
from vibe_rl.errors import ConfigError
from vibe_rl.runner import RunnerConfig, evaluate, fit, prepare
from vibe_rl.runner.many.fit import MemberFiles, fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.runner.rows import summarize_updates
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.runner.train_ppo import ppo

PPO = PPOConfig(hidden_sizes=(4,), num_envs=4, n_steps=8, n_minibatches=1, n_epochs=1)
RUNNER = RunnerConfig(
    total_timesteps=64,
    log_interval=32,
    eval_every=0,
    eval_episodes=3,
    progress_bar=False,
    log_episodes=True,
)
REWARDS = Constants(reward=np.arange(4, dtype=np.float32))  # of each env
OWN = {"success_mean": 0.5, "highest_max": 3.0, "lowest_min": 0.0}
"""Of episodes of all four envs: two succeed, with 2 and 3."""


class Recorder:
    """A tracker that keeps its rows, the clock's readings apart."""

    def __init__(self):
        self.rows = []

    def log(self, metrics, step):
        self.rows.append({k: v for k, v in metrics.items() if k != "steps_per_second"})

    def close(self): ...

    @property
    def of_updates(self):
        return [row for row in self.rows if "update" in row]

    @property
    def of_episodes(self):
        return [row for row in self.rows if "episode_return" in row]


def prepared(runner=RUNNER, config=PPO, env=None, params=REWARDS):
    env = AutoResetWrapper(env or Climber())
    return prepare(ppo(env, params, config, runner), env, params, runner, config.num_envs)


def logged(run):
    tracker = Recorder()
    result = fit(run, tracker)
    return tracker, result


@pytest.fixture(scope="module")
def whole():
    return logged(prepared())


def test_a_row_has_them_reduced_over_the_episodes_that_ended(whole):
    # two episodes of each of four envs end in the first 8 steps, three in the next 8
    for row, episodes in zip(whole[0].of_updates, (8, 12), strict=True):
        assert row["episodes"] == episodes
        assert {name: row[name] for name in OWN} == OWN
        assert row["climbs_sum"] == 3.0 * episodes


def test_a_metric_of_steps_may_be_a_maximum_too(whole):
    for row in whole[0].of_updates:
        assert row["speed"] == 1.5  # the mean
        assert row["top_speed_max"] == 9.0
        assert "top_speed" not in row


def test_a_row_of_a_single_episode_has_its_own(whole):
    rows = whole[0].of_episodes
    assert len(rows) == 20
    for row in rows:
        reward = row["episode_return"] / 3
        own = {"success": reward > 1.5, "highest": reward, "lowest": reward, "climbs": 3.0}
        assert {name: row[name] for name in own} == own
        assert row["episode_length"] == 3


def test_how_the_run_is_cut_changes_no_bit(whole):
    tracker, _ = logged(prepared(replace(RUNNER, log_interval=64)))
    (row,) = tracker.of_updates
    parts = whole[0].of_updates
    assert row["success_mean"] == 0.5
    assert row["climbs_sum"] == sum(part["climbs_sum"] for part in parts)
    cut, _ = logged(prepared(replace(RUNNER, eval_every=32)))
    assert cut.of_episodes == whole[0].of_episodes
    names = [*OWN, "climbs_sum", "top_speed_max"]
    assert [[r[n] for n in names] for r in cut.of_updates] == [[r[n] for n in names] for r in parts]


def test_columns_that_a_checkpoint_cuts_add_up_to_those_of_one_chunk():
    sums = {"return_sum": 0.0, "return_min": 0.0, "return_max": 0.0, "length_sum": 0.0}
    columns = {
        "episodes": [2, 0, 1],
        "episode mean a": [0.1, 0.0, 0.7],
        "episode max b": [-5.0, -np.inf, -4.0],
        "episode min c": [9.0, np.inf, 8.0],
        "metrics sum d": [1.0, 2.0, 4.0],
    } | {name: [value] * 3 for name, value in sums.items()}
    arrays = {name: np.array(values, np.float32) for name, values in columns.items()}
    expected = summarize_updates([arrays])
    parts = [{n: x[cut] for n, x in arrays.items()} for cut in (slice(0, 1), slice(1, 3))]
    assert summarize_updates(parts) == expected
    assert expected["a_mean"] == pytest.approx(0.8 / 3)
    assert [expected[name] for name in ("b_max", "c_min", "d_sum")] == [-4.0, 8.0, 7.0]


def test_a_row_in_which_no_episode_ends_has_none_of_them():
    tracker, _ = logged(prepared(env=Climber(length=50)))
    for row in tracker.of_updates:
        assert row["episodes"] == 0
        assert not [name for name in row if name.startswith(("success", "highest", "climbs"))]
        assert row["top_speed_max"] > 0


def test_an_evaluation_has_them_reduced_and_of_each_episode(whole):
    tracker, result = whole
    own = {"success_mean": 0.0, "highest_max": 1.0, "lowest_min": 1.0, "climbs_sum": 9.0}
    assert {name: float(x) for name, x in result.evaluation.metrics.items()} == own
    assert {name: tracker.of_updates[-1][f"eval_{name}"] for name in own} == own
    np.testing.assert_array_equal(result.evaluation.episode_metrics["climbs"], [3.0] * 3)


def test_of_an_episode_that_is_cut_short_an_evaluation_has_what_was_said_last():
    env = Climber()
    how = {"n_episodes": 2, "max_steps": 2, "rng": jax.random.key(0)}
    scores = evaluate(lambda _, obs: jnp.int32(0), None, env, env.default_params(), **how)
    np.testing.assert_array_equal(scores.episode_metrics["climbs"], [2.0, 2.0])
    assert not scores.finished.any()


def test_an_environment_that_says_nothing_has_no_such_rows():
    tracker, result = logged(prepared(env=Counter()))
    assert result.evaluation.metrics == result.evaluation.episode_metrics == {}
    assert not [name for row in tracker.rows for name in row if column(name)]
    assert set(tracker.of_episodes[0]) == {"step", "episode_return", "episode_length"}


def test_rollouts_of_whole_episodes_have_them_of_their_episodes():
    tracker, _ = logged(prepared(config=replace(PPO, whole_episodes=True)))
    for row in tracker.of_updates:
        assert row["episodes"] == 4
        assert {name: row[name] for name in OWN} == OWN
        assert row["climbs_sum"] == 12.0
    assert len(tracker.of_episodes) == 8


def test_what_an_outer_clock_ends_says_what_it_has_reached():
    tracker, _ = logged(prepared(env=TimeLimitWrapper(Climber(), 2)))
    assert {row["climbs"] for row in tracker.of_episodes} == {2.0}


def test_runs_side_by_side_have_the_rows_of_single_ones(whole):
    runner = replace(RUNNER, seed=1)
    trackers = [Recorder(), Recorder()]
    many = side_by_side([prepared(), prepared(runner)])
    results = fit_many(many, [MemberFiles(tracker) for tracker in trackers])
    names = [*OWN, "climbs_sum", "episodes"]
    for tracker, result in zip(trackers, results, strict=True):
        rows = [[row[n] for n in names] for row in tracker.of_updates]
        assert rows == [[row[n] for n in names] for row in whole[0].of_updates]
        assert tracker.of_episodes == whole[0].of_episodes
        assert float(result.evaluation.metrics["climbs_sum"]) == 9.0


@pytest.mark.parametrize("replay_on", ["device", "host"])
def test_replay_in_either_memory_has_them(replay_on):
    runner = replace(RUNNER, warmup_steps=8, buffer_size=32, replay_on=replay_on)
    config = DQNConfig(hidden_sizes=(4,), num_envs=4, batch_size=8)
    env = AutoResetWrapper(Climber())
    algorithm = dqn(env, REWARDS, config, runner)
    tracker, _ = logged(prepare(algorithm, env, REWARDS, runner, 4))
    for row in tracker.of_updates:
        assert {name: row[name] for name in OWN} == OWN
        assert row["climbs_sum"] == 3.0 * row["episodes"]
    assert len(tracker.of_episodes) == 20


@dataclass(frozen=True)
class Told(Counter):
    """Says what it is given of its episodes and steps."""

    episode: tuple = ()
    metrics: tuple = ()
    tables: tuple = ((), ())

    @property
    def episode_metrics(self):
        return dict(self.tables[0])

    @property
    def step_metrics(self):
        return dict(self.tables[1])

    def step(self, key, state, action, params):
        step = super().step(key, state, action, params)
        said = {name: jnp.zeros(shape) for name, shape in self.episode}
        info = {"metrics": {name: step.reward for name in self.metrics}, "episode": said}
        return step._replace(info=info)


REFUSED = [
    ({"episode": (("a", (2,)),)}, r"info\[\"episode\"\]\['a'\] is no scalar"),
    ({"episode": (("a", ()),), "tables": ((("a", "median"),), ())}, "says 'median' of a: say mean"),
    ({"tables": ((("a", "max"),), ())}, 'names a, which info."episode". lacks: write it there'),
    ({"tables": ((), (("a", "max"),))}, 'names a, which info."metrics". lacks: write it there'),
    ({"episode": (("episode_return", ()),)}, "'episode_return'. has a name that is taken"),
    ({"episode": (("a", ()),), "metrics": ("a",)}, "'a'. has a name that is taken"),
    ({"episode": (("a", ()),), "metrics": ("a_mean",)}, "'a'. has a name that is taken"),
    ({"episode": (("a", ()),), "metrics": ("eval_a_mean",)}, "'a'. has a name that is taken"),
    ({"metrics": ("episode max a",)}, "'episode max a'. has a name that is taken"),
]


@pytest.mark.parametrize(("said", "sentence"), REFUSED)
def test_what_cannot_be_told_apart_is_refused_in_a_sentence(said, sentence):
    with pytest.raises(ConfigError, match=sentence):
        prepared(env=Told(**said))


def keep(state, action, step, params):
    return step


@dataclass(frozen=True)
class Louder(HookWrapper):
    """A layer with a table of its own."""

    episode_metrics: ClassVar = {"highest": "mean"}


def test_the_outermost_layer_says_how_and_the_others_what_it_leaves_out():
    env = AutoResetWrapper(Louder(Climber(), keep))
    assert reductions(env, "episode") == {"highest": "mean", "lowest": "min", "climbs": "sum"}
    tracker, _ = logged(prepared(env=Louder(Climber(), keep)))
    assert tracker.of_updates[0]["highest_mean"] == 1.5


class Ladder(gymnasium.Env):
    """Three steps long in Python; every second episode succeeds."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    episodes = -1

    def reset(self, *, seed=None, options=None):
        self.episodes, self.time = self.episodes + 1, 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.time += 1
        done = self.time == 3
        info = {"episode": {"success": self.episodes % 2, "rungs": 3}} if done else {}
        return np.zeros(1, np.float32), 1.0, done, False, info


def on_host(runner=RUNNER, **tables):
    env = GymnasiumWrapper(Ladder, episode_metrics=tables)
    return prepare(ppo(env, (), PPO, runner), env, (), runner, PPO.num_envs)


def test_an_environment_of_gymnasium_says_it_where_its_episodes_end():
    tracker, result = logged(on_host(success="mean", rungs="max"))
    # two episodes of each env end in the first 8 steps, one of which succeeds, then three
    means = [row["success_mean"] for row in tracker.of_updates]
    assert means == pytest.approx([1 / 2, 1 / 3])
    assert {row["rungs_max"] for row in tracker.of_updates} == {3.0}
    assert sum(row["success"] for row in tracker.of_episodes) == 8
    assert float(result.evaluation.metrics["rungs_max"]) == 3.0
    np.testing.assert_array_equal(result.evaluation.episode_metrics["success"], [0.0] * 3)


def test_an_end_of_which_gymnasium_says_nothing_is_named():
    with pytest.raises(ConfigError, match=r"ended without info.*'stage'"):
        logged(on_host(stage="max"))


def test_gymnasium_says_nothing_of_episodes_that_an_evaluation_cuts_short():
    tracker, result = logged(on_host(replace(RUNNER, eval_max_steps=2), success="mean"))
    assert np.isnan(result.evaluation.episode_metrics["success"]).all()
    assert np.isnan(tracker.of_updates[-1]["eval_success_mean"])


def test_what_the_host_cannot_reduce_is_refused_before_it_is_opened():
    with pytest.raises(ConfigError, match="says 'most' of success"):
        on_host(success="most")
    with pytest.raises(ConfigError, match=r"'loss'. has a name that is taken"):
        on_host(loss="max")


class Forgetful:
    """Declares a metric and has it on no step."""

    episode_metrics: ClassVar = {"stage": "max"}

    def default_params(self):
        return ()

    def observation_space(self, params):
        return Counter().observation_space(params)

    def action_space(self, params):
        return Counter().action_space(params)

    def open(self, seeds):
        return self

    def reset(self):
        return np.zeros((4, 1), np.float32)

    def step(self, action):
        flags = np.zeros(4, bool)
        return HostStep(self.reset(), np.zeros(4, np.float32), flags, flags, self.reset())

    def close(self): ...


def test_a_step_on_the_host_that_says_less_than_is_declared_is_named():
    env = Forgetful()
    run = prepare(ppo(env, (), PPO, RUNNER), env, (), RUNNER, PPO.num_envs)
    with pytest.raises(
        ConfigError, match="says nothing of its episodes, and episode_metrics stage"
    ):
        logged(run)
