"""What a `PPOTrainer` does with its agent outside of a training: episodes, and single updates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from vibe_rl.algorithms.ppo import PPOState
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError, whole_number
from vibe_rl.experiment.build import build
from vibe_rl.run_dir.files import first_free, numbered_names
from vibe_rl.runner.evaluation import results_of as episodes_of
from vibe_rl.runner.run import Run
from vibe_rl.runner.streams import evaluation_key
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.trainers.ppo_trainer import rollouts
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent, checked_key
from vibe_rl.trainers.ppo_trainer.cartpole import CartPoleWrapper
from vibe_rl.trainers.ppo_trainer.progress.watched import Watched
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings, train_config
from vibe_rl.trainers.ppo_trainer.training import (
    RunOfAgent,
    Scores,
    run_of,
    scores_of,
    write_episode_row,
)
from vibe_rl.types import EitherKey


class Playing(Watched):
    """An agent and its env, and the run that would train it."""

    agent: PPOAgent
    env: CartPoleWrapper
    settings: TrainerSettings
    run_dir: Path | None
    _run: RunOfAgent | None

    @property
    def config(self) -> TrainConfig:
        """The library's description of what `train` runs."""
        return self._config_with(self.settings)

    def _config_with(self, settings: TrainerSettings) -> TrainConfig:
        env = self.env
        limit = min(settings.max_steps_per_episode, env.max_episode_steps)
        named = env.env_id, env.env_kwargs(limit)
        return train_config(settings, self.agent.config, named, env.normalize_observations)

    @property
    def run(self) -> RunOfAgent:
        """The run that `train` makes, with the agent as it is."""
        if self._run is None:
            run = build(self.config)
            self._run = run_of(run, self.agent.fitted(run.shapes().agent_state))
        return self._run

    def fitted_state(self) -> PPOState:
        """The agent's state as the run's algorithm takes it."""
        return self.agent.fitted(self.run.agent_state)

    def evaluate(
        self,
        num_episodes: int | None = None,
        record_gif: bool = False,
        episode_id: int | None = None,
    ) -> Scores:
        """Greedy episodes of the agent as it is; nothing of a training changes.

        Args:
            num_episodes: how many; None: `eval_episodes`.
            record_gif: whether the first of them is written as a GIF.
            episode_id: a number that the episodes, and the GIF's name, follow from; None: that of
                the episodes that were trained.

        Raises:
            ConfigError: the agent has not learned anything.
        """
        episodes = self.settings.eval_episodes if num_episodes is None else num_episodes
        whole_number("num_episodes", episodes, 1)
        if not self.agent.trained:
            raise ConfigError(
                "evaluate comes before train: train first, or give an agent of PPOAgent.load."
            )
        number = self.progress.episode_count if episode_id is None else episode_id
        agent_state = self.fitted_state()
        scores = self._scores(agent_state, episodes, number)
        if record_gif:
            folder = self.env.video_dir or Path(self.run_dir or "", "videos")
            folder.mkdir(parents=True, exist_ok=True)
            path = first_free(folder, numbered_names(f"episode_{number:05d}", ".gif"))
            write_episode_row(self.run, agent_state, path, self._key_of_evaluation(number))
            scores["gif_path"] = str(path)
        return scores

    def _key_of_evaluation(self, number: int) -> Any:
        """Another one than those of evaluations during a training."""
        return jax.random.fold_in(evaluation_key(self.settings.seed, number), 1)

    def _scores(self, agent_state: Any, episodes: int, number: int) -> Scores:
        run = self.run
        enable_compilation_cache()
        with jax.default_matmul_precision(run.config.matmul_precision):
            key = self._key_of_evaluation(number)
            evaluation = episodes_of(run.evaluate(agent_state, key, episodes))
        return scores_of(evaluation, self.settings.target_reward)

    def collect_episode(self, key: EitherKey) -> rollouts.EpisodeData:
        """A whole episode, sampled from the policy; see `rollouts.EpisodeData`."""
        return self.collect_batch(key, 1)[0]

    def collect_batch(self, key: EitherKey, n: int) -> list[rollouts.EpisodeData]:
        """`n` whole episodes, sampled side by side."""
        whole_number("n", n, 1)
        return rollouts.play_agent(
            self._episodic_run(), self.fitted_state(), checked_key(key, "key of PPOTrainer"), n
        )

    def _episodic_run(self) -> Run:
        """A run of whole episodes, which in vectorized mode is not that of the training."""
        if self.settings.mode == "episodic":
            return self.run
        of_rollouts = {"num_envs": TrainerSettings.num_envs}
        of_rollouts["rollout_steps"] = TrainerSettings.rollout_steps
        settings = replace(self.settings, mode="episodic", **of_rollouts)
        return build(self._config_with(settings))

    def train_step(self, key: EitherKey) -> dict[str, Any]:
        """One update of the agent, outside of any run: nothing is written; its `step_metrics`."""
        new, row, episodes = rollouts.update_once(
            self.run, self.fitted_state(), checked_key(key, "key of PPOTrainer")
        )
        self.agent.take(new)
        return self.progress.add(episodes, row)
