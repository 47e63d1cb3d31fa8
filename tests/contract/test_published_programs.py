"""The published programs: each block of two pages runs as it stands, in the page's order.

Budgets are cut. `BEFORE` has what a block takes for granted, `AFTER` what it promises.
"""

import re
import shlex
import sys

import jax
import pytest

from compiling import as_users_do
from vibe_rl.configs import PRESETS, cli

MOST_STEPS = 1_024
"""The default warm-up, and a little more."""
BUDGET = re.compile(r"total_timesteps=(\d[\d_]*)")

GUIDE = {
    "ppo": """
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import make
from vibe_rl.env.wrappers import AutoResetWrapper
from vibe_rl.runner import RunnerConfig, train_ppo

env, env_params = make("CartPole-v1")
env = AutoResetWrapper(env)  # required for lax.scan loop

ppo_config = PPOConfig(n_steps=128, hidden_sizes=(64, 64))
runner_config = RunnerConfig(total_timesteps=100_000)

train_state, metrics = train_ppo(
    env, env_params,
    ppo_config=ppo_config,
    runner_config=runner_config,
)
""",
    "ppo vectorized": """
ppo_config = PPOConfig(n_steps=128, num_envs=8, hidden_sizes=(64, 64))
train_state, metrics = train_ppo(
    env, env_params,
    ppo_config=ppo_config,
    runner_config=runner_config,
)
""",
    "ppo with a run directory": """
from vibe_rl.run_dir import RunDir

run_dir = RunDir("ppo_cartpole")
train_state, metrics = train_ppo(
    env, env_params,
    ppo_config=ppo_config,
    runner_config=runner_config,
    run_dir=run_dir,
)
""",
    "dqn": """
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.runner import RunnerConfig, train_dqn

result = train_dqn(
    env, env_params,
    dqn_config=DQNConfig(),
    runner_config=RunnerConfig(total_timesteps=50_000),
)
result.agent_state, result.episode_returns, result.metrics_log
""",
    "sac": """
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.runner import RunnerConfig, train_sac

result = train_sac(
    env, env_params,
    sac_config=SACConfig(),
    runner_config=RunnerConfig(total_timesteps=100_000),
    action_dim=1,
)
""",
    "runner config": """
from vibe_rl.runner import RunnerConfig

runner_config = RunnerConfig(
    total_timesteps=100_000,
    eval_every=5_000,
    eval_episodes=10,
    seed=42,
)
""",
    "evaluate": """
from vibe_rl.runner import evaluate, jit_evaluate

eval_metrics = evaluate(
    act_fn,         # (agent_state, obs) -> action
    agent_state,
    env, env_params,
    n_episodes=10,
    max_steps=500,
    rng=jax.random.PRNGKey(99),
)

print(eval_metrics.mean_return)   # scalar
print(eval_metrics.std_return)    # scalar
print(eval_metrics.mean_length)   # scalar
""",
    "callback": """
def my_callback(step: int, agent_state, metrics: dict) -> None:
    if step % 10_000 == 0:
        print(f"Step {step}: {metrics}")

result = train_dqn(
    env, env_params,
    dqn_config=DQNConfig(),
    runner_config=RunnerConfig(total_timesteps=50_000),
    callback=my_callback,
)
""",
    "scripts": """
from vibe_rl.runner import train_ppo, train_dqn, train_sac
""",
}

REFERENCE = {
    "imports": """
from vibe_rl.runner import (
    RunnerConfig,
    train_ppo, train_ppo_multigpu, train_dqn, train_sac,
    evaluate, jit_evaluate, EvalMetrics,
    PPOTrainState, PPOMetricsHistory,
    DQNTrainResult, SACTrainResult,
    get_num_devices, replicate, unreplicate,
    shard_pytree, replicate_on_mesh, split_key_across_devices,
)
""",
    "train_ppo": """
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import make
from vibe_rl.env.wrappers import AutoResetWrapper
from vibe_rl.runner import RunnerConfig, train_ppo

env, env_params = make("CartPole-v1")
env = AutoResetWrapper(env)
ppo_config = PPOConfig(n_steps=128, num_envs=8, hidden_sizes=(64, 64))
runner_config = RunnerConfig(total_timesteps=100_000)

train_state, metrics = train_ppo(
    env, env_params,
    ppo_config=ppo_config,
    runner_config=runner_config,
)
""",
    "train_ppo_multigpu": """
from vibe_rl.runner import RunnerConfig, train_ppo_multigpu

runner_config = RunnerConfig(total_timesteps=100_000, num_envs=4)
train_state, metrics = train_ppo_multigpu(
    env, env_params,
    ppo_config=ppo_config,
    runner_config=runner_config,
)
""",
    "train_dqn": """
from vibe_rl.algorithms.dqn import DQNConfig
from vibe_rl.runner import RunnerConfig, train_dqn

dqn_config = DQNConfig()
runner_config = RunnerConfig(total_timesteps=50_000)

result = train_dqn(
    env, env_params,
    dqn_config=dqn_config,
    runner_config=runner_config,
)
result.agent_state, result.episode_returns, result.metrics_log
""",
    "train_sac": """
from vibe_rl.algorithms.sac import SACConfig
from vibe_rl.runner import RunnerConfig, train_sac

env, env_params = make("Pendulum-v1")
env = AutoResetWrapper(env)
sac_config = SACConfig()
runner_config = RunnerConfig(total_timesteps=100_000)

result = train_sac(
    env, env_params,
    sac_config=sac_config,
    runner_config=runner_config,
    action_dim=1,
)
""",
}

