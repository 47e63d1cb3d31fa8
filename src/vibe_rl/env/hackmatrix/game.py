"""The game: its beginning, which actions are legal, and what one does. No word of rewards."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix.chance import BeginChance, Chance, StageChance, numbers_at, pick_below
from vibe_rl.env.hackmatrix.combat import (
    NO_KILLS,
    Deed,
    damage,
    deed,
    remove_transmissions,
)
from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import CORNER_CELLS, RAYS
from vibe_rl.env.hackmatrix.compact.packed import put
from vibe_rl.env.hackmatrix.compact.rows import some
from vibe_rl.env.hackmatrix.compact.slots import closed_up, first
from vibe_rl.env.hackmatrix.enemies import STRIDES, act_all, hatch, wake, with_snapshot
from vibe_rl.env.hackmatrix.facts import Facts, facts
from vibe_rl.env.hackmatrix.programs.programs import affordable, applicable, execute
from vibe_rl.env.hackmatrix.rules import (
    FIRST_PROGRAM,
    LONGEST_INTERVAL,
    MAX_HP,
    N_ACTIONS,
    N_CELLS,
    SIDE,
    SIPHON,
    STARTING_BONUS,
    WAIT,
    WON,
)
from vibe_rl.env.hackmatrix.siphon import siphon
from vibe_rl.env.hackmatrix.spawning import Wave, draw_place, spawn
from vibe_rl.env.hackmatrix.stage import Layouts, enter_stage, n_transmissions
from vibe_rl.env.hackmatrix.state import (
    DATA_SIPHON,
    EMPTY,
    EXIT,
    GameBoard,
    GameState,
    changed,
    choose_tree,
    empty_board,
    no_enemies,
    no_history,
    no_player,
    no_transmissions,
)

NO_ACTION = -1
ACTIONS = np.arange(N_ACTIONS, dtype=np.int32)


class Gifts(NamedTuple):
    """What every game begins with besides its bonus; int32, and a share."""

    data_siphons: Any = np.int32(0)
    credits: Any = np.int32(0)
    energy: Any = np.int32(0)
    transmission_scale: Any = np.float32(1.0)  # of each stage's new transmissions


NO_GIFTS = Gifts()


class Events(NamedTuple):
    """What happened in a step."""

    legal: Array  # bool; nothing happens where it is not
    kills: Array  # int32, those of the player's that count
    collected: Array  # bool, whether a data siphon was walked onto
    exited: Array  # bool, whether the stage was completed
    died: Array
    siphon_death: Array  # bool, whether a siphon's enemy was beside the player who died


def begin(
    chance: BeginChance, layouts: Layouts, undo_depth: int, gifts: Gifts = NO_GIFTS
) -> GameState:
    """A new game on its first stage."""
    player = no_player()
    bonus = pick_below(chance.bonus, len(STARTING_BONUS))
    given = {
        field: (bonus == i) * np.int32(amount) + getattr(gifts, field)
        for i, (field, amount) in enumerate(STARTING_BONUS)
    }
    corner = jnp.asarray(CORNER_CELLS, jnp.int32)[pick_below(chance.corner, len(CORNER_CELLS))]
    player = player._replace(cell=corner, hp=jnp.int32(MAX_HP), attack=jnp.int32(1), **given)
    zero, off, one = jnp.int32(0), jnp.array(False), jnp.int32(1)
    fresh = GameState(
        player=player,
        board=empty_board(),
        enemies=no_enemies(),
        transmissions=no_transmissions(),
        stage=one,
        turn=zero,
        interval=LONGEST_INTERVAL - one,
        next_spawn_turn=LONGEST_INTERVAL - one,
        pending=zero,
        show=off,
        calm=off,
        step_armed=off,
        atk_uses=zero,
        exit=zero,
        history=no_history(undo_depth),
    )
    entered = enter_stage(fresh, chance.stage, layouts, jnp.array(True))
    wave = Wave(zero, zero, n_transmissions(one, gifts.transmission_scale))
    return spawn(entered, wave, partial(numbers_at, chance.stage.transmissions))


def legal_actions(game: GameState, known: Facts) -> Bool[Array, " actions"]:
    """Which actions may be taken."""
    here, enemies = bitboard.single(game.player.cell), game.enemies.where()
    passable = ~known.blocks | enemies
    moves = [(step(here) & passable).any() for step in RAYS]
    programs = affordable(game) & applicable(game, known)
    return jnp.concatenate([jnp.stack([*moves, game.player.data_siphons > 0]), programs])


def take_action(
    game: GameState,
    action: Array,
    chance: Chance,
    layouts: Layouts,
    transmission_scale: Any = 1.0,
) -> tuple[GameState, Events]:
    """One action and all that follows from it; an illegal one changes nothing.

    Args:
        game: not over.
        action: int32; what is not from 0 up to `N_ACTIONS` is illegal.
        chance: the random numbers of this step.
        layouts: chooses where the blocks of a stage are.
        transmission_scale: of the new transmissions of a stage.
    """
    known = facts(game)
    legal = some((action == ACTIONS) & legal_actions(game, known))
    action = jnp.where(legal, action, NO_ACTION)
    done, collected = _act(game, action, known, chance)
    acted, exited = closed_up_game(done.game), jnp.asarray(done.exits)
    ends_turn = is_move(action) | (action == SIPHON) | (action == FIRST_PROGRAM + WAIT)
    due = ends_turn & ~exited
    happens = due & ~acted.step_armed
    fought = fight(acted, chance.turn.order, happens)
    waited = acted._replace(step_armed=acted.step_armed & ~due)
    after = choose_tree(happens, fought, waited)
    after = choose_tree(exited, next_stage(acted, chance.stage, layouts, exited), after)
    entering = exited & (after.stage < WON)
    after = arrived(after, happens, entering, chance, transmission_scale)
    after = choose_tree(happens, end_turn(after), after)
    died = after.player.hp == 0
    events = Events(
        legal=legal,
        kills=jnp.asarray(done.kills, jnp.int32),
        collected=collected,
        exited=exited,
        died=died,
        siphon_death=died & beside_siphoned(after),
    )
    return after, events


def fight(game: GameState, order: Array, happens: Array) -> GameState:
    """The enemies' turn up to their last move; means nothing where it does not happen."""
    return act_all(hatch(game._replace(turn=game.turn + 1)), order, happens)


