"""The published signatures and classes: names, order, kinds and defaults of the runner's API.

What the library has beyond them comes later, and nobody has to pass it.
"""

import dataclasses
import inspect
from dataclasses import dataclass
from importlib import import_module

import jax
import pytest

from vibe_rl import runner
from vibe_rl.algorithms import DQNConfig, PPOConfig, SACConfig
from vibe_rl.configs import TrainConfig
from vibe_rl.runner import RunnerConfig


def train_ppo(
    env, env_params, *, ppo_config, runner_config, obs_shape=None, n_actions=None, run_dir=None
): ...


def train_ppo_multigpu(
    env, env_params, *, ppo_config, runner_config, obs_shape=None, n_actions=None
): ...


def train_dqn(
    env,
    env_params,
    *,
    dqn_config,
    runner_config,
    obs_shape=None,
    n_actions=None,
    callback=None,
    run_dir=None,
): ...


def train_sac(
    env,
    env_params,
    *,
    sac_config,
    runner_config,
    obs_shape=None,
    action_dim=None,
    callback=None,
    run_dir=None,
): ...


def evaluate(act_fn, agent_state, env, env_params, *, n_episodes, max_steps, rng): ...


def get_num_devices(requested=None): ...


def replicate(pytree, n_devices): ...


def unreplicate(pytree): ...


def split_key_across_devices(rng, n_devices): ...


def shard_pytree(pytree, mesh): ...


def replicate_on_mesh(pytree, mesh): ...


FUNCTIONS = (
    train_ppo,
    train_ppo_multigpu,
    train_dqn,
    train_sac,
    evaluate,
    get_num_devices,
    replicate,
    unreplicate,
    split_key_across_devices,
    shard_pytree,
    replicate_on_mesh,
)


def parameters(function):
    """Name, kind and default of each, in their order."""
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in found]


@pytest.mark.parametrize("published", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_function_takes_what_is_published_of_it_and_the_rest_is_optional(published):
    wanted, ours = parameters(published), parameters(getattr(runner, published.__name__))
    assert ours[: len(wanted)] == wanted
    assert [
        name for name, _, default in ours[len(wanted) :] if default is inspect.Parameter.empty
    ] == []


@dataclass(frozen=True)
class PublishedRunnerConfig:
    total_timesteps: int = 100_000
    eval_every: int = 5_000
    eval_episodes: int = 10
    log_interval: int = 1_000
    buffer_size: int = 100_000
    warmup_steps: int = 1_000
    num_devices: int | None = None
    num_envs: int = 1
    fsdp_devices: int = 1
    seed: int = 0
    checkpoint_dir: str | None = None
    checkpoint_interval: int = 5_000
    max_checkpoints: int = 5
    keep_period: int | None = None
    resume: bool = False
    overwrite: bool = False
    plot: bool = True


def test_runner_config_has_the_published_fields_first_in_their_order_with_their_defaults():
    wanted = dataclasses.fields(PublishedRunnerConfig)
    ours = dataclasses.fields(RunnerConfig)[: len(wanted)]
    assert [(f.name, f.default) for f in ours] == [(f.name, f.default) for f in wanted]
    assert RunnerConfig(2_000, 500).eval_every == 500
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunnerConfig().seed = 1


def test_train_config_is_env_id_algo_and_runner_by_position():
    algo, runner_config = DQNConfig(), RunnerConfig(seed=3)
    config = TrainConfig("GridWorld-v0", algo, runner_config)
    assert (config.env_id, config.algo, config.runner) == ("GridWorld-v0", algo, runner_config)
    assert TrainConfig() == TrainConfig("CartPole-v1", PPOConfig(), RunnerConfig())


@pytest.mark.parametrize("kind", [PPOConfig, DQNConfig, SACConfig])
def test_hyperparameters_are_passed_by_name(kind):
    with pytest.raises(TypeError, match="positional"):
        kind((64, 64))


RECORDS = {
    "PPOTrainState": ("agent_state", "env_obs", "env_state", "rng"),
    "PPOMetricsHistory": ("total_loss", "actor_loss", "critic_loss", "entropy", "approx_kl"),
    "DQNTrainResult": ("agent_state", "episode_returns", "metrics_log"),
    "SACTrainResult": ("agent_state", "episode_returns", "metrics_log"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_result_has_the_published_fields(name):
    assert getattr(runner, name)._fields == RECORDS[name]


def test_an_evaluation_begins_with_the_published_fields():
    assert runner.EvalMetrics._fields[:3] == ("mean_return", "std_return", "mean_length")


def test_jit_evaluate_is_evaluate_compiled():
    assert runner.jit_evaluate.__wrapped__ is runner.evaluate
    assert type(runner.jit_evaluate) is type(jax.jit(lambda: 0))


def test_the_runner_config_is_found_where_it_is_published():
    assert import_module("vibe_rl.runner.config").RunnerConfig is RunnerConfig
