"""vibe_rl's PPO on CartPole as a user runs it: chunked, with a row of metrics logged per chunk."""

import tempfile
from dataclasses import replace
from pathlib import Path

import jax

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs import TrainConfig
from vibe_rl.experiment import build
from vibe_rl.metrics import MetricsLogger
from vibe_rl.runner import RunnerConfig, fit
from vibe_rl.tracking import ConsoleTracker, Tee
from worker import serve


def prepare(num_envs, total_timesteps):
    runner = RunnerConfig(total_timesteps=total_timesteps, eval_episodes=0)
    algo = PPOConfig(num_envs=num_envs)  # n_steps 128, 64x64 tanh, 4 epochs, 4 minibatches
    x = build(TrainConfig(algo=algo, runner=runner))

    def train(runner):
        with tempfile.TemporaryDirectory() as folder:
            file = MetricsLogger(Path(folder) / "metrics.jsonl")
            tracker = Tee(file, ConsoleTracker(runner.total_timesteps))
            rows = Rows(tracker)
            result = fit(x.algorithm, x.env, x.env_params, runner, num_envs=num_envs, tracker=rows)
            jax.block_until_ready(result.state)
            tracker.close()
        return rows.episode_return

    update = num_envs * algo.n_steps
    train(replace(runner, total_timesteps=update))  # compiles; other lengths compile nothing
    steps = total_timesteps // update * update
    return lambda seed: train(replace(runner, seed=seed)), steps, {"jax": jax.__version__}


class Rows:
    """Passes rows on and remembers the last mean return."""

    def __init__(self, tracker):
        self.tracker, self.episode_return = tracker, None

    def log(self, metrics, step):
        self.episode_return = metrics.get("episode_return", self.episode_return)
        self.tracker.log(metrics, step)


if __name__ == "__main__":
    serve(prepare)
