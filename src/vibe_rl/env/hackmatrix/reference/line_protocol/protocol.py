"""The game's state and what a step brought, as objects of JSON; their names are the protocol's."""

from typing import Any

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import Place
from vibe_rl.env.hackmatrix.reference.game import StepOutcome
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import ENEMY_NAMES, PROGRAM_NAMES
from vibe_rl.env.hackmatrix.reference.observation import is_hidden, seen_enemy
from vibe_rl.env.hackmatrix.reference.state import Cell, Content, Enemy, State

PARTS = {
    "stepPenalty": "step_penalty",
    "stage": "stage_completion",
    "score": "score_gain",
    "kills": "kills",
    "dataSiphon": "data_siphon",
    "distance": "distance_shaping",
    "victory": "victory",
    "death": "death_penalty",
    "resourceGain": "resource_gain",
    "resourceHolding": "resource_holding",
    "damagePenalty": "damage_penalty",
    "hpRecovery": "hp_recovery",
    "siphonQuality": "siphon_quality",
    "programWaste": "program_waste",
    "siphonDeathPenalty": "siphon_death_penalty",
}
"""The protocol's names of the reward's parts."""
NAMES = {Content.DATA: "data", Content.PROGRAM: "program"}


class Hints:
    """Where each hidden cryptog was seen last."""

    def __init__(self):
        self._last: dict[int, tuple[Enemy, Place]] = {}  # an id is an enemy's while that is kept

    def look(self, state: State) -> list[dict[str, int]]:
        """Notes who is seen now; the last places of those who are not, but were."""
        cryptogs = [enemy for enemy in state.enemies if enemy.type == rules.CRYPTOG]
        seen = {id(each): (each, each.place) for each in cryptogs if not is_hidden(state, each)}
        known = {id(each): self._last[id(each)] for each in cryptogs if id(each) in self._last}
        self._last = known | seen
        lost = [place for key, (_, place) in known.items() if key not in seen]
        return [{"row": row, "col": col} for row, col in lost]


def observation_as_json(state: State, hints: list[dict[str, int]]) -> dict[str, Any]:
    """All that the player sees; `ownedPrograms` are actions."""
    player = state.player
    return {
        "playerRow": player.row,
        "playerCol": player.col,
        "playerHP": player.hp,
        "credits": player.credits,
        "energy": player.energy,
        "stage": state.stage,
        "turn": state.turn,
        "dataSiphons": player.data_siphons,
        "baseAttack": player.attack,
        "score": player.score,
        "showActivated": state.show,
        "scheduledTasksDisabled": state.calm,
        "ownedPrograms": [rules.FIRST_PROGRAM + program for program in sorted(state.owned)],
        "cells": [[cell(state, (i, j)) for j in range(rules.SIDE)] for i in range(rules.SIDE)],
        "cryptogHints": hints,
    }


def cell(state: State, place: Place) -> dict[str, Any]:
    """What is seen of a cell; what is not there has no field."""
    here = state.at(place)
    return {
        "row": place[0],
        "col": place[1],
        "isDataSiphon": here.content == Content.DATA_SIPHON,
        "isExit": here.content == Content.EXIT,
        "siphonCenter": here.siphon_center,
        **_beings(state, place),
        **({"block": block(here)} if here.is_block else {}),
        **(resources(here) if here.siphoned or not here.is_block else {}),
    }


def _beings(state: State, place: Place) -> dict[str, Any]:
    """The enemy and the transmission that are seen on a cell."""
    seen, transmission, found = seen_enemy(state, place), state.transmission_at(place), {}
    if seen is not None:
        found["enemy"] = {
            "type": ENEMY_NAMES[seen.type],
            "hp": seen.hp,
            "isStunned": seen.stunned,
            "spawnedFromSiphon": seen.from_siphon,
        }
    if transmission is not None:
        kind = {"enemyType": ENEMY_NAMES[transmission.type]} if state.show else {}
        found["transmission"] = {"turnsUntilSpawn": transmission.timer, **kind}
    return found


def block(here: Cell) -> dict[str, Any]:
    """What is seen of a block."""
    if here.hidden:
        return {"blockType": "question", "isSiphoned": here.siphoned}
    seen = {
        "blockType": NAMES[here.content],
        "isSiphoned": here.siphoned,
        "points": here.points,
        "transmissionSpawnCount": here.spawn,
    }
    if here.program is not None:
        seen["programType"] = PROGRAM_NAMES[here.program]
        seen["programActionIndex"] = rules.FIRST_PROGRAM + here.program
    return seen


def resources(here: Cell) -> dict[str, int]:
    """The credits and the energy of a cell, as far as there are."""
    found = {"credits": here.credits, "energy": here.energy}
    return {kind: units for kind, units in found.items() if units}


def info(outcome: StepOutcome) -> dict[str, Any]:
    """What a step brought: flags that are there if they are true, and the reward's parts."""
    flags = {
        "invalid_action": outcome.invalid,
        "stage_complete": outcome.stage_complete,
        "death": outcome.died,
        "victory": outcome.won,
    }
    parts = {name: outcome.parts[part] for name, part in PARTS.items()}
    return {**{name: True for name, is_so in flags.items() if is_so}, "reward_breakdown": parts}


NO_GAME = {
    "scheduledTaskInterval": 0,
    "nextScheduledTaskTurn": 0,
    "pendingSiphonTransmissions": 0,
    "turnCount": 0,
    "enemies": [],
}
"""The internal state before the first game."""


def internal_state(state: State) -> dict[str, Any]:
    """What the player does not see."""
    return {
        "scheduledTaskInterval": state.interval,
        "nextScheduledTaskTurn": state.next_spawn_turn,
        "pendingSiphonTransmissions": state.pending,
        "turnCount": state.turn,
        "enemies": [internal_enemy(enemy) for enemy in state.enemies],
    }


def internal_enemy(enemy: Enemy) -> dict[str, Any]:
    """All of an enemy."""
    return {
        "row": enemy.row,
        "col": enemy.col,
        "type": ENEMY_NAMES[enemy.type],
        "hp": enemy.hp,
        "disabledTurns": enemy.disabled,
        "isStunned": enemy.stunned,
        "spawnedFromSiphon": enemy.from_siphon,
        "isFromScheduledTask": enemy.from_schedule,
    }
