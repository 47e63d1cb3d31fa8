"""The 23 programs: what each needs, and what it does once it is paid for.

Each effect is a function of a game in which the program may be executed; elsewhere its result means
nothing and is not used.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix import bitboard, rules
from vibe_rl.env.hackmatrix.bitboard import Bitboard
from vibe_rl.env.hackmatrix.chance import Chance, pick
from vibe_rl.env.hackmatrix.combat import (
    Deed,
    damage,
    deed,
    remove_enemies,
    remove_transmissions,
)
from vibe_rl.env.hackmatrix.enemies import MAX_HP, manhattan, of_kind
from vibe_rl.env.hackmatrix.packed import put
from vibe_rl.env.hackmatrix.rows import least, some, total
from vibe_rl.env.hackmatrix.rules import (
    DAEMON,
    DELAY_TURNS,
    ENEMIES,
    EXCHANGED,
    MOST_ATTACK_USES,
    N_CELLS,
    N_PROGRAMS,
    PROGRAMS,
    SIDE,
    STAGES,
    VIRUS,
)
from vibe_rl.env.hackmatrix.rules import (
    MAX_HP as FULL_HP,
)
from vibe_rl.env.hackmatrix.slots import before, first
from vibe_rl.env.hackmatrix.state import EMPTY, Board, Enemies, Game, changed, only_if_any

CREDITS = np.array([program.credits for program in PROGRAMS], np.int32)
ENERGY = np.array([program.energy for program in PROGRAMS], np.int32)


class Facts(NamedTuple):
    """What several programs ask of a game."""

    blocks: Bitboard
    on_block: Bool[Array, " enemies"]
    in_row: Bool[Array, " enemies"]
    in_column: Bool[Array, " enemies"]
    on_siphoned: Bool[Array, " enemies"]
    beside: Bitboard  # the eight cells round the player
    entities: Bitboard  # enemies and transmissions


def facts(game: Game) -> Facts:
    """They, of a game."""
    enemies, cell, player = game.enemies, game.enemies.cell, game.player.cell
    blocks = game.board.blocks()
    return Facts(
        blocks=blocks,
        on_block=enemies.alive & blocks.has(cell),
        in_row=enemies.alive & (bitboard.row(cell) == bitboard.row(player)),
        in_column=enemies.alive & (bitboard.column(cell) == bitboard.column(player)),
        on_siphoned=enemies.alive & bitboard.of_mask(game.board.siphoned).has(cell),
        beside=bitboard.around(bitboard.single(player)),
        entities=enemies.where() | game.transmissions.where(),
    )


def applicable(game: Game, known: Facts) -> Bool[Array, " programs"]:
    """Whether each program has something to do; price and ownership are another matter."""
    enemies, eggs = game.enemies, game.transmissions
    enemy, egg, always = some(enemies.alive), some(eggs.alive), jnp.array(True)
    spawning = game.board.is_block() & ~game.board.siphoned & (game.board.spawn > 0)
    needs = {
        rules.PUSH: enemy,
        rules.PULL: enemy,
        rules.CRASH: (known.beside & (known.blocks | known.entities)).any(),
        rules.WARP: enemy | egg,
        rules.POLY: enemy,
        rules.WAIT: always,
        rules.DEBUG: some(known.on_block),
        rules.ROW: some(known.in_row),
        rules.COL: some(known.in_column),
        rules.UNDO: game.history.count > 0,
        rules.STEP: always,
        rules.SIPH_PLUS: always,
        rules.EXCH: game.player.credits >= EXCHANGED,
        rules.SHOW: ~game.show,
        rules.RESET: game.player.hp < FULL_HP,
        rules.CALM: ~game.calm,
        rules.D_BOM: some(enemies.alive & (enemies.kind == DAEMON)),
        rules.DELAY: egg,
        rules.ANTI_V: some(enemies.alive & (enemies.kind == VIRUS)),
        rules.SCORE: game.stage < STAGES,
        rules.REDUC: some(spawning),
        rules.ATK_PLUS: game.atk_uses < MOST_ATTACK_USES,
        rules.HACK: some(game.board.siphoned),
    }
    return jnp.stack([needs[program] for program in range(N_PROGRAMS)])


def affordable(game: Game) -> Bool[Array, " programs"]:
    """Whether the player owns each program and can pay for it."""
    player = game.player
    owned = (player.owned >> np.arange(N_PROGRAMS, dtype=np.uint32)) & 1 != 0
    return owned & (player.credits >= CREDITS) & (player.energy >= ENERGY)


def push(game: Game, known: Facts, chance: Chance) -> Deed:
    """Every enemy one cell away from the player, the oldest first."""
    return deed(game._replace(enemies=shoved(game, sign=1)))


def pull(game: Game, known: Facts, chance: Chance) -> Deed:
    """Every enemy one cell towards the player, the oldest first."""
    return deed(game._replace(enemies=shoved(game, sign=-1)))


def crash(game: Game, known: Facts, chance: Chance) -> Deed:
    """Destroys blocks, enemies and transmissions on the eight cells around.

    Of the enemies on a cell one at most is a kill: the oldest, unless it came by schedule.
    """
    board, enemies = game.board, game.enemies
    near = known.beside.mask()
    falls = near & board.is_block()
    empty = put(board, content=EMPTY, value=0, spawn=0, hidden=False)
    cleared = Board(jnp.where(falls, empty.word, board.word))
    hit = enemies.alive & known.beside.has(enemies.cell)
    kills = total(first_on_cell(enemies.cell, hit) & ~enemies.from_schedule)
    after = remove_enemies(game._replace(board=cleared), hit).game
    after, eggs, _ = remove_transmissions(after, known.beside.has(game.transmissions.cell))
    return deed(after, kills + eggs)


def first_on_cell(cell: Array, of: Bool[Array, " n"]) -> Bool[Array, " n"]:
    """Those of some that are the oldest of them on their cell."""
    older = jnp.asarray(
        np.tri(cell.shape[0], k=-1, dtype=bool)
    )  # [i, j]: whether j is older than i
    return of & ~some(older & of[None] & (cell[None] == cell[:, None]))


def warp(game: Game, known: Facts, chance: Chance) -> Deed:
    """To the cell of an enemy or a transmission; that is removed, and all enemies with it."""
    enemies, eggs = game.enemies, game.transmissions
    n_enemies = enemies.count()
    k = pick(chance.warp, n_enemies + eggs.count())
    on_enemy = k < n_enemies
    target = enemies.alive & (before(enemies.alive) == k)
    egg = eggs.alive & (before(eggs.alive) == k - n_enemies)
    cell = jnp.where(
        on_enemy,
        total(enemies.cell, target),
        total(eggs.cell, egg),
    )
    there = enemies.alive & (enemies.cell == cell)
    counts = total(first(there) & ~enemies.from_schedule)
    moved = game._replace(player=game.player._replace(cell=cell))
    moved = remove_enemies(moved, there & on_enemy).game
    moved, egg_kills, _ = remove_transmissions(moved, egg & ~on_enemy)
    return deed(moved, jnp.where(on_enemy, counts, egg_kills), cell == game.exit)


def poly(game: Game, known: Facts, chance: Chance) -> Deed:
    """Every enemy becomes one of another kind; the damage that it has taken stays."""
    enemies = game.enemies
    other = pick(chance.poly, len(ENEMIES) - 1)
    # the numbers are those of the living enemies in their order, which have the first slots
    kind = other + (other >= enemies.kind)
    taken = of_kind(MAX_HP, enemies.kind) - enemies.hp
    hp = jnp.maximum(of_kind(MAX_HP, kind) - taken, 0)
    changed = put(enemies, kind=kind, hp=hp)
    return remove_enemies(game._replace(enemies=changed), hp == 0)


def wait(game: Game, known: Facts, chance: Chance) -> Deed:
    """Nothing, but the turn ends."""
    return deed(game)


def debug(game: Game, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies on blocks."""
    return damage(game, known.on_block, game.player.attack)


