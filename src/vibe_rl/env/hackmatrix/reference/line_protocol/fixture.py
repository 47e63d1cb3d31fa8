"""States set up by hand, from JSON: what is left out is as fresh as it can be."""

from typing import Any

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.line_protocol.given import Given
from vibe_rl.env.hackmatrix.reference.state import (
    UNDO_DEPTH,
    Cell,
    Content,
    Enemy,
    Player,
    State,
    Transmission,
)
from vibe_rl.errors import ConfigError

STATE = (
    "player",
    "enemies",
    "transmissions",
    "blocks",
    "resources",
    "ownedPrograms",
    "stage",
    "turn",
    "showActivated",
    "scheduledTasksDisabled",
)
PLAYER = ("row", "col", "hp", "credits", "energy", "dataSiphons", "attackDamage", "score")
ENEMY = ("type", "row", "col", "hp", "stunned", "spawnedFromSiphon", "isFromScheduledTask")
TRANSMISSION = ("row", "col", "turnsRemaining", "enemyType")
BLOCK = (
    "row",
    "col",
    "type",
    "points",
    "spawnCount",
    "siphoned",
    "programType",
    "programActionIndex",
)
RESOURCE = ("row", "col", "credits", "energy", "dataSiphon")

ENEMY_NAMES = tuple(kind.name for kind in rules.ENEMIES)
PROGRAM_NAMES = tuple(program.name.lower() for program in rules.PROGRAMS)
POINTS, PROGRAM_SPAWN = 5, 2
"""Of a block whose points, or whose program's transmissions, are not given."""


def load_state(given: Any, undo_depth: int = UNDO_DEPTH) -> State:
    """The state that an object of JSON describes.

    Its exit is at the last corner, whatever was put there, and its schedule that of the first
    stage's start, whatever its stage and turn.

    Args:
        given: fields of `STATE`, of which only `player` with its row and col must be there.
        undo_depth: turns that UNDO can go back.

    Raises:
        ConfigError: no game comes into this state, or a field is not of its type.
    """
    fields = Given.of("state", given, STATE)
    state = State(_player(fields), undo_depth=undo_depth)
    state.stage = fields.whole("stage", 1, rules.STAGES, default=1)
    state.turn = fields.whole("turn", 0, default=0)
    state.show = fields.flag("showActivated")
    state.calm = fields.flag("scheduledTasksDisabled")
    state.owned = _owned(fields)
    _put_blocks(state, fields)
    _put_resources(state, fields)
    row, col = state.exit_pos
    state.cells[row][col] = Cell(Content.EXIT)
    _put_beings(state, fields)
    return state


def _player(fields: Given) -> Player:
    given = Given.of("player", fields.fields.get("player"), PLAYER)
    return Player(
        *given.place(),
        hp=given.whole("hp", 1, rules.MAX_HP, default=rules.MAX_HP),
        credits=given.whole("credits", 0, default=0),
        energy=given.whole("energy", 0, default=0),
        data_siphons=given.whole("dataSiphons", 0, default=0),
        score=given.whole("score", 0, default=0),
        attack=given.whole("attackDamage", 1, default=1),
    )


def _owned(fields: Given) -> set[int]:
    first, last = rules.FIRST_PROGRAM, rules.N_ACTIONS - 1
    actions = fields.values("ownedPrograms")
    if not all(type(action) is int and first <= action <= last for action in actions):
        raise fields.refuse("ownedPrograms", f"give actions of programs, {first} to {last}")
    return {action - first for action in actions}


def _put_blocks(state: State, fields: Given) -> None:
    for given in fields.each("blocks", BLOCK):
        row, col = given.place()
        if state.cells[row][col].is_block:
            raise _taken(given, "another block")
        state.cells[row][col] = _block(given)


def _block(given: Given) -> Cell:
    siphoned = given.flag("siphoned")
    if given.one_of("type", ("data", "program")) == 0:
        points = given.whole("points", 1, rules.MOST_POINTS, default=POINTS)
        spawn = given.whole("spawnCount", 0, rules.MOST_POINTS, default=points)
        return Cell(Content.DATA, points=points, spawn=spawn, siphoned=siphoned)
    spawn = given.whole("spawnCount", 0, rules.MOST_POINTS, default=PROGRAM_SPAWN)
    return Cell(Content.PROGRAM, program=_program(given), spawn=spawn, siphoned=siphoned)


def _program(given: Given) -> int:
    """By its action, its name, or both if they agree."""
    first, last = rules.FIRST_PROGRAM, rules.N_ACTIONS - 1
    if "programActionIndex" not in given.fields:
        return given.one_of("programType", PROGRAM_NAMES)
    program = given.whole("programActionIndex", first, last) - first
    if "programType" in given.fields and given.one_of("programType", PROGRAM_NAMES) != program:
        raise given.refuse("programType", f"action {program + first} is {PROGRAM_NAMES[program]}")
    return program


def _put_resources(state: State, fields: Given) -> None:
    for given in fields.each("resources", RESOURCE):
        cell, credits = state.at(given.place()), given.whole("credits", 0, default=0)
        energy = given.whole("energy", 0, default=0)
        if (credits or cell.credits) and (energy or cell.energy):
            raise given.refuse("energy", "give a cell credits or energy, not both")
        cell.credits, cell.energy = cell.credits + credits, cell.energy + energy
        if given.flag("dataSiphon") and cell.is_block:
            raise given.refuse("dataSiphon", "give it a cell without a block")
        if given.flag("dataSiphon"):
            cell.content = Content.DATA_SIPHON


def _put_beings(state: State, fields: Given) -> None:
    enemies = fields.each("enemies", ENEMY)
    if len(enemies) > rules.MOST_ENEMIES:
        raise ConfigError(f"{len(enemies)} enemies: give {rules.MOST_ENEMIES} at most.")
    state.enemies = [_enemy(given) for given in enemies]
    for given in fields.each("transmissions", TRANSMISSION):
        if state.at(given.place()).is_block:
            raise _taken(given, "a block")
        if state.transmission_at(given.place()) is not None:
            raise _taken(given, "another transmission")
        kind = given.one_of("enemyType", ENEMY_NAMES)
        timer = given.whole("turnsRemaining", 1)
        state.transmissions.append(Transmission(*given.place(), timer, kind))


def _enemy(given: Given) -> Enemy:
    kind = given.one_of("type", ENEMY_NAMES)
    return Enemy(
        kind,
        *given.place(),
        given.whole("hp", 1, rules.ENEMIES[kind].max_hp),
        stunned=given.flag("stunned"),
        from_schedule=given.flag("isFromScheduledTask"),
        from_siphon=given.flag("spawnedFromSiphon"),
    )


def _taken(given: Given, by: str) -> ConfigError:
    return ConfigError(f"{given.name} at {given.place()}: {by} is there; give another cell.")
