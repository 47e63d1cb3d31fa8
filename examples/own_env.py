"""Trains PPO on an environment of one's own: a drone that is to hover at a given height."""

import sys
from dataclasses import dataclass

import jax.numpy as jnp

from vibe_rl.algorithms import PPOConfig
from vibe_rl.env import AutoResetWrapper, Box, Discrete, Step, TimeLimitWrapper, check_env
from vibe_rl.runner import RunnerConfig, train_ppo


@dataclass(frozen=True)
class Drone:
    def default_params(self):
        return {"gravity": jnp.float32(9.8)}  # m/s^2

    def observation_space(self, params):
        return Box(-jnp.inf, jnp.inf, (2,))  # metres too high, speed upwards in m/s

    def action_space(self, params):
        return Discrete(2)  # motor off, motor on

    def reset(self, key, params):
        state = Box(-0.5, 0.5, (2,)).sample(key)
        return state, state

    def step(self, key, state, action, params):
        speed = state[1] + 0.05 * (20.0 * action - params["gravity"])  # 0.05 s a step
        state = jnp.array([state[0] + 0.05 * speed, speed])
        error, never = jnp.abs(state[0]), jnp.array(False)
        return Step(state, state, 1.0 - error, terminated=error > 1.0, truncated=never, info={})


if __name__ == "__main__":
    env = AutoResetWrapper(TimeLimitWrapper(Drone(), max_steps=200))
    check_env(env)
    budget = RunnerConfig(total_timesteps=int(sys.argv[1]) if sys.argv[1:] else 200_000)
    train_ppo(env, env.default_params(), ppo_config=PPOConfig(num_envs=16), runner_config=budget)
