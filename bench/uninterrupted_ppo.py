"""The same PPO in one uninterrupted loop on the device: what chunks, logs and progress cost."""

from importlib.metadata import version

import jax
from worker import serve

from vibe_rl import prng
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs import TrainConfig
from vibe_rl.experiment import build
from vibe_rl.runner import RunnerConfig, loop


def prepare(num_envs, total_timesteps):
    algo, runner = PPOConfig(num_envs=num_envs), RunnerConfig(total_timesteps=total_timesteps)
    x = build(TrainConfig(algo=algo, runner=runner))

    @jax.jit
    def train(key):
        state = loop.start(x.algorithm, x.env, x.env_params, key, num_envs=num_envs)

        def update(state, _):
            state, metrics = loop.iteration(x.algorithm, x.env, x.env_params, state)
            return state, metrics  # all of them, or XLA would leave the others out

        return jax.lax.scan(update, state, None, x.n_updates)

    jax.block_until_ready(train(prng.key(0)))

    def run(seed):
        jax.block_until_ready(train(prng.key(seed)))

    return run, x.n_updates * x.steps_per_update, {"jax": version("jax")}


if __name__ == "__main__":
    serve(prepare)
