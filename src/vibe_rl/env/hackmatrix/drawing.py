"""The game as rows of coloured text: the board as the player sees it, and the player's means."""

from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl.env.hackmatrix.facts import facts
from vibe_rl.env.hackmatrix.game import legal_actions
from vibe_rl.env.hackmatrix.observe import QUESTION, cell_fields
from vibe_rl.env.hackmatrix.rules import (
    ENEMIES,
    FIRST_PROGRAM,
    MAX_HP,
    N_CELLS,
    N_PROGRAMS,
    PROGRAMS,
    SIDE,
    SIPHON,
    STAGES,
)
from vibe_rl.env.hackmatrix.state import GameState
from vibe_rl.env.pictures.canvas import Colour
from vibe_rl.env.pictures.cells import Row, Span, padded

WIDTH = 5
"""Columns of a cell, which has two rows: who is there, and what it is."""
COLUMNS = SIDE * (WIDTH + 1) + 1
LETTERS = tuple(enemy.name[0].upper() for enemy in ENEMIES)

FAINT, BRIGHT, EDGE = (110, 116, 126), (230, 232, 236), (70, 76, 86)
YOU, FOE, EGG = (255, 214, 92), (255, 106, 96), (226, 128, 220)
RELEASED = (255, 60, 160)
"""Of an enemy that siphoning has released."""
CREDITS, ENERGY, DATA = (232, 196, 84), (92, 204, 220), (126, 170, 255)
FLOORS = ((24, 26, 30), (30, 33, 38))
WALL, EXIT, PICKUP = (58, 62, 76), (34, 92, 54), (26, 74, 96)

ACTION_NAMES = ("up", "down", "left", "right", "siphon", *(each.name for each in PROGRAMS))
PROGRAM_KEYS = "1234567890rtyuiopfghjkl"
MOVE_KEYS = {"UP": 0, "DOWN": 1, "LEFT": 2, "RIGHT": 3, "w": 0, "s": 1, "a": 2, "d": 3}
KEYS = (
    MOVE_KEYS
    | {" ": SIPHON, "e": SIPHON}
    | {key: FIRST_PROGRAM + i for i, key in enumerate(PROGRAM_KEYS)}
)
PROGRAM_ROWS, PROGRAM_COLUMNS = 6, 4

Line = list[Span]


class _View(NamedTuple):
    """What there is to be seen of a game; NumPy's."""

    fields: dict[str, Any]  # of `cell_fields`, `[cells]`
    legal: Any  # bool [actions]


@jax.jit
def _view(game: GameState) -> _View:
    """It, of a game; a cryptog that hides and what a block hides are not in it."""
    return _View(cell_fields(game), legal_actions(game, facts(game)))


def board_and_means(game: GameState) -> list[Row]:
    """A game as 23 rows of 37 columns: the board, row 0 at the bottom, then the player's means."""
    shown = jax.device_get(_view(game))
    timers = longest_timers(game)
    cells = [cell_rows(game, shown.fields, timers, cell) for cell in range(N_CELLS)]
    rule: Line = [Span("+" + "+".join(["-" * WIDTH] * SIDE) + "+", EDGE)]
    rows: list[Line] = [rule]
    for row in reversed(range(SIDE)):
        line = cells[row * SIDE :][:SIDE]
        rows += [_joined([upper for upper, _ in line]), _joined([lower for _, lower in line])]
    rows += [rule, *_numbers(game), *programs(game, shown.legal)]
    return [padded(row, COLUMNS) for row in rows]


def _joined(parts: list[Line]) -> Line:
    """Cells side by side, with edges between them."""
    edge = Span("|", EDGE)
    return [edge, *(span for part in parts for span in (*part, edge))]


def longest_timers(game: GameState) -> dict[int, int]:
    """The turns left of the transmission on each cell that has one."""
    eggs = game.transmissions
    alive = np.asarray(eggs.alive)
    cells, timers = np.asarray(eggs.cell)[alive], np.asarray(eggs.timer)[alive]
    return dict(zip(cells.tolist(), timers.tolist(), strict=True))


def cell_rows(
    game: GameState, fields: dict[str, Any], timers: dict[int, int], cell: int
) -> tuple[Line, Line]:
    """The two rows of a cell."""
    own = {name: values[cell].item() for name, values in fields.items()}
    ground = ground_of(own, cell)
    beings = beings_on(own, timers.get(cell, 0), here=cell == int(game.player.cell))
    right = block_spawn(own)
    return _fitted(beings, right, ground), what_lies(own, ground)


def ground_of(own: dict[str, Any], cell: int) -> Colour:
    """The colour of a cell's ground."""
    if own["block"]:
        return WALL
    if own["exit"]:
        return EXIT
    return PICKUP if own["data_siphon"] else FLOORS[sum(divmod(cell, SIDE)) % 2]