def row(game: Game, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies in the player's row."""
    return damage(game, known.in_row, game.player.attack)


def column(game: Game, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies in the player's column."""
    return damage(game, known.in_column, game.player.attack)


def hack(game: Game, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies on siphoned cells."""
    return damage(game, known.on_siphoned, game.player.attack)


def anti_virus(game: Game, known: Facts, chance: Chance) -> Deed:
    """Takes 1 hp from all viruses."""
    return damage(game, game.enemies.kind == VIRUS, 1)


def daemon_bomb(game: Game, known: Facts, chance: Chance) -> Deed:
    """Removes the nearest daemon, the oldest of equals; those around it lose 1 hp."""
    enemies = game.enemies
    daemons = enemies.alive & (enemies.kind == DAEMON)
    distance = jnp.where(daemons, manhattan(enemies.cell, game.player.cell), N_CELLS)
    bomb = first(daemons & (distance == least(distance)))
    cell = total(enemies.cell, bomb)
    after, removed, _ = remove_enemies(game, bomb)
    after, killed, _ = damage(after, bitboard.around(bitboard.single(cell)).has(enemies.cell), 1)
    return deed(after, removed + killed)


def undo(game: Game, known: Facts, chance: Chance) -> Deed:
    """Back to the beginning of this turn; then to that of the one before, and so on."""
    newest = jax.tree.map(lambda x: x[0], game.history.snapshots)
    rest = jax.tree.map(lambda x: jnp.roll(x, -1, axis=0), game.history.snapshots)
    history = game.history._replace(snapshots=rest, count=game.history.count - 1)
    return deed(game._replace(**newest._asdict(), history=history))


def step(game: Game, known: Facts, chance: Chance) -> Deed:
    """The enemies' next turn does not take place."""
    return deed(game._replace(step_armed=jnp.array(True)))


def siphon_plus(game: Game, known: Facts, chance: Chance) -> Deed:
    """One more data siphon."""
    siphons = game.player.data_siphons + 1
    return deed(game._replace(player=game.player._replace(data_siphons=siphons)))


def exchange(game: Game, known: Facts, chance: Chance) -> Deed:
    """Energy for the credits that it has cost."""
    energy = game.player.energy + EXCHANGED
    return deed(game._replace(player=game.player._replace(energy=energy)))


def show(game: Game, known: Facts, chance: Chance) -> Deed:
    """Cryptogs are seen for the rest of the stage."""
    return deed(game._replace(show=jnp.array(True)))


def reset_hp(game: Game, known: Facts, chance: Chance) -> Deed:
    """Full health."""
    return deed(game._replace(player=game.player._replace(hp=jnp.int32(FULL_HP))))


def calm(game: Game, known: Facts, chance: Chance) -> Deed:
    """No scheduled spawns for the rest of the stage."""
    return deed(game._replace(calm=jnp.array(True)))


def delay(game: Game, known: Facts, chance: Chance) -> Deed:
    """All transmissions hatch later."""
    eggs = game.transmissions
    return deed(game._replace(transmissions=put(eggs, timer=eggs.timer + DELAY_TURNS)))


def score(game: Game, known: Facts, chance: Chance) -> Deed:
    """As many points as there are stages ahead."""
    points = game.player.score + STAGES - game.stage
    return deed(game._replace(player=game.player._replace(score=points)))


def reduce_spawns(game: Game, known: Facts, chance: Chance) -> Deed:
    """Blocks that are not siphoned yet release one transmission less."""
    board = game.board
    fewer = board.is_block() & ~board.siphoned
    spawn = jnp.where(fewer, jnp.maximum(board.spawn - 1, 0), board.spawn)
    return deed(game._replace(board=put(board, spawn=spawn)))


def attack_plus(game: Game, known: Facts, chance: Chance) -> Deed:
    """The player hits harder from now on."""
    player = game.player._replace(attack=game.player.attack + 1)
    return deed(game._replace(player=player, atk_uses=game.atk_uses + 1))


Effect = Callable[[Game, Facts, Chance], Deed]

EFFECTS: dict[int, Effect] = {
    rules.PUSH: push,
    rules.PULL: pull,
    rules.CRASH: crash,
    rules.WARP: warp,
    rules.POLY: poly,
    rules.WAIT: wait,
    rules.DEBUG: debug,
    rules.ROW: row,
    rules.COL: column,
    rules.UNDO: undo,
    rules.STEP: step,
    rules.SIPH_PLUS: siphon_plus,
    rules.EXCH: exchange,
    rules.SHOW: show,
    rules.RESET: reset_hp,
    rules.CALM: calm,
    rules.D_BOM: daemon_bomb,
    rules.DELAY: delay,
    rules.ANTI_V: anti_virus,
    rules.SCORE: score,
    rules.REDUC: reduce_spawns,
    rules.ATK_PLUS: attack_plus,
    rules.HACK: hack,
}


DEAR = (push, pull, crash, warp, poly, daemon_bomb)
"""Those that cost something even where they are not executed, if it were not for `only_if_any`."""


def execute(game: Game, program: Array, known: Facts, chance: Chance) -> Deed:
    """The program is paid for, then takes effect; below 0 none is executed."""
    paid = pay(game, program)
    nothing = deed(paid)
    result = Deed(paid, jnp.int32(0), jnp.array(False))
    for number, effect in EFFECTS.items():
        chosen = program == number
        if effect in DEAR:
            take = partial(_taken, chosen, effect)
            result = only_if_any(chosen, take, (paid, known, chance), result)
        else:
            result = changed(chosen, effect(paid, known, chance), nothing, result)
    return result


def _taken(chosen: Array, effect: Effect, inputs: tuple[Game, Facts, Chance], so_far: Deed) -> Deed:
    return changed(chosen, effect(*inputs), deed(inputs[0]), so_far)


def pay(game: Game, program: Array) -> Game:
    """Less the program's price; below 0 nothing is paid."""
    chosen = jnp.arange(N_PROGRAMS, dtype=jnp.int32) == program
    price = lambda prices: jnp.where(chosen, prices, 0).sum(dtype=jnp.int32)  # noqa: E731
    player = game.player
    paid = {"credits": player.credits - price(CREDITS), "energy": player.energy - price(ENERGY)}
    return game._replace(player=player._replace(**paid))


def shoved(game: Game, sign: int) -> Enemies:
    """The enemies a cell further from the player (1) or nearer to it (-1); see `wishes`.

    An enemy whose wish an older one has claimed stays, and claims nothing.
    """
    enemies = game.enemies
    wish, wants = wishes(enemies.cell, game.player.cell, sign)
    wants = wants & enemies.alive
    older = jnp.asarray(np.tri(wish.shape[0], k=-1, dtype=bool))
    # an older one with the same wish has it, or one before that has: the first who wants it gets it
    taken = some(older & wants[None] & (wish[None] == wish[:, None]))
    return put(enemies, cell=jnp.where(wants & ~taken, wish, enemies.cell))


def wishes(cell: Array, player: Array, sign: int) -> tuple[Array, Bool[Array, " enemies"]]:
    """The cell to which each would be shoved, and whether there is any.

    Of the diagonal, vertical and horizontal neighbour away from the player, or towards it, the
    farthest or the nearest; the first of equals.
    """
    at, to = jnp.asarray(cell, jnp.int32), jnp.asarray(player, jnp.int32)
    rows, columns = bitboard.row(at), bitboard.column(at)
    down = sign * jnp.sign(rows - bitboard.row(to))
    right = sign * jnp.sign(columns - bitboard.column(to))
    options = ((down, right, True), (down, 0, down != 0), (0, right, right != 0))
    best, farthest = at, jnp.full_like(at, -N_CELLS)
    for vertical, horizontal, open_way in options:
        r, c = rows + vertical, columns + horizontal
        there = r * SIDE + c
        inside = (r >= 0) & (r < SIDE) & (c >= 0) & (c < SIDE)
        allowed = inside & open_way & ((sign > 0) | (there != to))
        worth = jnp.where(allowed, sign * manhattan(there, to), -N_CELLS)
        best = jnp.where(worth > farthest, there, best)
        farthest = jnp.maximum(worth, farthest)
    return best, farthest > -N_CELLS
