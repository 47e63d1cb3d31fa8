"""Training on several devices: the same learning, one reduction, no rollout that is gathered."""

import re
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial

import jax
import numpy as np
import pytest

from communication import unordered
from probes import Guided
from processes import environ
from training import numbers, run_training
from vibe_rl.algorithms.bc_sac import BCSAC, BCSACConfig
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.cli import main
from vibe_rl.env import AutoResetWrapper, CartPole, make
from vibe_rl.errors import ConfigError
from vibe_rl.metrics import read_metrics
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.runner import RunnerConfig, prepare, train_ppo_multigpu, unreplicate
from vibe_rl.runner.from_config import make_algorithm
from vibe_rl.runner.loop import run_chunk
from vibe_rl.runner.placement import chunk_program, mesh_of
from vibe_rl.runner.resuming import latest
from vibe_rl.runner.train_dqn import dqn
from vibe_rl.runner.train_ppo import ppo
from vibe_rl.runner.train_sac import sac
from vibe_rl.sharding import set_mesh

D = 8
RUNNER = RunnerConfig(
    total_timesteps=2048,
    eval_every=1024,
    eval_episodes=4,
    progress_bar=False,
    log_interval=256,
    plot=False,
)
OFF = replace(RUNNER, warmup_steps=64, buffer_size=512)
PPO = PPOConfig(hidden_sizes=(16,), num_envs=16, n_steps=16)
DQN = DQNConfig(hidden_sizes=(16,), num_envs=16, batch_size=32, replay_ratio=0.25)
SAC = SACConfig(hidden_sizes=(16,), num_envs=16, batch_size=32, replay_ratio=0.25)
BOTH = BCSACConfig(
    hidden_sizes=(16,), num_envs=16, batch_size=32, replay_ratio=0.25, expert_one_in=2
)
KINDS = {
    "ppo": (ppo, PPO, "CartPole-v1", RUNNER),
    "ppo, normalised": (ppo, replace(PPO, normalize_obs=True), "Pendulum-v1", RUNNER),
    "dqn": (dqn, DQN, "CartPole-v1", OFF),
    "dqn by priority": (dqn, replace(DQN, prioritized=True, n_step=3), "CartPole-v1", OFF),
    "sac": (sac, SAC, "Pendulum-v1", OFF),
    "sac by priority, normalised": (
        sac,
        replace(SAC, prioritized=True, normalize_obs=True),
        "Pendulum-v1",
        OFF,
    ),
    "bc_sac": (partial(make_algorithm, BCSAC), BOTH, Guided(length=6), OFF),
}


def prepared(kind, n_devices, n_shards=D, **changes):
    """A run on some of the devices, in as many shards as if it were on all of them."""
    builder, config, env_id, runner = KINDS[kind]
    env, env_params = make(env_id) if isinstance(env_id, str) else (env_id, env_id.default_params())
    env, runner = AutoResetWrapper(env), replace(runner, **changes)
    algorithm = builder(env, env_params, config, replace(runner, num_devices=n_shards))
    runner = replace(runner, num_devices=n_devices)
    return prepare(algorithm, env, env_params, runner, config.num_envs)


def one_update(kind, n_devices):
    """The state after the first updates that learn, and their metrics."""
    run = prepared(kind, n_devices, total_timesteps=512, eval_episodes=0)
    return run_training(run, keep_history=True)


@pytest.mark.parametrize(
    ("kind", "devices"),
    [
        ("ppo", (2, 8)),
        ("ppo, normalised", (8,)),
        ("dqn", (8,)),
        ("dqn by priority", (8,)),
        ("sac", (8,)),
        ("bc_sac", (8,)),
    ],
)
def test_the_same_batch_gives_the_same_gradients_on_any_number_of_devices(kind, devices):
    expected = one_update(kind, None)
    for n_devices in devices:
        result = one_update(kind, n_devices)
        for a, b in zip(
            numbers(result.state.agent_state), numbers(expected.state.agent_state), strict=True
        ):
            np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-4)
        norms = [r.history["grad_norm"] for r in (result, expected) if "grad_norm" in r.history]
        if norms:
            first = np.flatnonzero(np.isfinite(norms[0]))[0]
            np.testing.assert_allclose(norms[0][first], norms[1][first], rtol=1e-6)


@cache
def compiled(kind, each_episode):
    """The program that a run on all devices runs, or one with other tables of episodes."""
    run = prepared(kind, D)
    state, env_params = run.shapes(), run.executor.place(run.env, run.env_params)
    how = run.algorithm, run.env, env_params, state, 3, each_episode
    with jax.default_matmul_precision(run.config.matmul_precision):
        return chunk_program(mesh_of(run.config), state).lower(*how).compile()


def collectives(program):
    """Every communication of the program: what it does, and the shape of its result."""
    found = re.findall(
        r"= (\S+|\(.*?\)) (all-gather|all-reduce|reduce-scatter|all-to-all|collective-permute)"
        r"(?:-start)?\(",
        program.as_text(),
    )
    return [(kind, shape) for shape, kind in found]


