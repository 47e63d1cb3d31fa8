"""HackMatrix as an environment: the game, seen by a player and rewarded, with a time limit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.base import Step
from vibe_rl.env.hackmatrix import drawing, observe, players
from vibe_rl.env.hackmatrix.bank import from_bank
from vibe_rl.env.hackmatrix.chance import BeginChance, Chance, begin_chance, step_chance
from vibe_rl.env.hackmatrix.compact.bitboard import ONE
from vibe_rl.env.hackmatrix.facts import facts
from vibe_rl.env.hackmatrix.game import Events, Gifts, begin, is_move, legal_actions, take_action
from vibe_rl.env.hackmatrix.reward import Transit, nearer, path_length, reward_parts
from vibe_rl.env.hackmatrix.rules import (
    FIRST_PROGRAM,
    N_ACTIONS,
    N_CHANNELS,
    N_PLAYER,
    N_PROGRAMS,
    PARTS,
    SIDE,
    SIPHON,
    TIME_LIMIT,
    WON,
)
from vibe_rl.env.hackmatrix.siphon import missed
from vibe_rl.env.hackmatrix.stage import Layouts
from vibe_rl.env.hackmatrix.state import GameState
from vibe_rl.env.pictures.cells import Row
from vibe_rl.errors import ConfigError, short
from vibe_rl.spaces import Board, Box, Discrete, Flat, Masked, Space
from vibe_rl.types import Bounds, Key, MaskedObs, PyTree, f32, i32

GIFTED = Bounds(least=0, most=10_000)


class HackMatrixParams(NamedTuple):
    """Constants of the game: what the reward's parts are worth, and what makes it easier."""

    step_penalty: Any = f32(-0.01)  # a step
    stage_completion: Any = f32(1.0)  # of the stage's 1, 2, 4, ..., 100
    score_gain: Any = f32(0.5)  # a point
    kills: Any = f32(0.3)  # a kill
    data_siphon: Any = f32(1.0)  # a data siphon walked onto
    distance_shaping: Any = f32(0.05)  # a cell nearer to the exit
    damage_penalty: Any = f32(-1.0)  # a lost hp
    hp_recovery: Any = f32(1.0)  # a regained hp
    victory: Any = f32(1.0)  # of 500 and 100 a point
    death_penalty: Any = f32(-0.5)  # of what the completed stages have paid
    siphon_death_penalty: Any = f32(-10.0)  # a death beside an enemy that siphoning released
    resource_gain: Any = f32(0.05)  # a credit or energy
    resource_holding: Any = f32(0.01)  # a credit or energy held when a stage is completed
    program_waste: Any = f32(-0.3)  # a RESET for a single hp
    siphon_quality: Any = f32(-0.025)  # a credit or energy that siphoning elsewhere would yield
    starting_siphons: Any = i32(0)  # besides the bonus that every game begins with
    starting_credits: Any = i32(0)
    starting_energy: Any = i32(0)
    transmission_scale: Any = f32(1.0)  # of the transmissions with which a stage begins
    max_steps: Any = i32(TIME_LIMIT)  # env steps, after which an episode is truncated

    BOUNDS = dict.fromkeys(("starting_siphons", "starting_credits", "starting_energy"), GIFTED) | {
        "transmission_scale": Bounds(least=0, most=36)  # a transmission for each cell
    }


class _Totals(NamedTuple):
    """Sums over an episode so far."""

    steps: Array  # int32
    parts: Array  # float32 [15]
    moves: Array  # int32, and so on
    siphons: Array
    programs: Array
    used: Array  # uint32, a bit for each program that was executed at all
    collected: Array
    kills: Array


class HackMatrixState(NamedTuple):
    """The game, and what the environment keeps beside it."""

    game: GameState
    distance: Array  # int32, steps to the exit
    totals: _Totals