def beings_on(own: dict[str, Any], timer: int, here: bool) -> Line:
    """The player `@`, an enemy such as `V2`, and `T1` for a transmission with a turn left.

    Behind an enemy's hp is `z` if it is stunned, and `!` if siphoning has released it.
    """
    beings = [Span("@", YOU, bold=True)] if here else []
    if own["enemy"]:
        marks = "z" * own["stunned"] + "!" * own["from_siphon"]
        text = f"{LETTERS[own['enemy'] - 1]}{own['hp']}{marks}"
        beings.append(Span(text, RELEASED if own["from_siphon"] else FOE, bold=True))
    if timer:
        beings.append(Span(f"T{timer}", EGG, bold=True))
    return beings


def block_spawn(own: dict[str, Any]) -> str:
    """The transmissions that siphoning a block will release, `+4`; unknown if it is hidden."""
    if not own["block"] or own["siphoned"] or own["block"] == QUESTION:
        return ""
    return f"+{own['spawn']}"


def _fitted(left: Line, right: str, ground: Colour) -> Line:
    """A row of a cell: as much of `left` as has room, spaces, and `right`."""
    line, room = [], WIDTH - len(right)
    for span in left:
        text = span.text[:room]
        room -= len(text)
        line.append(span._replace(text=text, bg=ground))
    return [*line, Span(" " * room + right, FAINT, ground)]


def what_lies(own: dict[str, Any], ground: Colour) -> Line:
    """The row of a cell that says what it is."""
    if own["block"]:
        return _fitted([_block_name(own)], "", ground)
    name = "EXIT" if own["exit"] else "[S]" if own["data_siphon"] else ""
    line = [Span(name, BRIGHT, bold=True)] if name else []
    for resource, letter, colour in (("credits", "c", CREDITS), ("energy", "e", ENERGY)):
        if own[resource]:
            line.append(Span(f"{own[resource]}{letter}", colour))
    mark = "*" if own["siphon_center"] else ""
    return _fitted(line, mark, ground)


def _block_name(own: dict[str, Any]) -> Span:
    """What is known of a block: its program or points, in small letters once it is siphoned."""
    if own["block"] == QUESTION:
        return Span(" ???", BRIGHT)
    text = PROGRAMS[own["program"] - 1].name if own["program"] else f"DATA{own['points']}"
    if own["siphoned"]:
        return Span(text.lower(), FAINT)
    return Span(text, BRIGHT if own["program"] else DATA, bold=True)


def _numbers(game: GameState) -> list[Line]:
    """Three rows of numbers of the player and the stage."""
    player, hp = game.player, int(game.player.hp)
    left = max(int(game.next_spawn_turn) - int(game.turn), 0)
    spawn = "no spawns" if game.calm else f"spawn in {left}"
    pending = f"  +{int(game.pending)}" if game.pending else ""
    flags = {"SHOW": game.show, "CALM": game.calm, "STEP": game.step_armed}
    on = [name for name, flag in flags.items() if flag]
    stage = min(int(game.stage), STAGES)
    rows: list[Line] = [
        [Span(f"stage {stage}/{STAGES}  turn {int(game.turn)}  {spawn}{pending}", BRIGHT)],
        [
            Span("hp ", FAINT),
            Span("#" * hp + "." * (MAX_HP - hp), FOE if hp == 1 else YOU, bold=True),
            Span(f"  attack {int(player.attack)}  score {int(player.score)}", BRIGHT),
        ],
        [
            Span(f"{int(player.credits)}c ", CREDITS),
            Span(f"{int(player.energy)}e ", ENERGY),
            Span(f"{int(player.data_siphons)} siphons  ", BRIGHT),
            Span(" ".join(on), YOU, bold=True),
        ],
    ]
    return rows


def programs(game: GameState, legal: Any) -> list[Line]:
    """The programs that the player owns with their prices; small letters where they have no use."""
    rows: list[Line] = [[] for _ in range(PROGRAM_ROWS)]
    for i in range(PROGRAM_ROWS * PROGRAM_COLUMNS):
        owned = i < N_PROGRAMS and bool(int(game.player.owned) >> i & 1)
        usable = owned and bool(legal[FIRST_PROGRAM + i])
        rows[i % PROGRAM_ROWS] += owned_program(i, usable) if owned else [Span(" " * 9)]
    return rows


def owned_program(i: int, usable: bool) -> Line:
    """A program: its name, credits, energy."""
    name, price = PROGRAMS[i].name, PROGRAMS[i]
    look = (name, BRIGHT) if usable else (name.lower(), FAINT)
    width = 5 if i < PROGRAM_ROWS * (PROGRAM_COLUMNS - 1) else 6  # one column has longer names
    return [
        Span(f"{look[0]:{width}} ", look[1], bold=usable),
        Span(str(price.credits), CREDITS if usable else FAINT),
        Span(f"{price.energy}{' ' * (6 - width)}", ENERGY if usable else FAINT),
    ]
