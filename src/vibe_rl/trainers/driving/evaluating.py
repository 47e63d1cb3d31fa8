"""Whoever drives, on scenarios one by one: figures of each, and films."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from typing_extensions import override

from vibe_rl.env.base import Environment, Step
from vibe_rl.env.driving.params import DrivingParams
from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.params.many import take_entries
from vibe_rl.env.pictures.drawing import draw
from vibe_rl.env.wrappers import Wrapper
from vibe_rl.errors import ConfigError
from vibe_rl.ops import prng
from vibe_rl.runner.actors import Actor, as_tree, choose_action, evaluate_actor
from vibe_rl.runner.evaluator import EvalMetrics, Running, one_step
from vibe_rl.runner.recording import Frame, jit_begin, with_layers
from vibe_rl.trainers.driving.results import ENDED_BY, DriveOutcome, Figures, ended_by
from vibe_rl.types import AnyArray, Key, PyTree

MAX_STEPS = 10_000
"""Of an episode, which ends with its scenario long before."""

PROGRESS = "sdc_progression"
LABELS = ("scenario", "family")
"""What the environment says of an episode that is no figure."""


class World(NamedTuple):
    """Scenarios that can be driven one by one."""

    env: Environment
    env_params: PyTree  # with entries for each scenario; see `vibe_rl.env.params.many`
    numbers: Sequence[int]  # of the scenarios, in their split
    uids: Sequence[str]
    families: Sequence[str]  # their names


def drive(actor: Actor, world: World, seed: int = 0, lanes: int = 64) -> DriveOutcome:
    """Drives every scenario of a world once, in order.

    Args:
        actor: who drives.
        world: see `World`.
        seed: of the actor's and the world's random numbers.
        lanes: scenarios that are driven side by side.
    """
    scores = evaluate_actor(
        actor,
        world.env,
        world.env_params,
        n_episodes=len(world.uids),
        max_steps=MAX_STEPS,
        rng=prng.key(seed),
        lanes=min(lanes, len(world.uids)),
    )
    return outcome_of(scores, (world.numbers, world.uids, world.families))


def outcome_of(
    scores: EvalMetrics, which: tuple[Sequence[int], Sequence[str], Sequence[str]]
) -> DriveOutcome:
    """How the scenarios of an evaluation went; `which` are their numbers, uids and families."""
    figures = figures_of(scores)
    endings = ended_by(figures, len(which[0]))
    kept = {n: x for n, x in figures.items() if n not in LABELS and not n.startswith(ENDED_BY)}
    return DriveOutcome(*which, kept, endings)


def last_outcome(env_params: PyTree, scores: EvalMetrics | None) -> DriveOutcome | None:
    """How the last evaluation of a run went; None if there was none, or not of driving.

    Args:
        env_params: with which it was evaluated.
        scores: of its episodes.
    """
    if scores is None or not isinstance(env_params, DrivingParams):
        return None
    numbers, kinds = (np.asarray(scores.episode_metrics[name], int) for name in LABELS)
    uids = np.asarray(env_params.scenarios.scenario_uid)[numbers].astype(str).tolist()
    return outcome_of(scores, (numbers.tolist(), uids, [FAMILIES[kind] for kind in kinds]))


def figures_of(scores: EvalMetrics) -> Figures:
    """What the environment says of each episode, return and length last.

    `progress` is that along the route, as a share of the logged drive's.
    """
    returns, lengths = np.asarray(scores.episode_returns), np.asarray(scores.episode_lengths)
    own = {name: np.asarray(values) for name, values in scores.episode_metrics.items()}
    progress = {"progress": own[PROGRESS]} if PROGRESS in own else {}
    return {**progress, **own, "return": returns, "length": lengths}


def episode_key(world: World, seed: int, index: int) -> Key:
    """The key with which `drive` begins an episode."""
    return jax.random.split(prng.key(seed), len(world.uids))[index]


@dataclass(frozen=True)
class FromEgo(Wrapper):
    """An environment of driving whose pictures are in the ego's frame: ahead is above."""

    @override
    def draw(self, state: PyTree, params: PyTree) -> AnyArray:
        return self.env.draw(state, params, pov=True)  # type: ignore[attr-defined]


def film(actor: Actor, world: World, seed: int, index: int, pov: bool = False) -> Iterator[Frame]:
    """Pictures of the episode that `drive` plays of a scenario, drawn when they are asked for.

    Args:
        actor: who drives.
        world: see `World`.
        seed: as of `drive`.
        index: of the scenario in the world.
        pov: whether the pictures are in the ego's frame.
    """
    env = with_layers(world.env)
    drawn = with_layers(FromEgo(world.env)) if pov else env
    env_params = take_entries(env, world.env_params, index)
    running = jit_begin(env, env_params, episode_key(world, seed, index))
    yield draw(drawn, running.state, env_params)
    while not running.episodes.finished and running.episodes.length < MAX_STEPS:
        running, _ = jit_drive(as_tree(actor), env, env_params, running)
        yield draw(drawn, running.state, env_params)


@partial(jax.jit, static_argnames="env")
def jit_drive(
    actor: Any, env: Environment, env_params: PyTree, running: Running
) -> tuple[Running, Step]:
    """One env step of an episode, on the random numbers of an evaluation."""
    key, act_key = jax.random.split(running.key)
    action = choose_action(actor, env, running.obs, running.state, env_params, act_key)
    return one_step(action, env, env_params, 1.0, running._replace(key=key))


def filmed(outcome: DriveOutcome, first: int, failures: bool) -> list[int]:
    """The scenarios of which there are to be films: the first few, and those that failed."""
    chosen = set(range(min(first, len(outcome.uids))))
    if failures:
        if "success" not in outcome.figures:
            raise ConfigError("--plot-failures: the environment tells of no success, leave it out.")
        chosen |= set(np.flatnonzero(np.asarray(outcome.figures["success"]) == 0).tolist())
    return sorted(chosen)
