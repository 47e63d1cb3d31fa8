"""PPO on one host device and on several, by turns: env steps per second, without compilation.

JAX_NUM_CPU_DEVICES=2 python bench/devices.py --num_envs 2048 --rounds 7
"""

import argparse
import statistics
import time

import jax

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, make
from vibe_rl.runner import RunnerConfig, prepare
from vibe_rl.runner.train_ppo import ppo


class Contestant:
    """A run that is taken further and further."""

    def __init__(self, num_envs: int, n_devices: int):
        env, env_params = make("CartPole-v1")
        env = AutoResetWrapper(env)
        config = PPOConfig(num_envs=num_envs)
        runner = RunnerConfig(total_timesteps=10**9, eval_episodes=0, num_devices=n_devices)
        algorithm = ppo(env, env_params, config, runner)
        self.run = prepare(algorithm, env, env_params, runner, num_envs)
        self.run_chunk = self.run.executor.run_chunk
        with self.run.start() as state:
            self.state = state
        self.speed(1)  # compiles

    def speed(self, n_updates: int) -> float:
        """Env steps per second over so many updates."""
        run, began = self.run, time.perf_counter()
        how = run.algorithm, run.env, run.env_params, self.state, n_updates
        self.state, _ = self.run_chunk(*how)
        jax.block_until_ready(self.state)
        return n_updates * run.steps_per_update / (time.perf_counter() - began)


def main(num_envs: int, rounds: int, updates: int) -> None:
    many = jax.device_count()
    one, several = Contestant(num_envs, 1), Contestant(num_envs, many)
    speeds = []
    for i in range(rounds):
        order = (one, several) if i % 2 else (several, one)
        measured = {contestant: contestant.speed(updates) for contestant in order}
        speeds.append((measured[one], measured[several]))
    alone, together = (statistics.median(column) for column in zip(*speeds, strict=True))
    ratio = statistics.median(b / a for a, b in speeds)
    print(
        f"PPO, {num_envs} envs: {alone:,.0f} steps/s on one device, {together:,.0f} on {many}: "
        f"{ratio:.2f} x (median of {rounds} rounds)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num_envs", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=4)
    main(**vars(parser.parse_args()))
