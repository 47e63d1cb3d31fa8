"""What can be watched: a run, saved parameters, a model of Stable-Baselines3, a kept episode."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vibe_rl.env import make
from vibe_rl.env.adapters.gymnasium import GymnasiumWrapper
from vibe_rl.env.adapters.gymnasium_spaces import conversion
from vibe_rl.env.host import AnyEnvironment
from vibe_rl.errors import ConfigError, shown
from vibe_rl.experiment import load_run
from vibe_rl.ops import prng
from vibe_rl.policies.loading import check_space
from vibe_rl.run_dir.directory import RunDir, find_runs
from vibe_rl.run_dir.group import is_group
from vibe_rl.runner.config import RunnerConfig
from vibe_rl.runner.streams import evaluation_key
from vibe_rl.system.notices import say_once
from vibe_rl.system.programs import enable_compilation_cache
from vibe_rl.types import Key, PyTree
from vibe_rl.watching.deciding import Choice, Decide, Decision, action_words, agent_decides
from vibe_rl.watching.episodes import SavedEpisode, read_episode, scripted, with_key
from vibe_rl.watching.games import Game, Moment, open_game

FOLDERS = ("runs", "checkpoints")
"""Where the newest run is looked for."""


@dataclass(frozen=True)
class Wanted:
    """Which agent of a source, and how it is to act."""

    best: bool = False  # the checkpoint of the best evaluation
    sample: bool = False  # draws actions as in training
    hidden_dim: int | None = None  # of parameters in a file, instead of what their shapes say
    num_layers: int | None = None


@dataclass(frozen=True)
class Subject:
    """Somebody who plays, and what is played."""

    title: str
    name: str  # for files, such as `step_1024`
    env: AnyEnvironment
    env_params: PyTree
    env_id: str
    decide: Decide
    root: Key  # of the episodes that belong to it
    max_steps: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    precision: str | None = None  # of matrix products
    run_dir: RunDir | None = None
    saved: SavedEpisode | None = None  # the episode that is all it plays

    def keys(self, n_episodes: int, seed: int | None = None) -> Sequence[Key]:
        """A key for each episode: those of `vibe-rl evaluate` with the same seed."""
        if self.saved is not None:
            return [with_key(self.saved.key)]
        return list(jax.random.split(self.root if seed is None else prng.key(seed), n_episodes))

    @property
    def action_names(self) -> tuple[str, ...]:
        """What people call the actions; empty where they have no names."""
        return action_words(self.env, self.env_params)

    @contextmanager
    def open(self) -> Iterator[Game]:
        """The game, closed when the block ends."""
        enable_compilation_cache()
        game = open_game(self.env, self.env_params)
        try:
            with jax.default_matmul_precision(self.precision):
                yield game
        finally:
            game.close()


def _of_run(path: Path, wanted: Wanted) -> Subject:
    """The latest or best saved agent of a run."""
    run, agent_state, notes = load_run(path, wanted.best)
    which = "best" if wanted.best else "latest"
    step = notes["update"] * run.steps_per_update
    return Subject(
        title=f"{path.name}, {which} checkpoint, step {step:,}",
        name=f"step_{step}",
        env=run.env,
        env_params=run.eval_params,
        env_id=run.description["env_id"],
        env_kwargs=run.description["env_kwargs"],
        decide=agent_decides(run.algorithm, agent_state, wanted.sample),
        root=evaluation_key(notes["seed"], notes["update"]),
        max_steps=run.config.eval_max_steps,
        precision=run.config.matmul_precision,
        run_dir=RunDir.open(path),
    )


def of_params(path: Path, wanted: Wanted) -> Subject:
    """The agent of a file `params_N.npz`, in the environment that is named there."""
    from vibe_rl.policies.params import load_params  # noqa: PLC0415

    algorithm, agent_state, about = load_params(
        path, hidden_dim=wanted.hidden_dim, num_layers=wanted.num_layers
    )
    env, env_params = make(about["env_id"], **about["env_kwargs"])
    check_space("observes", algorithm.obs_space, env.observation_space(env_params), path)
    return Subject(
        title=f"{path.name}, step {about['step']:,}",
        name=f"step_{about['step']}",
        env=env,
        env_params=env_params,
        env_id=about["env_id"],
        env_kwargs=about["env_kwargs"],
        decide=agent_decides(algorithm, agent_state, wanted.sample),
        root=evaluation_key(about["seed"], about["update"]),
        max_steps=RunnerConfig.eval_max_steps,
    )


def of_sb3(path: Path, wanted: Wanted) -> Subject:
    """A model of MaskablePPO in its environment; loading it runs code that is in the file."""
    from vibe_rl.trainers.sb3 import load_policy  # noqa: PLC0415

    policy = load_policy(path)
    env = GymnasiumWrapper(policy.env_id)
    observes, acts = (conversion(each).space for each in policy.spaces)
    check_space("observes", observes, env.observation_space(()), path)
    check_space("acts in", acts, env.action_space(()), path)

    def decide(moment: Moment, key: Key) -> Decision:
        obs, legal = moment.theirs
        found = policy(obs, legal, sample=wanted.sample)
        allowed = (
            np.ones(len(found.probabilities), bool) if legal is None else np.array(legal, bool)
        )
        return Decision(
            np.asarray(found.action), (Choice(found.probabilities, allowed),), found.value
        )

    return Subject(
        title=f"{path.name}, step {policy.step:,}",
        name=f"step_{policy.step}",
        env=env,
        env_params=(),
        env_id=f"gymnasium:{policy.env_id}",
        decide=decide,
        root=prng.key(0),
        max_steps=RunnerConfig.eval_max_steps,
    )


def of_episode(path: Path, wanted: Wanted) -> Subject:
    """An episode that was kept, played again action by action."""
    saved = read_episode(path)
    env, env_params = make(saved.env_id, **saved.env_kwargs)
    return Subject(
        title=f"{path.name}: {saved.about}",
        name=path.stem,
        env=env,
        env_params=env_params,
        env_id=saved.env_id,
        env_kwargs=saved.env_kwargs,
        decide=scripted(saved, env.action_space(env_params)),
        root=with_key(saved.key),
        max_steps=len(saved.actions),
        saved=saved,
    )


LOADERS: dict[str, Callable[[Path, Wanted], Subject]] = {
    "": _of_run,
    ".json": of_episode,
    ".npz": of_params,
    ".zip": of_sb3,
}
"""By the ending of a file; a folder is a run."""


def find(source: str | os.PathLike[str], wanted: Wanted | None = None) -> Subject:
    """Who plays, from a run directory or a file.

    Args:
        source: see `LOADERS`.
        wanted: None takes the latest checkpoint and its best actions.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    path, wanted = Path(source), wanted or Wanted()
    if not path.exists():
        raise ConfigError(f"{shown(path)} does not exist: name a run directory or a file.")
    ending = "" if path.is_dir() else path.suffix
    if ending not in LOADERS:
        known = ", ".join(name for name in LOADERS if name)
        raise ConfigError(f"{shown(path)} cannot be watched: name a run directory or a {known}.")
    if wanted.best and ending:
        raise ConfigError(f"best True: {shown(path)} is no run directory, leave it out.")
    if ending != ".npz" and (wanted.hidden_dim, wanted.num_layers) != (None, None):
        raise ConfigError(f"hidden_dim, num_layers: {shown(path)} is no params_N.npz, leave out.")
    return LOADERS[ending](path, wanted)


def newest_run(*folders: str | os.PathLike[str]) -> Path:
    """The run whose checkpoints changed last; members of groups are not looked at.

    Args:
        folders: where to look; by default `FOLDERS`.

    Raises:
        ConfigError: there is no run with a checkpoint.
    """
    folders = folders or FOLDERS
    runs = [run for folder in folders for run in find_runs(folder) if not is_group(run)]
    saved = [run for run in runs if run.list_checkpoints()]
    if not saved:
        named = " and ".join(map(shown, folders))
        raise ConfigError(f"there is no run with a checkpoint in {named}: name a run.")
    newest = max(saved, key=lambda run: run.checkpoints.stat().st_mtime)
    return Path(newest)


def check_same_end(subject: Subject, moment: Moment) -> None:
    """Says so if an episode that is played again came to another return than it once did."""
    saved = subject.saved
    if saved is None or moment.number < saved.length:
        return
    if not np.isclose(moment.episode_return, saved.episode_return, rtol=1e-5):
        say_once(
            f"the episode came to a return of {moment.episode_return:g} and not of "
            f"{saved.episode_return:g}: the environment is another one than when it was recorded."
        )
