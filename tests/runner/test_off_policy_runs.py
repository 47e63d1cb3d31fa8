"""Whole runs of DQN and SAC: what they return, write and call, and what changes no bit of them."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import Continuous, Probe, RandomEnds
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.off_policy import without_ring
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.algorithms.warmup import Warmup
from vibe_rl.configs import PRESETS
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.env import AutoResetWrapper, Box, registry
from vibe_rl.env.wrappers import with_episode_statistics
from vibe_rl.errors import ConfigError, NonFiniteLossError
from vibe_rl.experiment import evaluate_run, load_run, train
from vibe_rl.experiment.build import build
from vibe_rl.metrics import read_metrics
from vibe_rl.ops import prng
from vibe_rl.replay.ring import NO_TRANSITION, TERMINATED, TRUNCATED
from vibe_rl.run_dir import RunDir
from vibe_rl.runner import RunnerConfig, evaluate, fit, hybrid, loop, train_dqn, train_sac
from vibe_rl.runner.evaluator import greedy_action, jit_evaluate
from vibe_rl.runner.rows import RowWriter
from vibe_rl.runner.run import prepare
from vibe_rl.runner.train_dqn import DQNTrainResult, dqn
from vibe_rl.runner.train_sac import SACTrainResult, sac

SMALL = {"hidden_sizes": (8,), "batch_size": 16}
DQN = DQNConfig(**SMALL, num_envs=4, replay_ratio=0.5, target_update_freq=7)
SAC = SACConfig(**SMALL, num_envs=4, replay_ratio=0.5, max_grad_norm=10.0)
RUNNER = RunnerConfig(
    total_timesteps=400,
    warmup_steps=48,
    buffer_size=2_000,
    eval_every=96,
    eval_episodes=2,
    log_interval=64,
    progress_bar=False,
)
ON_HOST = replace(RUNNER, replay_on="host")
BY_PRIORITY = {"prioritized": True, "n_step": 3}
KINDS = {
    "dqn": (DQN, RUNNER),
    "dqn by priority": (
        replace(DQN, **BY_PRIORITY, train_every=2, normalize_obs=True, dueling=True), RUNNER
    ),
    "dqn on the host": (DQN, ON_HOST),
    "sac, one env": (replace(SAC, num_envs=1, replay_ratio=1.0), RUNNER),
}  # fmt: skip
kinds = pytest.mark.parametrize("kind", KINDS)


def run(config, runner=RUNNER, env=None, **kwargs):
    """Trains as `train_dqn` and `train_sac` do."""
    env = AutoResetWrapper(env or RandomEnds())
    params = env.default_params()
    if isinstance(config, DQNConfig):
        return train_dqn(env, params, dqn_config=config, runner_config=runner, **kwargs)
    return train_sac(env, params, sac_config=config, runner_config=runner, **kwargs)


def algorithm_of(config, runner=RUNNER, env=None):
    env = AutoResetWrapper(env or RandomEnds())
    builder = dqn if isinstance(config, DQNConfig) else sac
    return builder(env, env.default_params(), config, runner)


@cache
def recorded(kind, directory):
    """A run of this kind with everything that it told."""
    calls = []

    def callback(step, agent_state, metrics):
        calls.append((step, int(agent_state.step), dict(metrics)))

    run_dir = RunDir("run", directory)
    result = run(*KINDS[kind], callback=callback, run_dir=run_dir)
    return result, calls, run_dir


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    return lambda kind: recorded(kind, directory)


def numbers(tree):
    """Arrays of a state, keys as the integers they are made of."""
    leaves = jax.tree.leaves(tree)
    is_key = [jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
    return [
        np.asarray(jax.random.key_data(x) if key else x)
        for x, key in zip(leaves, is_key, strict=True)
    ]


def identical(one, other):
    return all(map(np.array_equal, numbers(one), numbers(other)))


def without_clock(row):
    return {n: v for n, v in row.items() if n not in ("steps_per_second", "wall_time")}


def episodes_in(ring, num_envs):
    """Env step over all envs, return and length of each episode that the ring has seen end."""
    reward, kind = (np.asarray(x).reshape(num_envs, -1) for x in (ring.reward, ring.kind))
    found = []
    for env in range(num_envs):
        time, episode_return, length = 0, 0.0, 0
        for r, k in zip(reward[env], kind[env], strict=True):
            time, length = time + (k != NO_TRANSITION), length + (k != NO_TRANSITION)
            episode_return += float(r)
            if k in (TERMINATED, TRUNCATED):
                found.append(((time - 1) * num_envs + env + 1, episode_return, length))
                episode_return, length = 0.0, 0
    return sorted(found)


@kinds
def test_every_episode_is_reported_in_the_order_in_which_they_ended(kind, record):
    # the ring holds the whole run, warm-up included, and knows nothing of how episodes are counted
    (state, episode_returns, _), _, run_dir = record(kind)
    steps, returns, lengths = zip(
        *episodes_in(state.memory.ring, KINDS[kind][0].num_envs), strict=True
    )
    np.testing.assert_allclose(episode_returns, returns, rtol=1e-5, atol=1e-5)
    rows = [row for row in read_metrics(run_dir.log_path()) if "episode_return" in row]
    assert all(
        set(row) == {"step", "episode_return", "episode_length", "wall_time"} for row in rows
    )
    assert [row["step"] for row in rows] == list(steps)
    assert [row["episode_length"] for row in rows] == list(lengths)
    assert [row["episode_return"] for row in rows] == episode_returns
    assert len(set(lengths)) > 3


LOGGED = {
    DQNConfig: {"loss", "q_mean", "epsilon", "td_error", "grad_norm", "lr"},
    SACConfig: {"actor_loss", "critic_loss", "alpha", "entropy", "q_mean", "alpha_loss"},
}
BOTH = {"step", "update", "buffer_fill", "gradient_steps", "episodes"}


@kinds
def test_there_is_a_row_at_every_interval_and_where_the_agent_is_evaluated(kind, record):
    (_, _, metrics_log), _, run_dir = record(kind)
    assert [row["step"] for row in metrics_log] == [64, 96, 128, 192, 256, 288, 320, 384, 400]
    for name in ("eval_return", "q_start", "return_start"):
        assert [row["step"] for row in metrics_log if name in row] == [96, 192, 288, 384, 400]
    config = KINDS[kind][0]
    assert all(LOGGED[type(config)] | BOTH <= set(row) for row in metrics_log)
    rows = [row for row in read_metrics(run_dir.log_path()) if "episode_return" not in row]
    assert list(map(without_clock, rows)) == list(map(without_clock, metrics_log))
    told = sum(row["episodes"] for row in metrics_log)
    assert told == len(recorded_episodes(run_dir))


def recorded_episodes(run_dir):
    return [row for row in read_metrics(run_dir.log_path()) if "episode_return" in row]


@kinds
def test_steps_on_disk_never_go_back(kind, record):
    rows = read_metrics(record(kind)[2].log_path())
    steps = [row["step"] for row in rows]
    assert steps == sorted(steps)


@kinds
def test_means_of_a_row_are_those_of_its_episodes(kind, record):
    (_, _, metrics_log), _, run_dir = record(kind)
    episodes, begin = recorded_episodes(run_dir), 0
    for row in metrics_log:
        here = [e["episode_return"] for e in episodes if begin < e["step"] <= row["step"]]
        assert len(here) == row["episodes"]
        np.testing.assert_allclose(row["episode_return_mean"], np.mean(here), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(row["episode_return_max"], max(here), rtol=1e-5)
        begin = row["step"]


@kinds
def test_callbacks_see_the_state_and_the_metrics_of_their_step(kind, record):
    # 48 env steps of warm-up make no gradient step, the others one for every two or one
    (_, _, metrics_log), calls, _ = record(kind)
    assert [step for step, _, _ in calls] == [row["step"] for row in metrics_log]
    assert [row for _, _, row in calls] == metrics_log
    ratio = KINDS[kind][0].replay_ratio
    assert [n for _, n, _ in calls] == [ratio * (step - 48) for step, _, _ in calls]
    assert [row["gradient_steps"] for row in metrics_log] == [n for _, n, _ in calls]


def test_results_have_the_names_of_the_seed(record):
    assert DQNTrainResult._fields == ("agent_state", "episode_returns", "metrics_log")
    assert SACTrainResult._fields == ("agent_state", "episode_returns", "metrics_log")
    assert isinstance(record("dqn")[0], DQNTrainResult)
    assert isinstance(record("sac, one env")[0], SACTrainResult)
    assert all(type(x) is float for x in record("dqn")[0].episode_returns)
    json.dumps(record("sac, one env")[0].metrics_log)


def test_epsilon_is_reported_as_of_the_env_steps_taken(record):
    # 1 - 0.99 * steps / 50000 after the update of each of the rows' 4-step updates, on average
    (_, _, metrics_log), _, _ = record("dqn")
    for begin, row in zip([48, 64, 96, 128], metrics_log, strict=False):
        mean = (begin + 4 + row["step"]) / 2
        np.testing.assert_allclose(row["epsilon"], 1.0 - 0.99 * mean / 50_000, rtol=1e-5)


@kinds
def test_one_seed_gives_one_result_and_another_seed_another(kind, record):
    config, runner = KINDS[kind]
    first = record(kind)[0]
    again, other = run(config, runner), run(config, replace(runner, seed=1))
    assert identical(first.agent_state, again.agent_state)
    assert first.episode_returns == again.episode_returns
    assert list(map(without_clock, first.metrics_log)) == list(
        map(without_clock, again.metrics_log)
    )
    assert not identical(first.agent_state, other.agent_state)
    assert first.episode_returns != other.episode_returns


@pytest.mark.parametrize("longest", [1, 7, 100])
@pytest.mark.parametrize("kind", ["dqn by priority", "dqn on the host", "sac, one env"])
def test_any_pace_gives_the_same_rows_and_the_same_bits(kind, longest, record, monkeypatch):
    monkeypatch.setattr(RowWriter, "updates_at_once", lambda self: longest)
    paced, first = run(*KINDS[kind]), record(kind)[0]
    assert identical(paced.agent_state, first.agent_state)
    assert paced.episode_returns == first.episode_returns
    assert list(map(without_clock, paced.metrics_log)) == list(
        map(without_clock, first.metrics_log)
    )


@pytest.mark.parametrize("kind", ["dqn", "sac, one env", "dqn on the host"])
def test_evaluating_more_or_less_often_changes_nothing_that_is_learned(kind, record):
    config, runner = KINDS[kind]
    never = run(config, replace(runner, eval_episodes=0))
    often = run(config, replace(runner, eval_every=4))
    for result in (never, often):
        assert identical(result.agent_state, record(kind)[0].agent_state)
        assert result.episode_returns == record(kind)[0].episode_returns
    assert [row["step"] for row in never.metrics_log] == [64, 128, 192, 256, 320, 384, 400]


def programs():
    these = (
        loop.jit_start, loop.run_chunk, jit_evaluate, hybrid.learn_then_collect,
    )  # fmt: skip
    return [program._cache_size() for program in these]


@pytest.mark.parametrize("kind", ["dqn by priority", "dqn on the host", "sac, one env"])
def test_numbers_seeds_and_budgets_compile_nothing_again(kind, record):
    config, runner = KINDS[kind]
    record(kind)
    both = {"gamma": 0.5, "max_grad_norm": 3.0, "priority_alpha": 0.3, "priority_beta": 0.9}
    of_dqn = {"lr": 0.1, "epsilon_start": 0.5, "epsilon_end": 0.2, "epsilon_decay_steps": 70.0}
    of_sac = {"actor_lr": 0.1, "critic_lr": 0.2, "alpha_lr": 0.3, "tau": 0.5, "init_alpha": 0.3}
    if isinstance(config, DQNConfig):
        more = of_dqn | {"tau": 0.9, "target_update_freq": 11}
    else:
        more = of_sac | {"target_entropy_scale": 0.7}
    before = programs()
    run(
        replace(config, **both, **more),
        replace(runner, seed=9, total_timesteps=200, log_interval=40, eval_every=80),
    )
    assert programs() == before


@pytest.mark.parametrize(
    ("env", "config"),
    [
        (RandomEnds(), replace(DQN, num_envs=2, replay_ratio=1.0)),
        (RandomEnds(), replace(DQN, num_envs=2, prioritized=True, n_step=2)),
        (RandomEnds(), replace(DQN, num_envs=2, exploration_hold=3)),
        (RandomEnds(), replace(SAC, num_envs=2, replay_ratio=1.0)),
        (Continuous(), replace(SAC, num_envs=2, replay_ratio=1.0)),
    ],
    ids=["dqn", "priority", "held", "sac of choices", "sac of numbers"],
)
def test_no_key_is_used_twice_in_a_chunk(env, config):
    algorithm = algorithm_of(config, env=env)
    env = with_episode_statistics(AutoResetWrapper(env))
    params = env.default_params()

    def chunks(key):
        state = loop.start(algorithm, env, params, key, num_envs=2)
        state, _ = loop.run_chunk(Warmup(algorithm), env, params, state, 2)
        return loop.run_chunk(algorithm, env, params, state, 2)

    with jax.debug_key_reuse(True):  # found while it is traced, in keys of JAX's own generators
        jax.eval_shape(jax.jit(chunks), jax.random.key(0))


def started(algorithm, env, seed=0):
    env = with_episode_statistics(AutoResetWrapper(env))
    params, n = env.default_params(), algorithm.replay.num_envs
    return env, params, loop.jit_start(algorithm, env, params, prng.key(seed), num_envs=n)


@pytest.fixture
def _as_in_training():
    """The precision of matrix products, so that what a run has compiled serves here too."""
    with jax.default_matmul_precision(RUNNER.matmul_precision):
        yield


@pytest.mark.usefixtures("_as_in_training")
@pytest.mark.parametrize("kind", ["dqn", "sac, one env"])
def test_the_warm_up_acts_at_random_learns_nothing_and_is_followed_by_learning(kind):
    config, n = KINDS[kind][0], KINDS[kind][0].num_envs
    algorithm = algorithm_of(config)
    env, params, state = started(algorithm, RandomEnds())
    before = numbers(state.agent_state._replace(memory=None))
    state, table = loop.run_chunk(Warmup(algorithm), env, params, state, 100, True)
    assert all(map(np.array_equal, before, numbers(state.agent_state._replace(memory=None))))
    ring = state.agent_state.memory.ring
    held = np.asarray(ring.kind) != NO_TRANSITION
    assert held.sum() == 100 * n
    share = np.asarray(ring.action)[held].mean()
    assert abs(share - 0.5) < 2.5 / np.sqrt(100 * n)  # five deviations of as many fair coins
    last = max(np.flatnonzero(slots)[-1] for slots in held.reshape(n, -1))
    fill = (last + 2) / (2_000 // n + 1)  # of the slots, the successor's among them
    assert table.columns(100)["buffer_fill"][-1] == pytest.approx(fill)
    assert state.agent_state.memory.step == 100
    state, table = loop.run_chunk(algorithm, env, params, state, 1, True)
    after = numbers(state.agent_state._replace(memory=None))
    assert not all(map(np.array_equal, before, after))
    gradient_steps = config.replay_ratio * n
    assert state.agent_state.step == gradient_steps
    np.testing.assert_array_equal(table.columns(1)["gradient_steps"], [gradient_steps])


def test_learning_begins_with_the_first_update_after_the_warm_up(tmp_path):
    # 50 steps of 4 envs are 13 updates, the last of which is random for two steps more; the file
    # has rows of the warm-up, where callbacks and results would have no loss to show
    calls, run_dir = [], RunDir("run", tmp_path)
    runner = replace(RUNNER, warmup_steps=50, log_interval=4, total_timesteps=64, eval_episodes=0)
    result = run(
        DQN,
        runner,
        callback=lambda step, state, row: calls.append((step, int(state.step), "loss" in row)),
        run_dir=run_dir,
    )
    assert calls == [(56, 2, True), (60, 4, True), (64, 6, True)]
    assert [row["step"] for row in result.metrics_log] == [56, 60, 64]
    rows = [row for row in read_metrics(run_dir.log_path()) if "episode_return" not in row]
    assert [row["step"] for row in rows] == list(range(4, 68, 4))
    assert [row["step"] for row in rows if "loss" in row] == [56, 60, 64]
    assert len(result.episode_returns) == sum(row["episodes"] for row in rows)


def test_params_per_env_are_trained_in():
    env = AutoResetWrapper(Probe(length=3))
    params = env.default_params()._replace(reward=np.arange(4, dtype=np.float32))
    result = train_dqn(env, params, dqn_config=DQN, runner_config=RUNNER)
    assert Counter(result.episode_returns) == dict.fromkeys([0.0, 3.0, 6.0, 9.0], 33)
    assert result.metrics_log[-1]["eval_return"] == 3.0  # with the default params


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_update():
    env, config = AutoResetWrapper(Probe(length=3)), replace(DQN, lr=float("inf"))
    with pytest.raises(NonFiniteLossError, match=r"loss became .* at update 13 \(env step 52\)"):
        train_dqn(env, env.default_params(), dqn_config=config, runner_config=RUNNER)


def test_history_has_an_entry_for_every_update():
    algorithm = algorithm_of(DQN)
    env = AutoResetWrapper(RandomEnds())
    prepared = prepare(algorithm, env, env.default_params(), RUNNER, 4)
    history = fit(prepared, keep_history=True).history
    assert history["buffer_fill"].shape == (100,)
    assert np.isnan(history["loss"][:12]).all()  # of the warm-up
    assert np.isfinite(history["loss"][12:]).all()


# the host's ring


def test_a_ring_on_the_host_is_numpys_and_has_the_same_columns(record):
    on_host, on_device = record("dqn on the host")[0], record("dqn")[0]
    ring = on_host.agent_state.memory.ring
    arrays = [ring.obs, ring.action, ring.reward, ring.kind]
    assert all(isinstance(x, np.ndarray) for x in arrays)
    for x, y in zip(arrays, on_device.agent_state.memory.ring[:4], strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
    pairs = zip(on_host.metrics_log, on_device.metrics_log, strict=True)
    assert all(set(one) == set(other) for one, other in pairs)


def test_the_warm_up_on_the_host_is_that_on_the_device():
    # the same random actions, and so the same episodes until learning begins
    runner = replace(RUNNER, warmup_steps=392, eval_episodes=0)
    on_device, on_host = (
        run(DQN, replace(runner, replay_on=place)) for place in ("device", "host")
    )
    assert on_device.episode_returns[:80] == on_host.episode_returns[:80]
    one, other = (r.agent_state.memory.ring for r in (on_device, on_host))
    for x, y in zip(one[:6], other[:6], strict=True):
        np.testing.assert_array_equal(
            x[: len(x) - 2] if np.ndim(x) else x, y[: len(y) - 2] if np.ndim(y) else y
        )


def test_a_ring_on_the_host_is_learned_from():
    runner = replace(ON_HOST, total_timesteps=1_600, eval_episodes=0)
    config = replace(DQN, lr=1e-2)
    result = run(config, runner)
    algorithm = algorithm_of(config, runner)
    signs = jnp.array([[-1.0], [1.0]])
    actions = jax.vmap(lambda obs: algorithm.greedy(result.agent_state, obs))(signs)
    np.testing.assert_array_equal(actions, [0, 1])


# agents on disk


SAVED = {
    "dqn by priority": KINDS["dqn by priority"],
    "sac, one env": KINDS["sac, one env"],
    "sac on the host": (SAC, ON_HOST),
}


@cache
def saved(kind, directory):
    algo, runner = SAVED[kind]
    return train(TrainConfig(env_id="RandomEnds-v0", algo=algo, runner=runner), directory)


@pytest.fixture(scope="module")
def saving(tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._registry, "RandomEnds-v0", RandomEnds)
        yield lambda kind: saved(kind, directory)


@pytest.mark.parametrize("kind", SAVED)
def test_a_saved_agent_gets_the_returns_of_its_last_evaluation_again(kind, saving):
    run_dir, result = saving(kind)
    again = evaluate_run(run_dir.root)
    np.testing.assert_array_equal(again.episode_returns, result.evaluation.episode_returns)
    _, agent_state, notes = load_run(run_dir.root)
    kept = without_ring(result.state.agent_state)
    assert identical(agent_state, kept)
    assert (notes["step"], notes["update"]) == (400, 400 // steps_per_update(kind))
    assert agent_state.memory.ring is None


def steps_per_update(kind):
    algo, _ = (SAVED | KINDS)[kind]
    return algo.num_envs * algo.train_every


def test_an_agent_is_evaluated_where_its_buffer_would_not_fit(saving, monkeypatch):
    run_dir, _ = saving("dqn by priority")
    monkeypatch.setattr("vibe_rl.system.memory.free_on_device", lambda: 10)
    assert evaluate_run(run_dir.root).episode_returns.shape == (2,)


# one more axis


@pytest.mark.usefixtures("_as_in_training")
def test_seeds_are_one_more_axis():
    algorithm = algorithm_of(DQN)
    env, params, _ = started(algorithm, RandomEnds())

    def learn(state):
        state, _ = loop.run_chunk(Warmup(algorithm), env, params, state, 12, True)
        return loop.run_chunk(algorithm, env, params, state, 20, True)[0].agent_state

    singles = [learn(started(algorithm, RandomEnds(), seed)[2]) for seed in (3, 4)]
    keys = jnp.stack([prng.key(3), prng.key(4)])
    start = jax.jit(jax.vmap(lambda key: loop.start(algorithm, env, params, key, num_envs=4)))
    many = jax.vmap(learn)(start(keys))
    for i, single in enumerate(singles):
        one = jax.tree.map(lambda x, i=i: x[i], many)
        for x, y in zip(numbers(one), numbers(single), strict=True):
            np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5)


class Wide(RandomEnds):
    """Observations of seven numbers."""

    def observation_space(self, params):
        return Box(-1.0, 1.0, (7,))

    def first(self, key):
        return jax.random.uniform(key, (7,))


@pytest.mark.parametrize(
    ("config", "warmup"),
    [
        (replace(DQN, num_envs=1, replay_ratio=1.0), False),
        (replace(SAC, **BY_PRIORITY, train_every=3), False),
        (DQN, True),
    ],
    ids=["dqn, one env", "sac by priority", "warm-up"],
)
def test_the_ring_is_never_copied(config, warmup):
    runner = replace(RUNNER, buffer_size=4_004)
    algorithm = algorithm_of(config, runner, Wide())
    env = with_episode_statistics(AutoResetWrapper(Wide()))
    params, begin = env.default_params(), partial(loop.start, num_envs=config.num_envs)
    state = jax.eval_shape(partial(begin, algorithm, env), params, prng.key(0))
    stage = Warmup(algorithm) if warmup else algorithm
    text = loop.run_chunk.lower(stage, env, params, state, 2, True).compile().as_text()
    n_slots = algorithm.replay.num_envs * algorithm.replay.length
    rings = [f"[{n_slots},7]", f"[{n_slots}]"]
    made = [line.split(" = ")[1] for line in text.splitlines() if " = " in line]
    of_ring = [line for line in made if any(ring in line.split(" ")[0] for ring in rings)]
    assert any("scatter" in line or "fusion" in line for line in of_ring)
    assert not [line for line in of_ring if line.split(" ")[1].startswith("copy")]


# learning


@pytest.mark.slow
def test_the_gridworld_preset_of_dqn_walks_the_shortest_way():
    # measured over 4 seeds: every one does within 15,000 of its 50,000 steps
    run = preset("gridworld_dqn", 15_000)
    assert greedy_return(run, 1) == pytest.approx(0.93)  # 1 - 7 x 0.01


@pytest.mark.slow
def test_the_pendulum_preset_of_sac_swings_it_up_in_a_part_of_its_steps():
    # at random -1200; measured over 4 seeds: from -152 to -158
    assert greedy_return(preset("pendulum_sac", 7_000), 64) > -300.0


def preset(name, total_timesteps):
    """A preset's run of so many steps, without what only writes."""
    config = PRESETS[name][1]
    runner = replace(
        config.runner,
        total_timesteps=total_timesteps,
        eval_episodes=0,
        log_interval=0,
        progress_bar=False,
        seed=1,
    )
    return build(replace(config, runner=runner))


def greedy_return(prepared, episodes):
    result = fit(prepared)
    metrics = evaluate(
        greedy_action,
        (prepared.algorithm, without_ring(result.state.agent_state)),
        prepared.env,
        prepared.env_params,
        n_episodes=episodes,
        max_steps=200,
        rng=jax.random.key(3),
    )
    return float(metrics.mean_return)


def test_prioritized_replay_on_the_host_is_refused():
    with pytest.raises(ConfigError, match="prioritized True needs replay_on device"):
        run(replace(DQN, prioritized=True), ON_HOST)
