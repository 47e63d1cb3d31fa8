"""The programs that hit enemies."""

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import PLACES, SURROUNDINGS, Place, apart
from vibe_rl.env.hackmatrix.reference.chance import Chance, pick_below
from vibe_rl.env.hackmatrix.reference.damage import Deeds, counts, damage, kill
from vibe_rl.env.hackmatrix.reference.spawning import TYPES
from vibe_rl.env.hackmatrix.reference.state import Enemy, State


def crashable(state: State) -> list[Place]:
    """The places round the player with a block, an enemy or a transmission."""
    taken = {each.place for each in [*state.enemies, *state.transmissions]} | set(state.blocks())
    return [place for place in SURROUNDINGS[state.player.place] if place in taken]


def crash(state: State, deeds: Deeds) -> None:
    """CRASH: nothing is left round the player but resources; a cell's enemies count as one."""
    for place in crashable(state):
        if state.at(place).is_block:
            state.at(place).clear()
        deeds.kills += kills_of_oldest(state.enemies_at([place]))
        state.remove(state.enemies_at([place]))
        kill(state, [each for each in state.transmissions if each.place == place], deeds)


def kills_of_oldest(enemies: list[Enemy]) -> int:
    """What the enemies of a cell count for together: as much as the oldest."""
    return counts(enemies[0]) if enemies else 0


def warp(state: State, chance: Chance, deeds: Deeds) -> None:
    """WARP: the player takes the place of an enemy or a transmission, which is gone.

    With an enemy all on its cell are gone, and count for one.
    """
    target = pick_below(chance(("prog", "warp")), [*state.enemies, *state.transmissions])
    state.player.go(target.place)
    deeds.exit_reached = target.place == state.exit_pos
    if not isinstance(target, Enemy):
        kill(state, [target], deeds)
        return
    there = state.enemies_at([target.place])
    deeds.kills += kills_of_oldest(there)
    state.remove(there)


def poly(state: State, chance: Chance, deeds: Deeds) -> None:
    """POLY: every enemy becomes one of another type, with as many hp less than that type has."""
    for i, enemy in enumerate(state.enemies):
        taken = enemy.kind.max_hp - enemy.hp
        others = [each for each in TYPES if each != enemy.type]
        enemy.type = pick_below(chance(("prog", "poly", i)), others)
        enemy.hp = enemy.kind.max_hp - taken
    kill(state, [enemy for enemy in state.enemies if enemy.hp <= 0], deeds)


def on_blocks(state: State) -> list[Enemy]:
    """The enemies that stand on blocks."""
    return state.enemies_at(state.blocks())


def debug(state: State, deeds: Deeds) -> None:
    """DEBUG: an attack on all enemies on blocks."""
    damage(state, on_blocks(state), state.player.attack, deeds)


def in_row(state: State) -> list[Enemy]:
    """The enemies of the player's row, those behind walls too."""
    return [enemy for enemy in state.enemies if enemy.row == state.player.row]


def row(state: State, deeds: Deeds) -> None:
    """ROW: an attack on all enemies of the player's row."""
    damage(state, in_row(state), state.player.attack, deeds)


def in_col(state: State) -> list[Enemy]:
    """The enemies of the player's column, those behind walls too."""
    return [enemy for enemy in state.enemies if enemy.col == state.player.col]


def col(state: State, deeds: Deeds) -> None:
    """COL: an attack on all enemies of the player's column."""
    damage(state, in_col(state), state.player.attack, deeds)


def d_bom(state: State, deeds: Deeds) -> None:
    """D_BOM: the nearest daemon blows up; those round it, but not on its cell, lose one hp."""
    daemons = [enemy for enemy in state.enemies if enemy.type == rules.DAEMON]
    nearest = min(daemons, key=lambda daemon: apart(daemon.place, state.player.place))
    kill(state, [nearest], deeds)
    damage(state, state.enemies_at(SURROUNDINGS[nearest.place]), 1, deeds)


def anti_v(state: State, deeds: Deeds) -> None:
    """ANTI-V: every virus loses one hp, however strong the player's attack is."""
    viruses = [enemy for enemy in state.enemies if enemy.type == rules.VIRUS]
    damage(state, viruses, 1, deeds)


def hack(state: State, deeds: Deeds) -> None:
    """HACK: an attack on all enemies on siphoned cells, which need not have a block."""
    siphoned = [place for place in PLACES if state.at(place).siphoned]
    damage(state, state.enemies_at(siphoned), state.player.attack, deeds)