WITH_PROGRAMS = [kind for kind in KINDS if kind != "sac"]
"""Sampling by priority adds to what the program of SAC has, and takes nothing away."""


@pytest.mark.parametrize("kind", WITH_PROGRAMS)
def test_gradients_are_reduced_once_and_no_rollout_is_gathered(kind):
    each_episode = prepared(kind, D).each_episode
    found = collectives(compiled(kind, each_episode))
    kinds = {kind for kind, _ in found}
    assert kinds <= {"all-reduce", "all-gather"}
    table = [shape for kind, shape in found if kind == "all-gather"]
    assert len(table) == each_episode  # of the returns of single episodes, for the host
    assert all(shape.startswith("f32[4096,2,16]") for shape in table)
    sums = [shape for kind, shape in found if kind == "all-reduce"]
    gradients = [shape for shape in sums if len(re.findall(r"f32\[\d", shape)) > 3]
    assert len(gradients) == 1 + (kind == "bc_sac")  # of either half of it


class SearchesForSteps(CartPole):
    """Looks for something in a loop of which only the state knows how long it takes."""

    def step(self, key, state, action, params):
        after = super().step(key, state, action, params)
        found = jax.lax.while_loop(lambda x: x < 1.0, lambda x: x + 0.5, after.obs[0])
        return after._replace(info={"metrics": {"found": found}})


def test_a_loop_inside_of_an_env_does_not_let_devices_meet():
    env = AutoResetWrapper(SearchesForSteps())
    runner = replace(RUNNER, num_devices=D)
    algorithm = ppo(env, env.default_params(), PPO, runner)
    run = prepare(algorithm, env, env.default_params(), runner, PPO.num_envs)
    state = run.shapes()
    how = run.algorithm, run.env, run.env_params, state, 3, False
    found = collectives(chunk_program(mesh_of(run.config), state).lower(*how).compile())
    plain = collectives(compiled("ppo", False))
    conditions, others = ([x for _, x in each if x == "pred[]"] for each in (found, plain))
    assert len(conditions) == len(others), "one more would be the loop's, joined over devices"


@pytest.mark.parametrize("kind", WITH_PROGRAMS)
def test_no_communication_may_overtake_a_loop_that_communicates(kind):
    each_episode = kind != "ppo, normalised"  # which is as it is by default
    assert not unordered(compiled(kind, each_episode))


def test_each_device_holds_its_share_of_envs_and_replay():
    for kind in ("ppo", "dqn by priority"):
        run = prepared(kind, D)
        with run.start() as state:
            split = [state.obs, state.env_state]
            if run.each_episode:  # DQN, which has a replay
                split.append(state.agent_state.memory.ring._replace(filled=(), highest=()))
            for leaf in jax.tree.leaves(split):
                shares = {shard.data.nbytes * D for shard in leaf.addressable_shards}
                assert shares == {leaf.nbytes}


def test_the_memory_of_a_batch_falls_with_the_number_of_devices():
    builder, config, env_id, runner = KINDS["ppo"]
    env, env_params = make(env_id)
    sizes = {}
    for n_devices in (1, 8):
        big = replace(config, num_envs=1024, n_steps=64, hidden_sizes=(4,))
        how = replace(runner, total_timesteps=10**6, num_devices=n_devices)
        wrapped = AutoResetWrapper(env)
        algorithm = builder(wrapped, env_params, big, replace(how, num_devices=8))
        run = prepare(algorithm, wrapped, env_params, how, 1024)
        state, mesh = run.shapes(), mesh_of(run.config)
        chunk = run_chunk if mesh is None else chunk_program(mesh, state)
        program = chunk.lower(run.algorithm, run.env, run.env_params, state, 3).compile()
        sizes[n_devices] = program.memory_analysis().temp_size_in_bytes
    assert sizes[8] < 1.25 * sizes[1] / 8, sizes


def test_large_parameters_and_their_moments_are_split_and_learn_the_same():
    config = PPOConfig(
        hidden_sizes=(1024, 1024),
        shared_backbone=True,  # orthogonal numbers of this size take seconds
        num_envs=16,
        n_steps=4,
        n_minibatches=2,
        n_epochs=1,
    )
    env, env_params = make("CartPole-v1")
    env = AutoResetWrapper(env)
    results = {}
    for fsdp, n_devices in ((1, None), (4, 8)):
        runner = replace(RUNNER, total_timesteps=192, eval_episodes=0)
        runner = replace(runner, num_devices=n_devices, fsdp_devices=fsdp)
        algorithm = ppo(env, env_params, config, replace(runner, num_devices=8))
        results[fsdp] = run_training(prepare(algorithm, env, env_params, runner, 16))
    state = results[4].state.agent_state
    large = [x for x in jax.tree.leaves(state) if x.shape == (1024, 1024)]
    assert len(large) == 3  # the second layer, and its two moments
    for leaf in large:
        assert {shard.data.shape for shard in leaf.addressable_shards} == {(256, 1024)}
    for a, b in zip(numbers(state), numbers(results[1].state.agent_state), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("ppo", 2, 8),
        ("dqn by priority", 8, None),
        ("sac", None, 8),
    ],
)
def test_a_run_resumes_with_another_number_of_devices(kind, before, after, tmp_path):
    run_dir = RunDir("run", tmp_path)
    how = {"total_timesteps": 1024, "eval_episodes": 0}
    saved = run_training(prepared(kind, before, **how), run_dir=run_dir)
    how["resume"] = True  # reads the end of the run, and no update more
    read = run_training(prepared(kind, after, **how), run_dir=run_dir)
    for a, b in zip(numbers(read.state), numbers(saved.state), strict=True):
        np.testing.assert_array_equal(a, b)
    longer = prepared(kind, after, resume=True, eval_episodes=0)
    result = run_training(longer, run_dir=run_dir)
    assert (saved.step, read.step, result.step) == (1024, 1024, 2048)
    for state in (read.state, result.state):
        n_devices = {len(x.sharding.device_set) for x in jax.tree.leaves(state)}
        assert n_devices == {after or 1}


