"""Many agents at once are the agents that train alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.errors import ConfigError, NonFiniteLossError
from vibe_rl.runner import RunnerConfig, fit, prepare
from vibe_rl.runner.many.fit import MemberFiles, fit_many
from vibe_rl.runner.many.runs import mesh_for, side_by_side, spread
from vibe_rl.runner.many.slices import entry_of_each
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.runner.train_ppo import ppo
from vibe_rl.runner.train_sac import sac

RUNNER = RunnerConfig(
    total_timesteps=96, eval_every=48, eval_episodes=4, log_interval=16, progress_bar=False
)
OFF = replace(RUNNER, warmup_steps=32, buffer_size=64)
KINDS = {
    "ppo": (ppo, PPOConfig(hidden_sizes=(8,), num_envs=4, n_steps=4), "CartPole-v1", RUNNER),
    "dqn": (dqn, DQNConfig(hidden_sizes=(8,), num_envs=4, batch_size=16), "CartPole-v1", OFF),
    "sac": (sac, SACConfig(hidden_sizes=(8,), num_envs=4, batch_size=16), "Pendulum-v1", OFF),
}


def prepared(kind, seed, runner=None, **numbers):
    """One run."""
    builder, config, env_id, default = KINDS[kind]
    env, env_params = make(env_id)
    env, config = AutoResetWrapper(env), replace(config, **numbers)
    runner = replace(runner or default, seed=seed)
    return prepare(builder(env, env_params, config, runner), env, env_params, runner, 4)


def evaluated_elsewhere(run):
    """The run with an evaluation in other envs."""
    return replace(run, eval_params=jax.tree.map(lambda x: x * 2, run.eval_params))


class Recorder:
    """A tracker that keeps what it is told."""

    def __init__(self):
        self.rows = []

    def log(self, metrics, step):
        self.rows.append(dict(metrics))

    def log_config(self, config):
        """Nothing."""

    def log_file(self, path):
        """Nothing."""

    def close(self):
        """Nothing."""


def assert_close(state, expected, **how):
    for pair in zip(jax.tree.leaves(state), jax.tree.leaves(expected), strict=True):
        is_key = jax.dtypes.issubdtype(pair[0].dtype, jax.dtypes.prng_key)
        actual, desired = map(jax.random.key_data, pair) if is_key else pair
        np.testing.assert_allclose(actual, desired, **how)


@pytest.mark.parametrize(("kind", "n_members"), [("ppo", 3), ("dqn", 16), ("sac", 3)])
def test_every_member_is_the_run_it_would_be_alone(kind, n_members):
    runs = [prepared(kind, seed) for seed in range(5, 5 + n_members)]
    many = side_by_side(runs)
    assert many.run.executor.n_devices == min(n_members, 8)  # pretended devices
    recorders = [Recorder() for _ in runs]
    results = fit_many(many, list(map(MemberFiles, recorders)))
    for i in (0, n_members - 1):
        alone = Recorder()
        result = fit(runs[i], alone)
        assert (results[i].step, results[i].updates) == (result.step, result.updates)
        assert_close(results[i].state, result.state, rtol=1e-3, atol=1e-4)
        assert len(alone.rows) == len(recorders[i].rows)
        for row, expected in zip(recorders[i].rows, alone.rows, strict=True):
            assert row.keys() == expected.keys()
            for name in row.keys() - {"steps_per_second"}:
                assert row[name] == pytest.approx(expected[name], rel=2e-2, abs=1e-3, nan_ok=True)


def as_bits(state):
    leaves = jax.tree.leaves(state)
    is_key = [jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
    keys_as_numbers = map(lambda x, key: jax.random.key_data(x) if key else x, leaves, is_key)
    return [np.asarray(x).tobytes() for x in keys_as_numbers]


@pytest.mark.parametrize("kind", ["ppo", "dqn", "sac"])
def test_every_member_of_many_starts_as_it_would_alone_to_the_bit(kind):
    runs = [prepared(kind, seed, hidden_sizes=(64, 64)) for seed in range(16)]
    with side_by_side(runs).run.start() as states:
        for i in (0, 1, 15):
            with runs[i].start() as alone:
                assert as_bits(entry_of_each(states, i)) == as_bits(alone)


def test_numbers_may_differ_and_compile_nothing_again(caplog):
    fit_many(side_by_side([prepared("ppo", seed) for seed in range(3)]))
    with jax.log_compiles():
        runs = [prepared("ppo", seed, lr=10.0**-seed, gamma=0.9) for seed in range(2, 5)]
        results = fit_many(side_by_side(runs))
    compiled = [r for r in caplog.records if "Finished XLA compilation of jit(run_chunk)" in r.msg]
    assert not compiled
    weights = [jax.tree.leaves(result.state.agent_state.params)[1] for result in results]
    assert len({float(np.abs(weight).sum()) for weight in weights}) == 3


def test_an_entry_is_taken_from_the_device_that_has_it():
    keys, table = jax.random.split(jax.random.key(0), 16), np.arange(48.0).reshape(16, 3)
    tree = {"key": keys, "table": jnp.asarray(table)}
    for mesh in (None, mesh_for(16)):  # all on one device; two entries on each of eight
        placed = tree if mesh is None else jax.device_put(tree, spread(mesh))
        for i in (0, 1, 6, 15):
            found = entry_of_each(placed, i)
            np.testing.assert_array_equal(found["table"], table[i])
            assert (
                jax.random.key_data(found["key"]).tolist() == jax.random.key_data(keys)[i].tolist()
            )
            assert len(found["table"].devices()) == 1


def test_the_number_of_devices_divides_the_agents():
    assert mesh_for(1) is None
    assert {n: mesh_for(n).size for n in (2, 7, 8, 12, 16)} == {2: 2, 7: 7, 8: 8, 12: 6, 16: 8}
    assert mesh_for(11 * 13) is None


def test_an_agent_that_diverges_is_taken_out_and_the_others_continue_unharmed():
    rates = (1e-3, float("inf"), 1e-2)
    runs = [prepared("ppo", seed, lr=lr) for seed, lr in enumerate(rates)]
    recorders, noticed, told = [Recorder() for _ in runs], [], []
    results = fit_many(
        side_by_side(runs),
        list(map(MemberFiles, recorders)),
        on_divergence=lambda *what: noticed.append(what),
        on_evaluation=lambda *what: told.append(what),
    )
    assert "loss became" in results[1].diverged
    assert results[1].evaluation is None
    assert noticed == [(1, noticed[0][1], results[1].diverged)]
    assert 0 < noticed[0][1] <= 96
    assert not recorders[1].rows
    for i in (0, 2):
        assert results[i].diverged is None
        assert not results[i].interrupted
        assert_close(results[i].state, fit(runs[i]).state, rtol=1e-3, atol=1e-4)
        assert recorders[i].rows[-1]["step"] == 96
        evaluated = [row for row in recorders[i].rows if "eval_return" in row]
        assert [(row["step"], row["eval_return"]) for row in evaluated] == [
            (step, returns[i]) for step, returns in told
        ]
    assert [returns[1] for _, returns in told] == [float("-inf")] * len(told)


def test_nothing_continues_where_all_agents_diverged():
    runs = [prepared("ppo", seed, lr=float("inf")) for seed in range(3)]
    with pytest.raises(NonFiniteLossError, match=r"no agent is left; seed 2: .*loss became"):
        fit_many(side_by_side(runs))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (lambda: prepared("ppo", 1, hidden_sizes=(16,)), "may differ in seeds and hyperparameters"),
        (
            lambda: prepared("ppo", 1, replace(RUNNER, total_timesteps=192)),
            "env_params, eval_params or the runner",
        ),
        (lambda: prepared("dqn", 1), "may differ in seeds and hyperparameters"),
        (lambda: evaluated_elsewhere(prepared("ppo", 1)), "eval_params"),
    ],
)
def test_runs_of_other_shapes_or_params_are_refused(other, sentence):
    with pytest.raises(ConfigError, match=sentence):
        side_by_side([prepared("ppo", 0), other()])


def test_runs_on_several_devices_each_are_refused():
    spread = replace(RUNNER, num_devices=2)
    with pytest.raises(ConfigError, match="need one process and runs of one device each"):
        side_by_side([prepared("ppo", seed, spread) for seed in range(2)])
