"""The 23 programs: which may be executed, what they cost, and executing one."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.chance import Chance
from vibe_rl.env.hackmatrix.combat import (
    Deed,
    deed,
)
from vibe_rl.env.hackmatrix.compact.rows import some
from vibe_rl.env.hackmatrix.facts import Facts
from vibe_rl.env.hackmatrix.programs.effects import DEAR, EFFECTS, Effect
from vibe_rl.env.hackmatrix.rules import (
    DAEMON,
    EXCHANGED,
    MOST_ATTACK_USES,
    N_PROGRAMS,
    PROGRAMS,
    STAGES,
    VIRUS,
)
from vibe_rl.env.hackmatrix.rules import (
    MAX_HP as FULL_HP,
)
from vibe_rl.env.hackmatrix.state import GameState, changed, only_if_any

CREDITS = np.array([program.credits for program in PROGRAMS], np.int32)
ENERGY = np.array([program.energy for program in PROGRAMS], np.int32)


def applicable(game: GameState, known: Facts) -> Bool[Array, " programs"]:
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


def affordable(game: GameState) -> Bool[Array, " programs"]:
    """Whether the player owns each program and can pay for it."""
    player = game.player
    owned = (player.owned >> np.arange(N_PROGRAMS, dtype=np.uint32)) & 1 != 0
    return owned & (player.credits >= CREDITS) & (player.energy >= ENERGY)


def execute(game: GameState, program: Array, known: Facts, chance: Chance) -> Deed:
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


def _taken(
    chosen: Array, effect: Effect, inputs: tuple[GameState, Facts, Chance], so_far: Deed
) -> Deed:
    return changed(chosen, effect(*inputs), deed(inputs[0]), so_far)


def pay(game: GameState, program: Array) -> GameState:
    """Less the program's price; below 0 nothing is paid."""
    chosen = jnp.arange(N_PROGRAMS, dtype=jnp.int32) == program
    price = lambda prices: jnp.where(chosen, prices, 0).sum(dtype=jnp.int32)  # noqa: E731
    player = game.player
    paid = {"credits": player.credits - price(CREDITS), "energy": player.energy - price(ENERGY)}
    return game._replace(player=player._replace(**paid))
