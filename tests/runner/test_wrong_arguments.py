"""Arguments of another kind: one sentence that names the argument and the remedy.

The tests' own checks of types would come first, so a process without them makes the calls.
"""

import json
import subprocess
import sys

import pytest

from processes import environ

CALLS = """
import json
import numpy as np
from vibe_rl import experiment, make
from vibe_rl.algorithms import DQN, PPO, DQNConfig, PPOConfig
from vibe_rl.configs import TrainConfig
from vibe_rl.env import (
    AutoResetWrapper, Box, Dict, Discrete, FrameStackWrapper, ImageResizeWrapper, Masked,
    RewardScaleWrapper, TimeLimitWrapper,
)
from vibe_rl.experiment.single import evaluate_env
from vibe_rl.runner.env_params import EnvParamsSchedule
from vibe_rl.runner import RunnerConfig, train_dqn, train_ppo, train_ppo_multigpu, train_sac

env, params = make("CartPole-v1")
env = AutoResetWrapper(env)
runner = RunnerConfig(total_timesteps=1024)


def ppo(env=env, params=params, ppo_config=PPOConfig(), runner_config=runner, **how):
    how |= {"ppo_config": ppo_config, "runner_config": runner_config}
    return train_ppo(env, params, **how)


def dqn(config):
    return train_dqn(env, params, dqn_config=config, runner_config=runner)


def sac(config):
    return train_sac(env, params, sac_config=config, runner_config=runner)


said = {}
for line in LINES:
    try:
        eval(line)
    except ValueError as error:
        said[line] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""
SAID = {
    "ppo(ppo_config={'lr': 1e-3})": "ppo_config is a dict: give PPOConfig(**ppo_config).",
    "ppo(ppo_config=None)": "ppo_config is a NoneType: give a PPOConfig.",
    "ppo(ppo_config=DQNConfig())": "ppo_config is a DQNConfig: give a PPOConfig.",
    "ppo(ppo_config=PPOConfig)": "ppo_config is the class PPOConfig: give a PPOConfig.",
    "ppo(runner_config={})": "runner_config is a dict: give RunnerConfig(**runner_config).",
    "dqn({})": "dqn_config is a dict: give DQNConfig(**dqn_config).",
    "sac({})": "sac_config is a dict: give SACConfig(**sac_config).",
    "train_ppo_multigpu(env, params, ppo_config=PPOConfig(), runner_config={})": (
        "runner_config is a dict: give RunnerConfig(**runner_config)."
    ),
    "PPO({}, Box(0, 1, (2,)), Discrete(2))": "config is a dict: give PPOConfig(**config).",
    "DQN(PPOConfig(), Box(0, 1, (2,)), Discrete(2), None, 8)": (
        "config is a PPOConfig: give a DQNConfig."
    ),
    "TrainConfig('CartPole-v1', {})": "algo is a dict: give a PPOConfig or DQNConfig or SACConfig "
    "or BCConfig or BCSACConfig.",
    "TrainConfig(runner={})": "runner is a dict: give RunnerConfig(**runner).",
    "TrainConfig(env)": "env_id is a AutoResetWrapper: give a str.",
    "experiment.train({})": "config is a dict: give TrainConfig(**config).",
    "experiment.train({}, seeds=[1, 2])": "config is a dict: give TrainConfig(**config).",
    "experiment.train(TrainConfig(), seeds=2)": "seeds 2: give a list, such as range(4).",
    "Discrete(2.0)": "Discrete(2.0): give whole numbers of at least 1.",
    "ppo(env='CartPole-v1')": (
        'env is a str: give an environment, such as AutoResetWrapper(make("CartPole-v1")[0]).'
    ),
    "ppo(run_dir='runs/mine')": "run_dir is a str: give a RunDir.",
    "ppo(callback='print')": "callback 'print': give a function, or None.",
    "ppo(trackers=['sqlite'])": (
        "trackers 'sqlite': give a list of objects with the methods log and close, or names in "
        "runner.track."
    ),
    "ppo(trackers='sqlite')": (
        "trackers 'sqlite': give a list of objects with the methods log and close, or names in "
        "runner.track."
    ),
    "ppo(params=params._replace(gravity='9'))": (
        "env_params.gravity is '9': give a number, or an array of them."
    ),
    "ppo(eval_params=params._replace(gravity='9'))": (
        "env_params.gravity is '9': give a number, or an array of them."
    ),
    "ppo(params=params._replace(gravity=[[9.8, 9.8]]))": (
        "env_params are not those of CartPole (see .gravity[0][0], .gravity[0][1]): begin with "
        "env.default_params(), and write lists as arrays."
    ),
    "ppo(params=params._replace(gravity=np.ones((1, 3))))": (
        "env_params.gravity has 2 axes, where the default has 0: give as many, or one more with an "
        "entry per env."
    ),
    "ppo(eval_metrics=[len])": "eval_metrics is a list: give a dict or Mapping.",
    "ppo(runner_config=RunnerConfig(2**60), ppo_config=PPOConfig(n_steps=2**32))": (
        "an update of 4,294,967,296 env steps: give fewer envs or steps, at most 2,147,483,647 in "
        "all."
    ),
    "experiment.train(TrainConfig(), seeds='0:4')": "seeds '0:4': give a list, such as range(4).",
    "experiment.train(TrainConfig(), run_id=3)": "name of a run is a int: give a str.",
    "evaluate_env('CartPole-v1', episodes='3')": "episodes '3': give a number.",
    "evaluate_env('CartPole-v1', seed=1.5)": ("seed 1.5: give a whole number from 0 to 2^64 - 1."),
    "EnvParamsSchedule(3, 5)": "at 3 of a schedule of env_params: give a function.",
    "EnvParamsSchedule(len, '5')": "every '5' of a schedule of env_params: give a number.",
    "make(3)": "name of an environment is a int: give a str.",
    "make('GridWorld-v0', size='8')": "size '8' of GridWorld: give a number.",
    "make('CartPole-v1', gravity=None)": "gravity=None of CartPole-v1: give a number.",
    "TimeLimitWrapper(env.env, 2.5)": "max_steps 2.5 of TimeLimitWrapper: give a whole number.",
    "FrameStackWrapper(env, '2')": "n_frames '2' of FrameStackWrapper: give a number.",
    "ImageResizeWrapper(env, 0, 8)": "height 0 of ImageResizeWrapper: give at least 1.",
    "RewardScaleWrapper(env, '2')": "scale '2' of RewardScaleWrapper: give a number.",
    "Dict([Box(0, 1)])": "spaces of a Dict is a list: give a dict or Mapping.",
    "Dict({'a': 3})": "'a' of a Dict is a int: give a Space.",
    "Masked(Box(0, 1), 2.0)": (
        "Masked(view=Box(0, 1, (), float32), n_actions=2.0): give whole numbers of at least 1."
    ),
    "Masked(None, 2)": "view of Masked is a NoneType: give a Space.",
}


@pytest.fixture(scope="module")
def said():
    code = f"LINES = {list(SAID)!r}\n{CALLS}"
    command = [sys.executable, "-c", code]
    return json.loads(subprocess.check_output(command, text=True, env=environ()))


@pytest.mark.parametrize("line", SAID)
def test_an_argument_of_another_kind_gets_one_sentence(line, said):
    assert said.get(line) == f"ConfigError: {SAID[line]}"