BEFORE = {
    "sac": """
cart_pole = env, env_params
env, env_params = make("Pendulum-v1")
env = AutoResetWrapper(env)
""",
    "evaluate": """
import jax

env, env_params = cart_pole
agent_state = train_state.agent_state.step


def act_fn(agent_state, obs):
    return (obs[2] + obs[3] > 0).astype("int32")
""",
}
AFTER = {
    "ppo": """
assert train_state._fields == ("agent_state", "env_obs", "env_state", "rng")
assert {column.shape for column in metrics} == {(8,)}
""",
    "ppo vectorized": """
assert train_state.env_obs.shape == (8, 4)
assert {column.shape for column in metrics} == {(1,)}
""",
    "ppo with a run directory": """
import json
from pathlib import Path

rows = list(map(json.loads, Path(run_dir, "logs", "metrics.jsonl").read_text().splitlines()))
assert {"step", "wall_time", *metrics._fields} <= rows[-1].keys()
assert Path(run_dir).name.startswith("ppo_cartpole_")
assert Path(run_dir).parent == Path("runs").absolute()
assert Path(run_dir, "artifacts", "reward_curve.png").is_file()
""",
    "dqn": """
assert result._fields == ("agent_state", "episode_returns", "metrics_log")
assert {type(x) for x in result.episode_returns} == {float}
assert {"loss", "q_mean", "epsilon"} <= result.metrics_log[-1].keys()
""",
    "sac": """
assert result._fields == ("agent_state", "episode_returns", "metrics_log")
assert len(result.episode_returns) == 5
logged = {"actor_loss", "critic_loss", "alpha", "entropy", "q_mean"}
assert logged <= result.metrics_log[-1].keys()
""",
    "evaluate": """
assert eval_metrics.mean_return.shape == eval_metrics.std_return.shape == ()
assert 100 < eval_metrics.mean_return <= 500
how = {"n_episodes": 10, "max_steps": 50, "rng": jax.random.PRNGKey(99)}
assert jit_evaluate(act_fn, agent_state, env, env_params, **how).mean_length == 50
""",
    "train_ppo": """
assert isinstance(metrics.total_loss.item(), float)
""",
}


def cut(block: str) -> str:
    """The block with a budget, and a callback's interval, that a test can wait for."""
    most = MOST_STEPS * (jax.device_count() // 2 if "multigpu" in block else 1)  # an update

    def at_most(budget: re.Match[str]) -> str:
        return f"total_timesteps={min(int(budget[1]), most)}"

    return BUDGET.sub(at_most, block).replace("step % 10_000", "step % 1_024")


@pytest.mark.slow
@pytest.mark.parametrize("page", [GUIDE, REFERENCE], ids=["guide", "reference"])
def test_every_program_of_a_page_runs_after_the_others(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with as_users_do():
        for title, block in page.items():
            code = BEFORE.get(title, "") + cut(block) + AFTER.get(title, "")
            exec(compile(code, title, "exec"), names)
    assert ("callback" in page) == ("\nStep 1024: {" in capsys.readouterr().out)


COMMANDS = {
    "cartpole_ppo": {},
    "cartpole_dqn": {},
    "pendulum_sac": {},
    "cartpole_ppo --algo.lr 1e-3": {"lr": 1e-3},
    "pendulum_sac --runner.total_timesteps 500000": {"total_timesteps": 500_000},
    "cartpole_ppo --algo.hidden_sizes '(128, 128)'": {"hidden_sizes": (128, 128)},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_guide_changes_its_field_and_no_other(command, monkeypatch):
    words = shlex.split(command)
    preset, changed = PRESETS[words[0]][1], COMMANDS[command]
    config = cli(words)
    for section in ("algo", "runner"):
        wanted = dict(vars(getattr(preset, section)))
        wanted |= {name: value for name, value in changed.items() if name in wanted}
        assert vars(getattr(config, section)) == wanted
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    assert cli() == config