def no_totals() -> _Totals:
    """Those of an episode that begins."""
    zero = jnp.int32(0)
    nothing = jnp.zeros(len(PARTS), jnp.float32)
    return _Totals(zero, nothing, zero, zero, zero, jnp.uint32(0), zero, zero)


@dataclass(frozen=True)
class HackMatrix:
    """Eight stages on a board of 6 x 6 cells; reach the exit of each, alive.

    Observations are masked by the legal actions: float32 `[1545]`, or, with `observation="parts"`,
    their parts `player` `[10]`, `programs` `[23]` and `grid` `[6, 6, 42]`. Actions are 0 to 3: move
    or attack up, down, left, right; 4: siphon; from 5: the programs. An illegal one ends the
    episode. The reward of a step is the sum of 15 parts, each in `info["metrics"]`.
    """

    shaping: str = "published"  # or "signed": moving away from the exit costs what nearing it pays
    observation: str = "flat"  # or "parts"
    undo_depth: int = 1  # turns that UNDO can take back
    layouts: Layouts = field(default=from_bank, repr=False)
    step_metrics: ClassVar[dict[str, str]] = {"stage": "max"}

    def __post_init__(self):
        check_choice("shaping", self.shaping, ("published", "signed"))
        check_choice("observation", self.observation, ("flat", "parts"))
        if not isinstance(self.undo_depth, int) or self.undo_depth < 1:
            raise ConfigError(f"undo_depth {short(self.undo_depth)}: give a whole number from 1.")

    def default_params(self) -> HackMatrixParams:
        """The rewards as published, the whole game, and a limit of 1,000 steps."""
        return HackMatrixParams()

    def observation_space(self, params: PyTree) -> Space:
        """Masked; see the class."""
        high = np.ones(N_PLAYER, np.float32)
        high[6:8] = np.inf  # data siphons and attack have no bound
        parts = Flat(
            {
                "player": Box(0.0, high),
                "programs": Box(0, 1, (N_PROGRAMS,), jnp.int32),
                "grid": Board(0.0, 1.0, (SIDE, SIDE, N_CHANNELS), centre=("player", 0, 1)),
            }
        )
        return Masked(parts if self.observation == "flat" else parts.dictionary, N_ACTIONS)

    def action_space(self, params: PyTree) -> Space:
        """28 actions."""
        return Discrete(N_ACTIONS)

    def action_names(self) -> tuple[str, ...]:
        """What people call the actions."""
        return drawing.ACTION_NAMES

    def keys(self) -> dict[str, int]:
        """Arrows or w, s, a, d; space or e siphons; a digit or letter for each program."""
        return drawing.KEYS

    def actors(self) -> dict[str, Callable[..., Array]]:
        """Scripted players: `rules` knows the rules; see `players`."""
        return {"rules": players.rules_player}

    def draw_cells(self, state: HackMatrixState, params: PyTree) -> list[Row]:
        """The board and the player's means; see `drawing`."""
        return drawing.board_and_means(state.game)

    def reset(self, key: Key, params: PyTree) -> tuple[MaskedObs, HackMatrixState]:
        """A new game on its first stage, at a random corner."""
        return self.begin(begin_chance(key), params)

    def begin(
        self, chance: BeginChance, params: HackMatrixParams
    ) -> tuple[MaskedObs, HackMatrixState]:
        """`reset`, with given random numbers."""
        gifts = Gifts(
            params.starting_siphons,
            params.starting_credits,
            params.starting_energy,
            params.transmission_scale,
        )
        game = begin(chance, self.layouts, self.undo_depth, gifts)
        state = HackMatrixState(game, path_length(game), no_totals())
        return self.obs_of(state, params), state

    def step(
        self, key: Key, state: HackMatrixState, action: Array, params: HackMatrixParams
    ) -> Step:
        """One action, and the enemies' turn if it ends the player's."""
        return self.advance(step_chance(key), state, action, params)

    def advance(
        self, chance: Chance, state: HackMatrixState, action: Array, params: HackMatrixParams
    ) -> Step:
        """`step`, with given random numbers."""
        before = state.game
        after, events = take_action(before, action, chance, self.layouts, params.transmission_scale)
        distance = path_length(after)
        transit = Transit(
            before=before,
            after=after,
            events=events,
            action=action,
            nearer=nearer(state.distance, distance, events, self.shaping == "signed"),
            missed=jnp.where(action == SIPHON, missed(before), 0),
        )
        rewards = reward_parts(transit, params)
        totals = _added(state.totals, transit, rewards)
        won = events.exited & (after.stage == WON)
        terminated = events.died | won | ~events.legal
        truncated = ~terminated & (totals.steps >= params.max_steps)
        state = HackMatrixState(after, distance, totals)
        return Step(
            obs=self.obs_of(state, params),
            state=state,
            reward=jnp.stack([rewards[name] for name in PARTS]).sum(),
            terminated=terminated,
            truncated=truncated,
            info={
                "metrics": _step_metrics(rewards, action, after),
                "episode": _episode_metrics(totals, transit, truncated),
                "hp": after.player.hp,
                "score": after.player.score,
                "invalid": ~events.legal,
                "stage_complete": events.exited,
                "death": events.died,
                "won": won,
            },
        )

    def obs_of(self, state: HackMatrixState, params: HackMatrixParams) -> MaskedObs:
        """What the player sees of a state, and which actions are legal."""
        game = state.game
        parts = observe.seen_by_player(game)
        view = parts._asdict() if self.observation == "parts" else observe.flat(parts)
        return MaskedObs(view, legal_actions(game, facts(game)))