def test_an_empty_replay_is_made_where_it_is_to_live(tmp_path):
    run_dir = RunDir("run", tmp_path)
    how = {"total_timesteps": 1024, "eval_episodes": 0, "checkpoint_replay": False}
    run_training(prepared("dqn", 2, **how), run_dir=run_dir)
    run = prepared("dqn", D, resume=True, **how)
    found = latest(run, run_dir.checkpoints)
    ring = found.take(run).agent_state.memory.ring
    assert ring.filled == 0
    for leaf in (ring.obs, ring.action, ring.reward, ring.kind, ring.cursor):
        assert {shard.data.nbytes * D for shard in leaf.addressable_shards} == {leaf.nbytes}


def test_the_seeds_function_gives_a_device_axis_and_one_agent():
    env, env_params = make("CartPole-v1")
    runner = RunnerConfig(total_timesteps=2048, num_envs=2, eval_episodes=1, progress_bar=False)
    config = replace(PPO, num_envs=1)
    with set_mesh():  # of a program around it, which does not disturb an evaluation on one device
        state, history = train_ppo_multigpu(
            AutoResetWrapper(env), env_params, ppo_config=config, runner_config=runner
        )
    assert history.total_loss.shape == (D, 2048 // (D * 2 * 16))
    assert state.env_obs.shape == (D, 2, 4)
    assert state.rng.shape == (D,)
    for leaf in jax.tree.leaves(state):  # one copy on each device, not as many as there are devices
        assert [shard.data.shape[0] for shard in leaf.addressable_shards] == [1] * D
    one = unreplicate(state)
    assert one.env_obs.shape == (2, 4)
    single = ppo(env, env_params, config, runner).init(jax.random.key(0))
    assert jax.tree.map(np.shape, one.agent_state) == jax.tree.map(np.shape, single)
    assert unreplicate(history).total_loss.shape == (8,)


EVALUATE_EACH = """
import sys
from vibe_rl.cli import main
for run in sys.argv[1:]:
    main(["evaluate", run])
"""


def test_the_command_line_trains_on_several_devices_and_evaluates_on_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "--runner.total_timesteps 2048 --runner.eval_episodes 4 --runner.plot false "
    words += "--runner.num_devices 4 --algo.num_envs 1 --runner.num_envs 2"
    main(["train", "cartpole_ppo", *words.split()])
    main(["train", "cartpole_dqn", *words.split(), "--algo.train_every", "1"])
    runs = find_runs("runs")
    command = [sys.executable, "-c", EVALUATE_EACH, *map(str, runs)]
    how = {"capture_output": True, "text": True, "env": environ(n_devices=1)}
    said = subprocess.run(command, check=True, **how).stdout
    assert len(runs) == len(said.splitlines()) == 2
    for run, line in zip(runs, said.splitlines(), strict=True):
        last = read_metrics(run)[-1]
        assert last["step"] == 2048
        assert float(line.split()[1]) == pytest.approx(last["eval_return"], rel=0.05)


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        ("ppo", {"num_devices": 9}, "num_devices 9, and there are 8: give 1 to 8"),
        ("ppo", {"num_devices": 3}, "num_envs 16 does not divide over 3 devices"),
        ("ppo", {"num_devices": 8, "fsdp_devices": 3}, "fsdp_devices 3 does not divide the 8"),
        ("dqn", {"num_devices": 3}, "batch_size 32 does not divide over 3 devices"),
        ("dqn", {"num_devices": 2, "replay_on": "host"}, "replay_on host needs one device"),
    ],
)
def test_what_cannot_be_split_is_refused(kind, changes, sentence):
    builder, config, env_id, runner = KINDS[kind]
    env, env_params = make(env_id)
    env, runner = AutoResetWrapper(env), replace(runner, **changes)
    with pytest.raises(ConfigError, match=sentence):
        prepare(builder(env, env_params, config, runner), env, env_params, runner, 16)
