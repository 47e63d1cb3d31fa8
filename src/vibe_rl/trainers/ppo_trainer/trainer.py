"""`PPOTrainer`: trains a `PPOAgent` by episodes until it converges, and reports what happened.

A layer over the library's loop, under the names of seed 002: the run directory that it leaves is
like any other, and `vibe-rl evaluate`, `plot` and `track` read it.
"""

import copy
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vibe_rl.algorithms.ppo import PPOState
from vibe_rl.errors import ConfigError, TrainingInterrupted, check_flag, check_kind
from vibe_rl.experiment.build import build_for_run_dir, check_new, resumed
from vibe_rl.experiment.config_files import new_run_dir, write_run_files
from vibe_rl.run_dir.directory import RunDir
from vibe_rl.run_dir.manifest import commit, newest_manifest, versions
from vibe_rl.runner.history import earlier_rows
from vibe_rl.runner.resuming import agent_part
from vibe_rl.runner.session import Session, open_session
from vibe_rl.tracking.base import LogBackend, Tee
from vibe_rl.tracking.named import check_names
from vibe_rl.tracking.opening import Destinations, open_named
from vibe_rl.trainers.ppo_trainer.agent import PPOAgent, describe_agent
from vibe_rl.trainers.ppo_trainer.arguments import (
    as_list,
    check_changes,
    check_monitor,
    check_sizes,
    checked_name,
    checked_stage,
    monitor_of,
    names_of,
    seed_given,
)
from vibe_rl.trainers.ppo_trainer.callbacks import (
    Callback,
    CallbackList,
    CSVCallback,
    ProgressPrinter,
)
from vibe_rl.trainers.ppo_trainer.cartpole import CartPoleWrapper
from vibe_rl.trainers.ppo_trainer.finishing import finish, publish_model
from vibe_rl.trainers.ppo_trainer.playing import Playing
from vibe_rl.trainers.ppo_trainer.progress.evaluations import EvaluationLog
from vibe_rl.trainers.ppo_trainer.progress.monitors import Monitor
from vibe_rl.trainers.ppo_trainer.progress.progress import Progress
from vibe_rl.trainers.ppo_trainer.publication import save_model
from vibe_rl.trainers.ppo_trainer.restoring import (
    FIRST_AGENT,
    describe_trainer,
    newest_state,
    restored_monitor,
)
from vibe_rl.trainers.ppo_trainer.results import TrainResults
from vibe_rl.trainers.ppo_trainer.settings import TrainerSettings
from vibe_rl.trainers.ppo_trainer.training import (
    RunOfAgent,
    Training,
    run_of,
)
from vibe_rl.types import EitherKey

LOGGER = logging.getLogger("vibe_rl")


