"""What each of the 23 programs does once it is paid for.

Each is a function of a game in which the program may be executed; elsewhere its result means
nothing and is not used.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.chance import Chance, pick_below
from vibe_rl.env.hackmatrix.combat import (
    Deed,
    damage,
    deed,
    remove_enemies,
    remove_transmissions,
)
from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.packed import put
from vibe_rl.env.hackmatrix.compact.rows import least, some, total
from vibe_rl.env.hackmatrix.compact.slots import before, first
from vibe_rl.env.hackmatrix.enemies import MAX_HP, manhattan, of_kind
from vibe_rl.env.hackmatrix.facts import Facts
from vibe_rl.env.hackmatrix.programs.shoving import shoved
from vibe_rl.env.hackmatrix.rules import (
    DAEMON,
    DELAY_TURNS,
    ENEMIES,
    EXCHANGED,
    N_CELLS,
    STAGES,
    VIRUS,
)
from vibe_rl.env.hackmatrix.rules import (
    MAX_HP as FULL_HP,
)
from vibe_rl.env.hackmatrix.state import EMPTY, GameBoard, GameState


def _push(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Every enemy one cell away from the player, the oldest first."""
    return deed(game._replace(enemies=shoved(game, sign=1)))


def _pull(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Every enemy one cell towards the player, the oldest first."""
    return deed(game._replace(enemies=shoved(game, sign=-1)))


def _crash(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Destroys blocks, enemies and transmissions on the eight cells around.

    Of the enemies on a cell one at most is a kill: the oldest, unless it came by schedule.
    """
    board, enemies = game.board, game.enemies
    near = known.beside.mask()
    falls = near & board.is_block()
    empty = put(board, content=EMPTY, value=0, spawn=0, hidden=False)
    cleared = GameBoard(jnp.where(falls, empty.word, board.word))
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


def _warp(game: GameState, known: Facts, chance: Chance) -> Deed:
    """To the cell of an enemy or a transmission; that is removed, and all enemies with it."""
    enemies, eggs = game.enemies, game.transmissions
    n_enemies = enemies.count()
    k = pick_below(chance.warp, n_enemies + eggs.count())
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


def _poly(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Every enemy becomes one of another kind; the damage that it has taken stays."""
    enemies = game.enemies
    other = pick_below(chance.poly, len(ENEMIES) - 1)
    # the numbers are those of the living enemies in their order, which have the first slots
    kind = other + (other >= enemies.kind)
    taken = of_kind(MAX_HP, enemies.kind) - enemies.hp
    hp = jnp.maximum(of_kind(MAX_HP, kind) - taken, 0)
    changed = put(enemies, kind=kind, hp=hp)
    return remove_enemies(game._replace(enemies=changed), hp == 0)


def _wait(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Nothing, but the turn ends."""
    return deed(game)


def _debug(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies on blocks."""
    return damage(game, known.on_block, game.player.attack)


def _row(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies in the player's row."""
    return damage(game, known.in_row, game.player.attack)


def _column(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies in the player's column."""
    return damage(game, known.in_column, game.player.attack)


def _hack(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Hits all enemies on siphoned cells."""
    return damage(game, known.on_siphoned, game.player.attack)


def anti_virus(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Takes 1 hp from all viruses."""
    return damage(game, game.enemies.kind == VIRUS, 1)


def daemon_bomb(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Removes the nearest daemon, the oldest of equals; those around it lose 1 hp."""
    enemies = game.enemies
    daemons = enemies.alive & (enemies.kind == DAEMON)
    distance = jnp.where(daemons, manhattan(enemies.cell, game.player.cell), N_CELLS)
    bomb = first(daemons & (distance == least(distance)))
    cell = total(enemies.cell, bomb)
    after, removed, _ = remove_enemies(game, bomb)
    after, killed, _ = damage(after, bitboard.around(bitboard.single(cell)).has(enemies.cell), 1)
    return deed(after, removed + killed)


def undo(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Back to the beginning of this turn; then to that of the one before, and so on."""
    newest = jax.tree.map(lambda x: x[0], game.history.snapshots)
    rest = jax.tree.map(lambda x: jnp.roll(x, -1, axis=0), game.history.snapshots)
    history = game.history._replace(snapshots=rest, count=game.history.count - 1)
    return deed(game._replace(**newest._asdict(), history=history))


def _step(game: GameState, known: Facts, chance: Chance) -> Deed:
    """The enemies' next turn does not take place."""
    return deed(game._replace(step_armed=jnp.array(True)))


def siphon_plus(game: GameState, known: Facts, chance: Chance) -> Deed:
    """One more data siphon."""
    siphons = game.player.data_siphons + 1
    return deed(game._replace(player=game.player._replace(data_siphons=siphons)))


def _exchange(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Energy for the credits that it has cost."""
    energy = game.player.energy + EXCHANGED
    return deed(game._replace(player=game.player._replace(energy=energy)))


def _show(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Cryptogs are seen for the rest of the stage."""
    return deed(game._replace(show=jnp.array(True)))


def reset_hp(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Full health."""
    return deed(game._replace(player=game.player._replace(hp=jnp.int32(FULL_HP))))


def _calm(game: GameState, known: Facts, chance: Chance) -> Deed:
    """No scheduled spawns for the rest of the stage."""
    return deed(game._replace(calm=jnp.array(True)))


def _delay(game: GameState, known: Facts, chance: Chance) -> Deed:
    """All transmissions hatch later."""
    eggs = game.transmissions
    return deed(game._replace(transmissions=put(eggs, timer=eggs.timer + DELAY_TURNS)))


def score(game: GameState, known: Facts, chance: Chance) -> Deed:
    """As many points as there are stages ahead."""
    points = game.player.score + STAGES - game.stage
    return deed(game._replace(player=game.player._replace(score=points)))


def reduce_spawns(game: GameState, known: Facts, chance: Chance) -> Deed:
    """Blocks that are not siphoned yet release one transmission less."""
    board = game.board
    fewer = board.is_block() & ~board.siphoned
    spawn = jnp.where(fewer, jnp.maximum(board.spawn - 1, 0), board.spawn)
    return deed(game._replace(board=put(board, spawn=spawn)))


def attack_plus(game: GameState, known: Facts, chance: Chance) -> Deed:
    """The player hits harder from now on."""
    player = game.player._replace(attack=game.player.attack + 1)
    return deed(game._replace(player=player, atk_uses=game.atk_uses + 1))


Effect = Callable[[GameState, Facts, Chance], Deed]

EFFECTS: dict[int, Effect] = {
    rules.PUSH: _push,
    rules.PULL: _pull,
    rules.CRASH: _crash,
    rules.WARP: _warp,
    rules.POLY: _poly,
    rules.WAIT: _wait,
    rules.DEBUG: _debug,
    rules.ROW: _row,
    rules.COL: _column,
    rules.UNDO: undo,
    rules.STEP: _step,
    rules.SIPH_PLUS: siphon_plus,
    rules.EXCH: _exchange,
    rules.SHOW: _show,
    rules.RESET: reset_hp,
    rules.CALM: _calm,
    rules.D_BOM: daemon_bomb,
    rules.DELAY: _delay,
    rules.ANTI_V: anti_virus,
    rules.SCORE: score,
    rules.REDUC: reduce_spawns,
    rules.ATK_PLUS: attack_plus,
    rules.HACK: _hack,
}


DEAR = (_push, _pull, _crash, _warp, _poly, daemon_bomb)
"""Those that cost something even where they are not executed, if it were not for `only_if_any`."""