def check_choice(name: str, value: str, options: tuple[str, ...]) -> None:
    """Raises ConfigError for anything else than one of some words."""
    if value not in options:
        raise ConfigError(f"{name} {value!r} of HackMatrix: give {' or '.join(options)}.")


def _added(totals: _Totals, transit: Transit, rewards: dict[str, Array]) -> _Totals:
    """The sums with one more step."""
    action, events = transit.action, transit.events
    program = action - FIRST_PROGRAM
    bit = ONE << jnp.maximum(program, 0).astype(jnp.uint32)
    return _Totals(
        steps=totals.steps + 1,
        parts=totals.parts + jnp.stack([rewards[name] for name in PARTS]),
        moves=totals.moves + is_move(action),
        siphons=totals.siphons + (action == SIPHON),
        programs=totals.programs + (program >= 0),
        used=jnp.where(program >= 0, totals.used | bit, totals.used),
        collected=totals.collected + events.collected,
        kills=totals.kills + events.kills,
    )


def _step_metrics(rewards: dict[str, Array], action: Array, after: GameState) -> dict[str, Array]:
    """The parts of the reward, the class of the action and the stage."""
    return rewards | {
        "move_frac": jnp.float32(is_move(action)),
        "siphon_frac": jnp.float32(action == SIPHON),
        "program_frac": jnp.float32(action >= FIRST_PROGRAM),
        "stage": after.stage.astype(jnp.float32),
    }


def _episode_metrics(totals: _Totals, transit: Transit, truncated: Array) -> dict[str, Array]:
    """What is told of an episode that has ended; sums are over its steps."""
    events: Events = transit.events
    stage = transit.after.stage
    sums = {f"total_{name}": totals.parts[i] for i, name in enumerate(PARTS)}
    numbers = {
        "highest_stage": stage,
        "score": transit.after.player.score,
        "won": stage == WON,
        "died": events.died,
        "siphon_death": events.siphon_death,
        "illegal": ~events.legal,
        "truncated": truncated,
        "moves": totals.moves,
        "siphons_used": totals.siphons,
        "siphons_collected": totals.collected,
        "programs_executed": totals.programs,
        "programs_used": jax.lax.population_count(totals.used),
        "enemies_killed": totals.kills,
    }
    return sums | {name: jnp.asarray(x, jnp.float32) for name, x in numbers.items()}