class PPOTrainer(Playing):
    """Trains an agent in an env, watches for convergence, evaluates and tracks.

    Args:
        agent: what learns; after `train` it holds what was learned.
        env: where.
        enable_mlflow: whether MLflow gets the training, as with `track=["mlflow"]`.
        mlflow_experiment_name: of the experiment, and the first part of the run directory's name.
        register_stage: a further alias of the registered model, in small letters: `Staging` is
            `staging`.
        key: of everything random but the agent's first parameters, instead of `seed`.
        monitor: ends the training early, instead of a `ConvergenceMonitor` of the settings; each
            training has a copy of it, `progress.monitor`.
        callbacks: called after every update, before that of `train`.
        track: names of trackers: tensorboard, wandb, mlflow, sqlite.
        trackers: objects that get a row every `log_frequency` updates and at each evaluation, at
            the number of the episode.
        run_dir: the run's directory, new unless it is resumed; None makes one in `base_dir`.
        base_dir: of run directories that have the experiment's name and the time.
        csv: whether `metrics.csv` is written.
        plot: whether figures are drawn at the end.
        verbose: whether lines are printed.
        **settings: fields of `TrainerSettings`: `max_episodes`, `target_reward` and so on.

    Raises:
        ConfigError: an argument is unknown or cannot work, or the agent is not of the env's sizes.
    """

    def __init__(  # noqa: PLR0913 - keyword arguments of a public class
        self,
        agent: PPOAgent,
        env: CartPoleWrapper,
        *,
        enable_mlflow: bool = False,
        mlflow_experiment_name: str = "cartpole-ppo",
        register_stage: str | None = None,
        key: EitherKey | None = None,
        monitor: Monitor | None = None,
        callbacks: Sequence[Callback] = (),
        track: Sequence[str] = (),
        trackers: Sequence[LogBackend] = (),
        run_dir: str | os.PathLike[str] | None = None,
        base_dir: str | os.PathLike[str] = "runs",
        csv: bool = True,
        plot: bool = True,
        verbose: bool = True,
        **settings: Any,
    ):
        check_sizes(agent, env)
        self.agent, self.env = agent, env
        self.settings = TrainerSettings.of(**settings, **seed_given(key, settings))
        self.given_monitor = monitor
        check_monitor(monitor)
        self.monitor = monitor or monitor_of(self.settings)
        flags = {"enable_mlflow": enable_mlflow, "csv": csv, "plot": plot, "verbose": verbose}
        for name, flag in flags.items():
            check_flag(name, flag)
        own = base_dir if run_dir is None else run_dir
        for name, folder in (("run_dir", own), ("base_dir", base_dir)):
            check_kind(name, folder, str, os.PathLike)
        self.track = names_of(track, enable_mlflow)
        check_names(self.track)
        self.trackers = as_list("trackers", trackers, "log")
        self.callbacks = CallbackList(as_list("callback", callbacks, "__call__"))
        self.name, self.csv = checked_name(mlflow_experiment_name), csv
        self.register_stage = checked_stage(register_stage)
        self.plot, self.verbose = plot, verbose
        self.base_dir = base_dir
        self.run_dir = self._given = None if run_dir is None else Path(run_dir)
        self.results: TrainResults | None = None
        self.progress = Progress(copy.deepcopy(self.monitor))
        self._first: tuple[PPOAgent, PPOState] | None = None  # as it was before a training here
        self._run: RunOfAgent | None = None

    def place(self, run_dir: str | os.PathLike[str]) -> None:
        """Gives the next training this directory, new unless it is resumed."""
        self._given = self.run_dir = Path(run_dir)

    def train(self, callback: Callback | None = None, *, resume: bool = False) -> TrainResults:
        """Trains until the agent converges, `max_episodes` are over, or a callback returns False.

        A second call begins anew, from the agent as it was before the first.

        Args:
            callback: called after every update in which episodes ended; see `callbacks.Payload`.
            resume: goes on in the run directory, from its last checkpoint.

        Raises:
            ConfigError: the run cannot work, before anything is compiled or written.
            NonFiniteLossError: a loss became NaN or infinite.
            TrainingInterrupted: Ctrl-C or SIGTERM ended it; the results are in the exception.
        """
        called = CallbackList([self.callbacks, callback])
        first, config = self._beginning(resume), self.config
        run = build_for_run_dir(config, resumed if resume else check_new)
        run = run_of(run, self.agent.fitted(run.shapes().agent_state, first))
        with self._directory(resume) as run_dir, open_session(run, run_dir) as session:
            extra = {"trainer": describe_trainer(self), "experiment": self.name}
            write_run_files(run_dir, config, extra)
            self._run, self.run_dir, self.agent.state = run, run_dir.root, first
            if session.found is None:
                self.agent.save(run_dir.artifact_path(FIRST_AGENT), overwrite=True)
            self.results = self._train(session, run_dir, called)
            signal = session.signal
        if signal:
            raise TrainingInterrupted(self.results, signal)
        return self.results

    def _beginning(self, resume: bool) -> PPOState:
        """The agent's state that a training begins with: a second one's where the first began."""
        if resume:
            if self.run_dir is None:
                raise ConfigError("train(resume=True) has nothing to resume: give run_dir.")
            return self.agent.state
        if self._first is None or self._first[0] is not self.agent:
            self._first = self.agent, self.agent.state
        else:
            LOGGER.warning("train begins anew, with the agent as it was: resume=True goes on.")
        return self._first[1]

    @contextmanager
    def _directory(self, resume: bool) -> Iterator[RunDir]:
        """The run directory, a new one unless it is resumed."""
        if resume:
            yield RunDir.open(self.run_dir)  # type: ignore[arg-type]
            return
        given = self._given
        if given is not None and given.is_dir() and not any(given.iterdir()):
            given.rmdir()  # an empty folder is as good as none
        where = (self.base_dir, None) if given is None else (given.parent, given.name)
        with new_run_dir(self.name, where[0], run_id=where[1]) as run_dir:
            yield run_dir

    def _train(self, session: Session, run_dir: RunDir, called: CallbackList) -> TrainResults:
        """One training, with its trackers around it."""
        self.progress = Progress(copy.deepcopy(self.monitor))
        step = None if session.found is None else -1  # all rows are told again
        with ExitStack() as stack:
            destinations = stack.enter_context(Destinations())
            named = open_named(self.track, run_dir, step, destinations)
            tee = stack.enter_context(Tee(*self.trackers, *named))
            if step is not None:
                tee.rewind(step)
            tee.log_config(self.flat_description())
            training = Training(
                self.agent,
                self.settings,
                self.run,
                self._videos(run_dir),
                self.progress,
                CallbackList([*self._own_callbacks(run_dir), called]),
                tee,
                EvaluationLog(run_dir.log_path("evaluations.jsonl")),
            )
            state = self._learned(session, training)
            tee.status = "interrupted" if session.signal else "finished"
            results = finish(self, training, state, session.signal)
        if not session.signal:
            publish_model(self, results)
        return results

    def _videos(self, run_dir: RunDir) -> tuple[Path, int]:
        """Where GIFs are written, and episodes between two of them."""
        every = self.env.video_record_freq
        every = self.settings.video_record_frequency if every is None else every
        return self.env.video_dir or run_dir.videos, every

    def _own_callbacks(self, run_dir: RunDir) -> list[Callback]:
        """Those that are called before the user's."""
        table = [CSVCallback(run_dir.log_path("metrics.csv"))] if self.csv else []
        printer = [ProgressPrinter(self.settings.log_frequency)] if self.verbose else []
        return [*table, *printer]

    def _learned(self, session: Session, training: Training) -> PPOState:
        """Trains; what was learned."""
        run_dir = session.run_dir
        assert run_dir is not None
        if session.found is None:
            training.evaluations.rewind(-1)
            self._evaluate_first(training)
        else:
            training.recall_first()
            training.catch_up(earlier_rows(session))
        if training.stop_reason is not None:  # nothing is left to do
            return agent_part(run_dir.checkpoints, self.run.agent_state)
        return session.train(training.after_update, [training]).state.agent_state

    def _evaluate_first(self, training: Training) -> None:
        """Makes the evaluation before the training, if it is wanted."""
        if self.settings.eval_at_start:
            scores = self._scores(self.run.agent_state, self.settings.eval_episodes, 0)
            training.evaluations.add(0, scores)
            training.recall_first()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the agent as a folder that needs no vibe_rl, and that `PPOAgent.load` reads.

        Raises:
            ConfigError: the folder exists.
        """
        return save_model(self, path)

    def flat_description(self) -> dict[str, Any]:
        """The settings as names and numbers, with versions, as trackers get them."""
        settings = asdict(self.settings)
        env = {"env_id": self.env.env_id, "normalize": self.env.normalize_observations}
        about = {"algo": "ppo", "versions": versions(), "commit": commit()}
        return {**settings, **describe_agent(self.agent), **env, **about}

    @classmethod
    def restore(cls, run_dir: str | os.PathLike[str], **changes: Any) -> "PPOTrainer":
        """The trainer of a run directory, with the agent that its training returned.

        `train(resume=True)` goes on. After a kill, it is the agent of the last checkpoint, or the
        first agent if there was none.

        Args:
            run_dir: what `PPOTrainer.train` left.
            **changes: arguments that are to be others than before.

        Raises:
            ConfigError: it is no such directory, or an argument cannot change.
        """
        check_changes(changes)
        opened = RunDir.open(run_dir)
        about = newest_manifest(opened.root).get("trainer")
        if about is None:
            raise ConfigError(f"{run_dir} is not of a PPOTrainer: use vibe_rl.experiment.resume.")
        config = dict(about["agent"])
        agent = PPOAgent(**config.pop("more"), **config)
        if "monitor" not in changes:
            changes["monitor"] = restored_monitor(about["monitor"])
        arguments = {**about["settings"], **about["arguments"], **changes}
        trainer = cls(agent, CartPoleWrapper(**about["env"]), run_dir=run_dir, **arguments)
        agent.take(newest_state(trainer, opened))
        return trainer
