"""vibe_rl's PPO on CartPole as a user runs it: chunked, with rows written and progress shown."""

import tempfile
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import jax
from worker import serve

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs import TrainConfig
from vibe_rl.experiment import build
from vibe_rl.metrics import MetricsLogger, read_metrics
from vibe_rl.runner import RunnerConfig, fit
from vibe_rl.tracking import ConsoleTracker, Tee


def prepare(num_envs, total_timesteps):
    runner = RunnerConfig(total_timesteps=total_timesteps, eval_episodes=0)
    algo = PPOConfig(num_envs=num_envs)  # n_steps 128, 64-64 tanh, 4 epochs, 4 minibatches
    run = build(TrainConfig(algo=algo, runner=runner))

    def train(seed, n_updates):
        """The last mean return of the episodes that ended while training."""
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "metrics.jsonl"
            trackers = MetricsLogger(rows), ConsoleTracker(runner.total_timesteps)
            with closing(Tee(*trackers)) as tracker:
                result = fit(
                    replace(run, config=replace(runner, seed=seed), n_updates=n_updates), tracker
                )
                jax.block_until_ready(result.state)
            returns = [row["episode_return"] for row in read_metrics(rows) if row["episodes"]]
        return lambda: returns[-1] if returns else None

    train(0, 1)  # compiles; other lengths compile nothing
    versions = {name: version(name) for name in ("jax", "numpy", "vibe_rl")}
    return lambda seed: train(seed, run.n_updates), run.n_updates * run.steps_per_update, versions


if __name__ == "__main__":
    serve(prepare)
