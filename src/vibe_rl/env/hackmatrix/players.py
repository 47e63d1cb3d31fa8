"""A player who knows the rules: each action gets a score for what it leads to, the best is taken.

It sees no more than an agent: cryptogs that hide and what blocks hide are unknown to it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import Bitboard
from vibe_rl.env.hackmatrix.compact.slots import first
from vibe_rl.env.hackmatrix.enemies import FAR, STRIDES
from vibe_rl.env.hackmatrix.facts import Facts, facts
from vibe_rl.env.hackmatrix.game import first_in_sight
from vibe_rl.env.hackmatrix.rules import CRYPTOG, MAX_HP, N_CELLS, N_PROGRAMS, VIRUS
from vibe_rl.env.hackmatrix.siphon import cross
from vibe_rl.env.hackmatrix.state import DATA, DATA_SIPHON, PROGRAM, GameBoard, GameState
from vibe_rl.types import Key, MaskedObs, PyTree

REACH_EXIT, DIE, BE_HIT, CROWDED = 50.0, -30.0, -4.0, -0.5
HIT_ENEMY, HIT_EGG, COME_NEARER, COLLECT = 1.5, 1.0, 0.5, 1.0
"""What an action is worth that does so."""
AT_ONCE = 2.0
"""What a program is worth for each enemy beyond the first that it hits."""
EMERGENCY = 10.0
"""What a program is worth that helps where every turn would end with a hit."""
NEAR = 5
"""Steps that a data siphon on the board may be away for the player to fetch it."""
POINT, RESOURCE, RELEASE = 0.5, 0.1, -1.0
"""What siphoning is worth: a point, a credit or energy, a transmission."""
PROGRAM_WORTH = {rules.RESET: 4.0, rules.STEP: 4.0, rules.ROW: 2.5, rules.COL: 2.5}
"""Of a program that is new; others are worth nothing."""
UNKNOWN_RELEASE = 4.0
"""Transmissions that a hidden block is taken to release."""
LEAST_WORTH = 0.3
"""What siphoning must at least be worth."""


class Option(NamedTuple):
    """What moving or attacking in each direction leads to, `[4]`."""

    cell: Int[Array, " directions"]  # where the player will stand
    hits_enemy: Bool[Array, " directions"]
    hits_egg: Bool[Array, " directions"]
    strikes: Int[Array, " directions"]  # enemies that can hit the player then
    closing: Int[Array, " directions"]  # enemies that can within two turns
    steps: Int[Array, " directions"]  # to the goal


class Situation(NamedTuple):
    """What the player thinks of before it acts."""

    game: GameState
    known: Facts
    seen: Bool[Array, " enemies"]
    strikes: Array  # int32, enemies that can hit the player where it stands
    closing: Array  # int32, enemies that can within two turns
    steps: Array  # int32, to the goal
    options: Option
    worth: Float[Array, " cells"]  # of siphoning there
    hopeless: Array  # bool, whether every move ends with a hit


def rules_player(obs: MaskedObs, state: PyTree, params: PyTree, key: Key) -> Array:
    """An action of the player who knows the rules, int32; see `vibe_rl.runner.actors`."""
    situation = situation_of(state.game, obs.legal)
    scores = jnp.concatenate(
        [move_scores(situation), siphon_score(situation)[None], program_scores(situation)]
    )
    ties = jax.random.uniform(key, scores.shape, maxval=0.01)
    return jnp.argmax(jnp.where(obs.legal, scores + ties, -jnp.inf)).astype(jnp.int32)


def situation_of(game: GameState, legal: Bool[Array, " actions"]) -> Situation:
    """What there is to think of."""
    known, target = facts(game), goal(game)
    seen = seen_enemies(game, known)
    look = lambda direction: option(game, known, seen, target, direction)  # noqa: E731
    options = jax.vmap(look)(jnp.arange(len(rules.MOVES), dtype=jnp.int32))
    safe = legal[: len(rules.MOVES)] & ((options.strikes == 0) | (options.cell == game.exit))
    return Situation(
        game=game,
        known=known,
        seen=seen,
        strikes=in_reach(game, game.player.cell, able(game, seen), turns=1),
        closing=in_reach(game, game.player.cell, seen, turns=2),
        steps=steps_to(game, game.player.cell, target),
        options=options,
        worth=worth(game),
        hopeless=~safe.any(),
    )


def seen_enemies(game: GameState, known: Facts) -> Bool[Array, " enemies"]:
    """Those that do not hide from the player."""
    in_line = known.in_row | known.in_column
    return game.enemies.alive & (game.show | in_line | (game.enemies.kind != CRYPTOG))


def able(game: GameState, seen: Bool[Array, " enemies"]) -> Bool[Array, " enemies"]:
    """Those of some that act in their next turn."""
    return seen & (game.enemies.disabled == 0) & ~game.enemies.stunned & ~game.step_armed


def goal(game: GameState) -> Bitboard:
    """Data siphons on the board if one is near, else the exit."""
    pickups = bitboard.of_mask(game.board.content == DATA_SIPHON)
    near = steps_to(game, game.player.cell, pickups) <= NEAR
    return bitboard.choose_set(near, pickups, bitboard.single(game.exit))


def steps_to(game: GameState, cell: Array, target: Bitboard) -> Array:
    """Steps from a cell to the nearest of some past blocks; `FAR` where there is no path."""
    flood = bitboard.flood(bitboard.single(cell), ~game.board.blocks(), target)
    found = (flood.reached & target.neighbours()).any()
    steps = jnp.where(found, flood.rounds + 1, FAR)
    return jnp.where(target.has(cell), 0, steps)


def in_reach(game: GameState, cell: Array, some: Bool[Array, " enemies"], turns: int) -> Array:
    """How many of some enemies can have hit a player on a cell after so many turns of theirs.

    Each step but the last is one of theirs, past blocks; the last is the hit.
    """
    reached = bitboard.single(cell).neighbours()
    walls, hits = game.board.blocks(), []
    for _ in range(turns * rules.MOST_SPEED):
        hits.append(reached.has(game.enemies.cell))
        reached = reached | (reached - walls).neighbours()
    by_kind = jnp.stack([hits[turns * enemy.speed - 1] for enemy in rules.ENEMIES])
    kind = jnp.arange(len(rules.ENEMIES))[:, None] == game.enemies.kind[None]
    return (some & (by_kind & kind).any(0)).sum(dtype=jnp.int32)


def option(
    game: GameState, known: Facts, seen: Bool[Array, " enemies"], target: Bitboard, direction: Array
) -> Option:
    """What moving or attacking in a direction leads to."""
    aim = first_in_sight(game, direction, known)
    hits_egg = (game.transmissions.where() & aim).any()
    victim = first(game.enemies.alive & aim.has(game.enemies.cell)) & ~hits_egg
    killed = victim & (game.enemies.hp <= game.player.attack)
    ahead = game.player.cell + jnp.asarray(STRIDES)[direction]
    cell = jnp.where(aim.any(), game.player.cell, ahead)
    return Option(
        cell=cell,
        hits_enemy=victim.any(),
        hits_egg=hits_egg,
        strikes=in_reach(game, cell, able(game, seen) & ~victim, turns=1),
        closing=in_reach(game, cell, seen & ~killed, turns=2),
        steps=steps_to(game, cell, target),
    )


def move_scores(s: Situation) -> Float[Array, " directions"]:
    """What the four moves are worth."""
    o = s.options
    moves = ~o.hits_enemy & ~o.hits_egg
    exits = moves & (o.cell == s.game.exit)
    collects = moves & (s.game.board.content[o.cell] == DATA_SIPHON)
    gains = COME_NEARER * jnp.clip(s.steps - o.steps, -1, 1) * moves + COLLECT * collects
    gains = gains + HIT_ENEMY * o.hits_enemy + HIT_EGG * o.hits_egg
    return jnp.where(exits, REACH_EXIT, gains + danger(s.game, o.strikes, o.closing))


def danger(game: GameState, strikes: Array, closing: Array) -> Array:
    """What being hit so often is worth, and having so many enemies about; one can be stunned."""
    crowded = CROWDED * jnp.maximum(closing - 1, 0)
    return BE_HIT * strikes + DIE * (strikes >= game.player.hp) + crowded


def siphon_score(s: Situation) -> Array:
    """What siphoning here is worth: nothing good where it pays more on the way."""
    here, ways = s.worth[s.game.player.cell], s.options
    onward = jnp.where(ways.steps < s.steps, s.worth[ways.cell], -jnp.inf).max()
    pays = (here >= LEAST_WORTH) & (here >= onward)
    return jnp.where(pays, here + COME_NEARER, DIE) + danger(s.game, s.strikes, s.closing)


def worth(game: GameState) -> Float[Array, " cells"]:
    """What siphoning on each cell is worth."""
    board = game.board
    fresh = ~board.siphoned
    crosses = jax.vmap(lambda cell: cross(bitboard.single(cell)).mask())(jnp.arange(N_CELLS))
    each = jnp.where(fresh, jnp.where(board.is_block(), block_worth(game), floor_worth(board)), 0.0)
    return jnp.where(crosses, each[None], 0.0).sum(1)


def floor_worth(board: GameBoard) -> Float[Array, " cells"]:
    """Of what lies on the cells."""
    return RESOURCE * (board.credits + board.energy)


def block_worth(game: GameState) -> Float[Array, " cells"]:
    """Of blocks, less what they release."""
    board = game.board
    owned = (game.player.owned >> board.value.astype(jnp.uint32)) & 1 != 0
    points = jnp.where(board.content == DATA, POINT * board.value, 0.0)
    new = sum(worth * (board.value == program) for program, worth in PROGRAM_WORTH.items())
    program = jnp.where((board.content == PROGRAM) & ~owned, new, 0.0)
    plain = points + program + RELEASE * board.spawn
    return jnp.where(board.hidden, RELEASE * UNKNOWN_RELEASE, plain)


def at_once(s: Situation, hit: Bool[Array, " enemies"]) -> Array:
    """What hitting some enemies at once is worth, as far as the player sees them."""
    return AT_ONCE * ((hit & s.seen).sum() - 1)


def crowd(s: Situation) -> Array:
    """How many enemies the player sees."""
    return s.seen.sum()


def escape(s: Situation, share: float) -> Array:
    """What a program is worth that may save the player where nothing else does."""
    return share * EMERGENCY * s.hopeless - 1.0


PREFERENCES: dict[int, Callable[[Situation], Array]] = {
    rules.RESET: lambda s: 20.0 * (s.game.player.hp == 1),
    rules.SCORE: lambda s: jnp.where(s.game.stage <= 5, 3.0, -1.0),
    rules.ATK_PLUS: lambda s: jnp.where(s.game.player.attack < MAX_HP, 3.0, -1.0),
    rules.ROW: lambda s: at_once(s, s.known.in_row),
    rules.COL: lambda s: at_once(s, s.known.in_column),
    rules.DEBUG: lambda s: at_once(s, s.known.on_block),
    rules.HACK: lambda s: at_once(s, s.known.on_siphoned),
    rules.ANTI_V: lambda s: at_once(s, s.game.enemies.kind == VIRUS),
    rules.D_BOM: lambda s: AT_ONCE * (crowd(s) > 1),
    rules.CALM: lambda s: jnp.where(s.game.turn < 3, 1.5, -1.0),
    rules.STEP: lambda s: escape(s, 1.0),
    rules.PUSH: lambda s: escape(s, 0.5),
    rules.CRASH: lambda s: escape(s, 0.6),
}
"""What each program is worth; those that are not here are left alone."""


def program_scores(s: Situation) -> Float[Array, " programs"]:
    """What the programs are worth."""
    scores = [jnp.float32(np.float32(DIE))] * N_PROGRAMS
    for program, preference in PREFERENCES.items():
        scores[program] = preference(s).astype(jnp.float32)
    return jnp.stack(scores)
