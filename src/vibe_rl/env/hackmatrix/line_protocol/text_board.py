"""An observation of the line protocol as text: the board of `drawing` without its colours."""

from collections.abc import Mapping, Sequence
from typing import Any

from vibe_rl.env.hackmatrix import rules

WIDTH = 5
"""Letters of a cell, which has two rows: who is there, and what it is."""
EDGE = "+" + "+".join(["-" * WIDTH] * rules.SIDE) + "+"

Seen = Mapping[str, Any]


def text_board(seen: Seen) -> str:
    """The board, row 0 at the bottom, and the player's means."""
    rows = [EDGE]
    for cells in reversed(seen["cells"]):
        rows += [
            _joined([_beings(seen, cell) for cell in cells]),
            _joined(list(map(ground, cells))),
        ]
    return "\n".join([*rows, EDGE, *_means(seen)])


def _joined(cells: Sequence[str]) -> str:
    """A row of the board."""
    return "|" + "|".join(cells) + "|"


def _beings(seen: Seen, cell: Seen) -> str:
    """The player, an enemy, a transmission; at the right what siphoning a block releases."""
    here = (cell["row"], cell["col"]) == (seen["playerRow"], seen["playerCol"])
    text = "@" if here else ""
    if enemy := cell.get("enemy"):
        marks = "z" * enemy["isStunned"] + "!" * enemy["spawnedFromSiphon"]
        text += f"{enemy['type'][0].upper()}{enemy['hp']}{marks}"
    if egg := cell.get("transmission"):
        text += f"T{egg['turnsUntilSpawn']}"
    block = cell.get("block", {})
    known = "transmissionSpawnCount" in block and not block["isSiphoned"]
    right = f"+{block['transmissionSpawnCount']}" if known else ""
    room = WIDTH - len(right)
    return f"{text[:room]:{room}}{right}"


def ground(cell: Seen) -> str:
    """What a cell is: a block, in small letters once it is siphoned, or what lies there."""
    if block := cell.get("block"):
        return f"{_block_name(block)[:WIDTH]:{WIDTH}}"
    name = "EXIT" if cell["isExit"] else "[S]" if cell["isDataSiphon"] else ""
    lying = "".join(f"{cell[kind]}{kind[0]}" for kind in ("credits", "energy") if kind in cell)
    mark = "*" if cell["siphonCenter"] else ""
    room = WIDTH - len(mark)
    return f"{(name + lying)[:room]:{room}}{mark}"


def _block_name(block: Seen) -> str:
    """What is known of a block."""
    if block["blockType"] == "question":
        return " ???"
    name = block.get("programType", f"data{block['points']}")
    return name if block["isSiphoned"] else name.upper()


def _means(seen: Seen) -> list[str]:
    """The player's numbers, and the programs that it owns with their credits and energy."""
    hp, actions = seen["playerHP"], seen["ownedPrograms"]
    owned = [rules.PROGRAMS[action - rules.FIRST_PROGRAM] for action in actions]
    flags = {"SHOW": seen["showActivated"], "CALM": seen["scheduledTasksDisabled"]}
    return [
        f"stage {min(seen['stage'], rules.STAGES)}/{rules.STAGES}  turn {seen['turn']}",
        f"hp {'#' * hp}{'.' * (rules.MAX_HP - hp)}  attack {seen['baseAttack']}  "
        f"score {seen['score']}",
        f"{seen['credits']}c {seen['energy']}e {seen['dataSiphons']} siphons  "
        + " ".join(name for name, is_on in flags.items() if is_on),
        "  ".join(f"{each.name} {each.credits}{each.energy}" for each in owned),
    ]