def next_stage(game: GameState, chance: StageChance, layouts: Layouts, exited: Array) -> GameState:
    """A little healthier on the next stage; after the last one the game is won."""
    player = game.player._replace(hp=jnp.minimum(MAX_HP, game.player.hp + 1))
    left = game._replace(player=player, stage=game.stage + 1)
    entering = exited & (left.stage < WON)
    return choose_tree(entering, enter_stage(left, chance, layouts, entering), left)


def arrived(game: GameState, turn: Array, stage: Array, chance: Chance, scale: Any) -> GameState:
    """With the transmissions of the enemies' turn, or of a stage that has been entered."""
    scheduled = turn & ~game.calm & (game.turn >= game.next_spawn_turn)
    wave = Wave(
        scheduled=scheduled.astype(jnp.int32),
        siphoned=jnp.where(turn, game.pending, 0),
        with_stage=jnp.where(stage, n_transmissions(game.stage, scale), 0),
    )
    following = jnp.where(scheduled, game.turn + game.interval, game.next_spawn_turn)
    return spawn(game, wave, lambda i: draw_place(wave, i, chance))._replace(
        next_spawn_turn=following, pending=jnp.where(turn, 0, game.pending)
    )


def end_turn(game: GameState) -> GameState:
    """Everybody wakes, and the player's next turn begins, to which UNDO can return."""
    return with_snapshot(wake(game))


def is_move(action: Array) -> Array:
    """Whether an action is one of the four directions."""
    return (action >= 0) & (action < SIPHON)


