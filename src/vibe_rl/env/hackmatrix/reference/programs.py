"""The 23 programs: when each can be run, and what it does."""

from collections.abc import Callable

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import blows
from vibe_rl.env.hackmatrix.reference.board import PLACES, Place
from vibe_rl.env.hackmatrix.reference.chance import Chance
from vibe_rl.env.hackmatrix.reference.damage import Deeds
from vibe_rl.env.hackmatrix.reference.shoving import pull, push
from vibe_rl.env.hackmatrix.reference.state import State
from vibe_rl.env.hackmatrix.reference.undo import restore


def is_affordable(state: State, program: int) -> bool:
    """Whether the player has its price."""
    price = rules.PROGRAMS[program]
    return state.player.credits >= price.credits and state.player.energy >= price.energy


def may_run(state: State, program: int) -> bool:
    """Whether the player owns it, can pay for it, and it would do something."""
    return program in state.owned and is_affordable(state, program) and APPLIES[program](state)


def run_program(state: State, program: int, chance: Chance, deeds: Deeds) -> None:
    """Pays for a program and does what it does; the turn of the enemies is not part of it."""
    state.player.credits -= rules.PROGRAMS[program].credits
    state.player.energy -= rules.PROGRAMS[program].energy
    deeds.programs += 1
    if program in QUIET:
        QUIET[program](state)
    elif program in CHANCY:
        CHANCY[program](state, chance, deeds)
    elif program in BLOWS:
        BLOWS[program](state, deeds)


def always(state: State) -> bool:
    """Applies whatever the state."""
    return True


def any_enemy(state: State) -> bool:
    """Whether there is an enemy."""
    return bool(state.enemies)


def any_of_type(enemy_type: int) -> Callable[[State], bool]:
    """Whether there is an enemy of a type."""
    return lambda state: any(enemy.type == enemy_type for enemy in state.enemies)


def reducible(state: State) -> list[Place]:
    """The blocks that were not siphoned."""
    return [place for place in state.blocks() if not state.at(place).siphoned]


def arm_step(state: State) -> None:
    """STEP: the enemies' next turn is left out."""
    state.step_armed = True


def gain_siphon(state: State) -> None:
    """SIPH+: one data siphon."""
    state.player.data_siphons += 1


def _exchange(state: State) -> None:
    """EXCH: energy for the price."""
    state.player.energy += rules.EXCHANGED


def _show(state: State) -> None:
    """SHOW: all cryptogs are seen in this stage."""
    state.show = True


def heal(state: State) -> None:
    """RESET: all hp."""
    state.player.hp = rules.MAX_HP


def _calm(state: State) -> None:
    """CALM: no scheduled transmission in this stage."""
    state.calm = True


def _delay(state: State) -> None:
    """DELAY: all transmissions hatch three turns later."""
    for each in state.transmissions:
        each.timer += rules.DELAY_TURNS


def gain_score(state: State) -> None:
    """SCORE: points for the stages that are left."""
    state.player.score += rules.STAGES - state.stage


def reduce(state: State) -> None:
    """REDUC: every block that was not siphoned releases one transmission less."""
    for place in reducible(state):
        state.at(place).spawn = max(0, state.at(place).spawn - 1)


def strengthen(state: State) -> None:
    """ATK+: attacks take one hp more, for the rest of the game."""
    state.player.attack += 1
    state.atk_uses += 1


def _wait(state: State) -> None:
    """WAIT: nothing; the enemies' turn follows."""


APPLIES: dict[int, Callable[[State], bool]] = {
    rules.PUSH: any_enemy,
    rules.PULL: any_enemy,
    rules.CRASH: lambda state: bool(blows.crashable(state)),
    rules.WARP: lambda state: bool(state.enemies or state.transmissions),
    rules.POLY: any_enemy,
    rules.WAIT: always,
    rules.DEBUG: lambda state: bool(blows.on_blocks(state)),
    rules.ROW: lambda state: bool(blows.in_row(state)),
    rules.COL: lambda state: bool(blows.in_col(state)),
    rules.UNDO: lambda state: bool(state.history),
    rules.STEP: always,
    rules.SIPH_PLUS: always,
    rules.EXCH: always,  # its price is what it takes
    rules.SHOW: lambda state: not state.show,
    rules.RESET: lambda state: state.player.hp < rules.MAX_HP,
    rules.CALM: lambda state: not state.calm,
    rules.D_BOM: any_of_type(rules.DAEMON),
    rules.DELAY: lambda state: bool(state.transmissions),
    rules.ANTI_V: any_of_type(rules.VIRUS),
    rules.SCORE: lambda state: state.stage < rules.STAGES,
    rules.REDUC: lambda state: any(state.at(place).spawn > 0 for place in reducible(state)),
    rules.ATK_PLUS: lambda state: state.atk_uses < rules.MOST_ATTACK_USES,
    rules.HACK: lambda state: any(state.at(place).siphoned for place in PLACES),
}
"""When each program would do something."""

QUIET: dict[int, Callable[[State], None]] = {
    rules.PUSH: push,
    rules.PULL: pull,
    rules.WAIT: _wait,
    rules.UNDO: restore,
    rules.STEP: arm_step,
    rules.SIPH_PLUS: gain_siphon,
    rules.EXCH: _exchange,
    rules.SHOW: _show,
    rules.RESET: heal,
    rules.CALM: _calm,
    rules.DELAY: _delay,
    rules.SCORE: gain_score,
    rules.REDUC: reduce,
    rules.ATK_PLUS: strengthen,
}
"""What those do that hurt nobody."""

BLOWS: dict[int, Callable[[State, Deeds], None]] = {
    rules.CRASH: blows.crash,
    rules.DEBUG: blows.debug,
    rules.ROW: blows.row,
    rules.COL: blows.col,
    rules.D_BOM: blows.d_bom,
    rules.ANTI_V: blows.anti_v,
    rules.HACK: blows.hack,
}
"""What those do that hit."""

CHANCY: dict[int, Callable[[State, Chance, Deeds], None]] = {
    rules.WARP: blows.warp,
    rules.POLY: blows.poly,
}
"""What those do that draw."""
