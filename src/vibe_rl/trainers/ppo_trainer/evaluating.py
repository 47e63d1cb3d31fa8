"""Agents that were trained before, wherever they are kept, and how fast new ones are trained."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vibe_rl.errors import ConfigError, shown
from vibe_rl.ops import prng
from vibe_rl.policies.registered import client_at, downloaded, local_address, told_as_one_sentence
from vibe_rl.tracking.mlflow import load_mlflow
from vibe_rl.tracking.mlflow_store import check_address, given_address
from vibe_rl.trainers.ppo_trainer.agent import CONFIG_FILE, PPOAgent
from vibe_rl.trainers.ppo_trainer.cartpole import CartPoleWrapper
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings
from vibe_rl.trainers.ppo_trainer.trainer import PPOTrainer
from vibe_rl.trainers.ppo_trainer.training import plain_scores


@contextmanager
def saved_agent(path: str) -> Iterator[PPOAgent]:
    """The agent that a training returned, by its run directory, or that of a folder of `save`.

    Raises:
        ConfigError: there is none.
    """
    folder = Path(path)
    if (folder / CONFIG_FILE).is_file():
        yield PPOAgent.load(folder)
    elif (folder / "logs").is_dir():
        yield PPOTrainer.restore(folder, track=()).agent
    else:
        raise ConfigError(
            f"{shown(folder)} holds no agent: name a run directory or a folder of PPOAgent.save."
        )


@contextmanager
def registered_agent(address: str) -> Iterator[PPOAgent]:
    """The agent of a version in MLflow's registry; ConfigError if there is none."""
    with downloaded(address) as folder:
        yield PPOAgent.load(folder)


@contextmanager
def agent_of_run(run_id: str) -> Iterator[PPOAgent]:
    """The agent that a run of MLflow has left.

    Raises:
        ConfigError: there is no such run, or it has left none, for it did not converge.
    """
    uri = check_address(given_address() or local_address())
    with tempfile.TemporaryDirectory(prefix="vibe_rl_") as folder, told_as_one_sentence():
        client = client_at(uri)
        experiment = client.get_run(run_id).info.experiment_id
        filter_of_run = f"source_run_id = '{run_id}'"
        models = client.search_logged_models([experiment], filter_string=filter_of_run)
        if not models:
            raise ConfigError(
                f"MLflow's run {run_id} has no model, for it did not converge: name another run."
            )
        how = {"tracking_uri": uri, "dst_path": folder}
        source = models[0].artifact_location
        path = load_mlflow().artifacts.download_artifacts(artifact_uri=source, **how)
        yield PPOAgent.load(path)


def play_agent_episodes(
    agent: PPOAgent,
    episodes: int,
    *,
    seed: int,
    target_reward: float,
    n_gifs: int = 0,
    video_dir: Path = Path("videos"),
    stochastic: bool = False,
) -> dict[str, Any]:
    """Episodes of an agent, as `PPOTrainer.evaluate` tells them, and `gifs`, the files.

    Args:
        agent: what plays.
        episodes: how many.
        seed: of the episodes.
        target_reward: what a successful one returns at least.
        n_gifs: further greedy episodes that are written as GIFs.
        video_dir: where.
        stochastic: whether actions are drawn, instead of the likeliest taken.
    """
    settings = {"seed": seed, "target_reward": target_reward, "verbose": False}
    env = CartPoleWrapper(video_dir=video_dir)
    trainer = PPOTrainer(agent, env, eval_episodes=episodes, **settings)
    if stochastic:
        batch = trainer.collect_batch(prng.jax_key(seed), episodes)
        scores = plain_scores([float(data["rewards"].sum()) for data in batch], target_reward)
    else:
        scores = trainer.evaluate(episodes)
    films = (trainer.evaluate(1, record_gif=True, episode_id=i) for i in range(n_gifs))
    return {**scores, "gifs": [film["gif_path"] for film in films]}


def measure_speed(mode: str, episodes: int) -> Mapping[str, Any]:
    """How fast a mode trains without evaluations, and how long its first update takes.

    Envs side by side get as many episodes each.

    Raises:
        ConfigError: the episodes are over before there is anything to measure.
    """
    times, n = [], episodes * (1 if mode == "episodic" else TrainerSettings.num_envs)
    with tempfile.TemporaryDirectory(prefix="vibe_rl_") as folder:
        trainer = PPOTrainer(
            PPOAgent(4, 2),
            CartPoleWrapper(),
            mode=mode,
            max_episodes=n,
            convergence_window=min(100, n),
            early_stop=False,
            eval_frequency=0,
            save_frequency=10**6,
            restore_best=False,
            base_dir=folder,
            csv=False,
            plot=False,
            verbose=False,
        )
        began = time.perf_counter()
        trainer.train(lambda payload: times.append((time.perf_counter(), payload)))
    if len(times) < 2:
        raise ConfigError(f"episodes {episodes} are over within an update: give 100 or more.")
    (first, before), (last, after) = times[0], times[-1]
    steps = after["results_so_far"]["total_steps"] - before["results_so_far"]["total_steps"]
    seconds = last - first
    return {
        "mode": mode,
        "episodes": after["episode"] + 1,
        "seconds": seconds,
        "first_seconds": first - began,
        "steps_per_second": steps / seconds,
    }