def _act(game: GameState, action: Array, known: Facts, chance: Chance) -> tuple[Deed, Array]:
    """The player's part of a step, and whether it has walked onto a data siphon."""
    nothing = deed(game)
    result = execute(game, action - FIRST_PROGRAM, known, chance)
    result = changed(action == SIPHON, deed(siphon(game)), nothing, result)
    moved, collected = move_or_attack(game, action, known)
    moving = is_move(action)
    return changed(moving, moved, nothing, result), collected & moving


def move_or_attack(game: GameState, direction: Array, known: Facts) -> tuple[Deed, Array]:
    """Attacks the nearest in a direction; if there is none in sight, moves a cell.

    Also whether a data siphon was walked onto.
    """
    target = first_in_sight(game, direction, known)
    hits_egg = (game.transmissions.where() & target).any()
    after, egg_kills, _ = remove_transmissions(game, target.has(game.transmissions.cell))
    on_cell = game.enemies.alive & target.has(game.enemies.cell)
    after, kills, _ = damage(after, first(on_cell) & ~hits_egg, game.player.attack)
    attacks = target.any()
    walked, collected, exits = _walk(game, direction)
    moved = choose_tree(attacks, after, walked)
    attacked_kills = jnp.where(attacks, egg_kills + kills, NO_KILLS)
    return Deed(moved, attacked_kills, exits & ~attacks), collected & ~attacks


class Sight(NamedTuple):
    """A look in one direction, a cell at a time."""

    ray: bitboard.Bitboard  # the cell looked at
    first: bitboard.Bitboard  # what was found
    open: Array  # bool, whether nothing was met yet


def first_in_sight(game: GameState, direction: Array, known: Facts) -> bitboard.Bitboard:
    """The nearest cell in a direction with somebody on it, if no empty block comes before it."""
    stops = known.blocks | known.entities

    def further(_: Any, seen: Sight) -> Sight:
        ray = ahead(seen.ray, direction)
        found = seen.open & (ray & stops).any()
        first = bitboard.choose_set(found, ray & known.entities, seen.first)
        return Sight(ray, first, seen.open & ~found)

    here = bitboard.single(game.player.cell)
    begin = Sight(here, bitboard.as_arrays(bitboard.NONE), jnp.array(True))
    return jax.lax.fori_loop(0, SIDE - 1, further, begin).first


def ahead(cells: bitboard.Bitboard, direction: Array) -> bitboard.Bitboard:
    """The cells one step in a direction."""
    result = bitboard.NONE
    for i, step in enumerate(RAYS):
        result = bitboard.choose_set(direction == i, step(cells), result)
    return result


def _walk(game: GameState, direction: Array) -> tuple[GameState, Array, Array]:
    """One cell on; whether a data siphon was collected, and whether the exit was reached."""
    player, board = game.player, game.board
    cell = player.cell
    for i, stride in enumerate(STRIDES):
        cell = jnp.where(direction == i, player.cell + stride, cell)
    here = jnp.arange(N_CELLS, dtype=jnp.int32) == cell
    collects = here & (board.content == DATA_SIPHON)
    collected, exits = some(collects), some(here & (board.content == EXIT))
    moved = game._replace(
        player=player._replace(cell=cell, data_siphons=player.data_siphons + collected),
        board=GameBoard(jnp.where(collects, put(board, content=EMPTY).word, board.word)),
    )
    return moved, collected, exits


def closed_up_game(game: GameState) -> GameState:
    """Without gaps between the living."""
    return game._replace(
        enemies=closed_up(game.enemies), transmissions=closed_up(game.transmissions)
    )


def beside_siphoned(game: GameState) -> Array:
    """Whether an enemy that a siphon has released stands beside the player."""
    enemies = game.enemies
    beside = bitboard.single(game.player.cell).neighbours().has(enemies.cell)
    return some(enemies.alive & enemies.from_siphon & beside)
