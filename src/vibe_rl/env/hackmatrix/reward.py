"""The reward's 15 parts: what each counts, and the weights that make numbers of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.game import Events
from vibe_rl.env.hackmatrix.rules import (
    FIRST_PROGRAM,
    MAX_HP,
    PARTS,
    RESET,
    STAGE_REWARDS,
    VICTORY_PER_POINT,
    VICTORY_REWARD,
    WON,
)
from vibe_rl.env.hackmatrix.state import GameState

EARNED = np.concatenate([[0], np.cumsum(STAGE_REWARDS)]).astype(np.float32)
"""What completing the first stages has paid in all, by their number."""


class Transit(NamedTuple):
    """One step, as far as rewards depend on it."""

    before: GameState
    after: GameState
    events: Events
    action: Array
    nearer: Array  # int32, cells by which the exit is nearer now
    missed: Array  # int32, see `siphon.missed`; 0 unless the action was a siphon


def _change(transit: Transit, field: str) -> Array:
    """By how much a number of the player's has changed."""
    return getattr(transit.after.player, field) - getattr(transit.before.player, field)


def _held(game: GameState) -> Array:
    """Credits and energy together."""
    return game.player.credits + game.player.energy


def earned(stages: Array) -> Array:
    """What completing the first `stages` stages pays."""
    return jnp.asarray(EARNED)[stages]


def _victory(transit: Transit) -> Array:
    """500, and 100 a point, for a game that is won."""
    worth = VICTORY_REWARD + VICTORY_PER_POINT * transit.after.player.score
    return jnp.where(transit.after.stage == WON, worth, 0) * transit.events.exited


def _stage_completion(transit: Transit) -> Array:
    """1, 2, 4, 8, 16, 32, 64 or 100 for completing a stage."""
    stage = transit.before.stage
    return jnp.where(transit.events.exited, earned(stage) - earned(stage - 1), 0.0)


def _program_waste(transit: Transit) -> Array:
    """Whether RESET was executed for a single hp."""
    waste = transit.action == FIRST_PROGRAM + RESET
    return waste & (transit.before.player.hp == MAX_HP - 1)


COUNTS: dict[str, Callable[[Transit], Array]] = {
    "step_penalty": lambda t: t.events.legal,
    "stage_completion": _stage_completion,
    "score_gain": lambda t: _change(t, "score"),
    "kills": lambda t: t.events.kills,
    "data_siphon": lambda t: t.events.collected,
    "distance_shaping": lambda t: t.nearer,
    "damage_penalty": lambda t: jnp.maximum(-_change(t, "hp"), 0),
    "hp_recovery": lambda t: jnp.maximum(_change(t, "hp"), 0),
    "victory": _victory,
    "death_penalty": lambda t: t.events.died * earned(t.before.stage - 1),
    "siphon_death_penalty": lambda t: t.events.siphon_death,
    "resource_gain": lambda t: _held(t.after) - _held(t.before),
    "resource_holding": lambda t: t.events.exited * _held(t.after),
    "program_waste": _program_waste,
    "siphon_quality": lambda t: t.missed,
}
"""What each part counts; times its weight it is the part. An illegal step counts nothing."""


def reward_parts(transit: Transit, weights: Any) -> dict[str, Array]:
    """The parts of a step's reward, float32 scalars, by name.

    `weights` has a number for each part, of its name, such as `HackMatrixParams`.
    """
    legal = transit.events.legal
    return {
        name: jnp.where(legal, jnp.float32(COUNTS[name](transit)) * getattr(weights, name), 0.0)
        for name in PARTS
    }


def path_length(game: GameState) -> Array:
    """Steps from the player to the exit past blocks, whoever stands in the way; 0 without a path.

    The exit may be a block, and the player may stand on one.
    """
    start, goal = bitboard.single(game.player.cell), bitboard.single(game.exit)
    flood = bitboard.flood(start, ~game.board.blocks(), goal)
    found = (flood.reached & goal.neighbours()).any() & (game.player.cell != game.exit)
    return jnp.where(found, flood.rounds + 1, 0)


def nearer(before: Array, after: Array, events: Events, signed: bool) -> Array:
    """Cells by which a step has brought the player nearer to the exit; never below 0 unless signed.

    All of them where it was reached, and none where the player died.
    """
    gain = jnp.where(events.exited, before, before - after)
    gain = jnp.where(events.died, 0, gain)
    return gain if signed else jnp.maximum(gain, 0)
