"""Observations of the line protocol as the arrays that agents see."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vibe_rl.env.hackmatrix import rules

ENEMY_NAMES = tuple(kind.name for kind in rules.ENEMIES)
BLOCK_NAMES = ("data", "program", "question")
UNBOUNDED = (6, 7)
"""The player's numbers without an upper bound: data siphons and attack."""


def decoded(seen: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """player: (10,) float32, programs: (23,) int32, grid: (6, 6, 42) float32."""
    owned = np.zeros(rules.N_PROGRAMS, np.int32)
    owned[[action - rules.FIRST_PROGRAM for action in seen["ownedPrograms"]]] = 1
    grid = [[_channels(cell) for cell in row] for row in seen["cells"]]
    return {
        "player": np.asarray(_player_numbers(seen), np.float32),
        "programs": owned,
        "grid": np.asarray(grid, np.float32),
    }


def _player_numbers(seen: Mapping[str, Any]) -> list[float]:
    """The 10 numbers of the player."""
    last = rules.SIDE - 1
    return [
        seen["playerRow"] / last,
        seen["playerCol"] / last,
        seen["playerHP"] / rules.MAX_HP,
        min(seen["credits"] / 50, 1.0),
        min(seen["energy"] / 50, 1.0),
        (min(seen["stage"], rules.STAGES) - 1) / (rules.STAGES - 1),
        seen["dataSiphons"] / 10,
        (seen["baseAttack"] - 1) / 2,
        float(seen["showActivated"]),
        float(seen["scheduledTasksDisabled"]),
    ]


def _channels(cell: Mapping[str, Any]) -> list[float]:
    """The 42 numbers of a cell."""
    transmission = cell.get("transmission", {"turnsUntilSpawn": 0})
    return [
        *_enemy_channels(cell.get("enemy", {})),
        *_block_channels(cell.get("block", {})),
        min(transmission["turnsUntilSpawn"] / 4, 1.0),
        cell.get("credits", 0) / 3,
        cell.get("energy", 0) / 3,
        float(cell["isDataSiphon"]),
        float(cell["isExit"]),
        float(cell["siphonCenter"]),
    ]


def _enemy_channels(enemy: Mapping[str, Any]) -> list[float]:
    """Type, hp, stunned, from a siphon; zeros of {}, as below."""
    flags = [float(enemy.get(name, False)) for name in ("isStunned", "spawnedFromSiphon")]
    return [*_one_hot(enemy.get("type"), ENEMY_NAMES), enemy.get("hp", 0) / rules.MAX_HP, *flags]


def _block_channels(block: Mapping[str, Any]) -> list[float]:
    """Kind, points, siphoned, program, transmissions that it would release."""
    program = block.get("programActionIndex")
    return [
        *_one_hot(block.get("blockType"), BLOCK_NAMES),
        block.get("points", 0) / rules.MOST_POINTS,
        float(block.get("isSiphoned", False)),
        *_one_hot(program, range(rules.FIRST_PROGRAM, rules.N_ACTIONS)),
        block.get("transmissionSpawnCount", 0) / 9,
    ]


def _one_hot(value: Any, values: Sequence[Any]) -> list[float]:
    """1 at the place of a value, 0 elsewhere."""
    return [float(each == value) for each in values]
