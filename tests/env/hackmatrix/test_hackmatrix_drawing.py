"""HackMatrix as cells of a terminal: what the player sees is there, and nothing that hides is."""

from random import Random

import pytest
from agreement import game_of
from random_states import random_state

from vibe_rl.env import make
from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.drawing import (
    ACTION_NAMES,
    COLUMNS,
    EXIT,
    KEYS,
    RELEASED,
    WALL,
    board_and_means,
)
from vibe_rl.env.hackmatrix.line_protocol.text_board import text_board
from vibe_rl.env.hackmatrix.reference.line_protocol import protocol
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import load_state
from vibe_rl.env.hackmatrix.reference.state import Content, Enemy, Transmission
from vibe_rl.env.pictures.cells import cells, width_of
from vibe_rl.watching.human import QUIT

AT = {"row": 2, "col": 3}


def state(**fields):
    """A state that is fresh but for these fields; the exit is at the upper right."""
    return load_state({"player": AT, **fields})


def rows_of(state):
    return cells(board_and_means(game_of(state)))


def text_of(state):
    return ["".join(span.text for span in row) for row in rows_of(state)]


def cell(lines, row, col):
    """The two rows of a cell."""
    top = 1 + 2 * (rules.SIDE - 1 - row)
    return tuple(line[1 + 6 * col : 6 + 6 * col] for line in lines[top : top + 2])


def spans(state, word):
    return [span for row in rows_of(state) for span in row if span.text.strip() == word]


def test_every_state_has_the_same_size_and_only_letters_of_ascii():
    for seed in range(40):
        rows = rows_of(random_state(Random(seed)))
        assert (len(rows), {width_of([row]) for row in rows}) == (23, {COLUMNS})
        assert all(span.text.isascii() for row in rows for span in row)


def test_the_line_protocol_has_the_same_board_as_text():
    for seed in range(20):
        state = random_state(Random(seed))
        seen = protocol.observation_as_json(state, [])
        lines, drawn = text_board(seen).splitlines(), text_of(state)
        assert lines[:14] == drawn[:14]
        assert f"score {state.player.score}" in lines[15]


def test_row_0_is_at_the_bottom_and_each_thing_in_its_cell():
    given = state(
        enemies=[
            {"type": "virus", "row": 5, "col": 3, "hp": 2},
            {"type": "daemon", "row": 1, "col": 1, "hp": 1, "stunned": True},
        ],
        transmissions=[{"row": 0, "col": 4, "turnsRemaining": 7, "enemyType": "glitch"}],
        resources=[{"row": 0, "col": 0, "credits": 2}, {"row": 5, "col": 0, "dataSiphon": True}],
    )
    lines = text_of(given)
    assert cell(lines, 2, 3)[0] == "@    "
    assert cell(lines, 5, 3)[0] == "V2   "
    assert cell(lines, 1, 1)[0] == "D1z  "
    assert cell(lines, 0, 4)[0] == "T7   "
    assert cell(lines, 0, 0) == ("     ", "2c   ")
    assert cell(lines, 5, 0)[1] == "[S]  "
    assert cell(lines, 5, 5)[1] == "EXIT "
    assert spans(given, "EXIT")[0].bg == EXIT


def test_of_blocks_only_what_is_known_is_shown():
    given = state(
        blocks=[
            {"row": 0, "col": 0, "type": "data", "points": 7},
            {"row": 0, "col": 2, "type": "program", "programType": "reset", "spawnCount": 2},
            {"row": 4, "col": 0, "type": "data", "points": 3, "siphoned": True},
            {"row": 4, "col": 2, "type": "data", "points": 9},
        ]
    )
    given.cells[4][2].hidden = True
    lines = text_of(given)
    assert cell(lines, 0, 0) == ("   +7", "DATA7")
    assert cell(lines, 0, 2) == ("   +2", "RESET")
    assert cell(lines, 4, 0) == ("     ", "data3")
    assert cell(lines, 4, 2) == ("     ", " ??? ")
    assert spans(given, "DATA7")[0].bg == WALL


def test_a_cryptog_out_of_the_players_lines_is_drawn_only_while_show_is_on():
    given = state(enemies=[{"type": "cryptog", "row": 4, "col": 0, "hp": 2}])
    assert cell(text_of(given), 4, 0)[0] == "     "
    given.show = True
    assert cell(text_of(given), 4, 0)[0] == "C2   "
    given.show, given.enemies[0].row = False, 2
    assert cell(text_of(given), 2, 0)[0] == "C2   "


def test_an_enemy_that_siphoning_released_looks_another_way():
    given = state(enemies=[{"type": "glitch", "row": 1, "col": 0, "hp": 2}])
    given.enemies[0].from_siphon = True
    assert cell(text_of(given), 1, 0)[0] == "G2!  "
    assert spans(given, "G2!")[0].fg == RELEASED


def test_several_on_a_cell_have_room_or_are_cut():
    given = state()
    place = {"row": 2, "col": 3}
    given.enemies = [Enemy(rules.VIRUS, hp=2, stunned=True, from_siphon=True, **place)]
    given.transmissions = [Transmission(timer=12, type=rules.VIRUS, **place)]
    given.cells[2][3].content, given.cells[2][3].spawn = Content.DATA, 4
    given.cells[2][3].points = 4
    assert cell(text_of(given), 2, 3) == ("@V2+4", "DATA4")


def test_the_numbers_of_player_and_stage_are_told():
    given = state(
        player={**AT, "hp": 2, "credits": 12, "energy": 3, "dataSiphons": 1, "score": 40},
        stage=4,
        turn=5,
        showActivated=True,
    )
    given.pending, given.step_armed = 6, True
    numbers = [line.rstrip() for line in text_of(given)[14:17]]
    assert numbers == [
        "stage 4/8  turn 5  spawn in 7  +6",
        "hp ##.  attack 1  score 40",
        "12c 3e 1 siphons  SHOW STEP",
    ]
    given.calm = True
    assert "no spawns" in text_of(given)[14]


@pytest.mark.parametrize(("energy", "look"), [(4, "RESET 04"), (3, "reset 04")])
def test_owned_programs_have_prices_and_capitals_where_they_can_be_used(energy, look):
    owned = [rules.FIRST_PROGRAM + rules.RESET]
    given = state(player={**AT, "hp": 1, "energy": energy}, ownedPrograms=owned)
    assert "\n".join(text_of(given)[17:]).split() == look.split()


def test_keys_and_names_serve_every_action_and_no_reserved_key():
    env, params = make("HackMatrix-v0")
    assert env.action_names() == ACTION_NAMES
    assert len(ACTION_NAMES) == env.action_space(params).n == rules.N_ACTIONS
    assert sorted(set(env.keys().values())) == list(range(rules.N_ACTIONS))
    assert not set(KEYS) & set(QUIT)
    assert {KEYS[key] for key in ("UP", "w")} == {rules.UP}
    assert {KEYS[key] for key in (" ", "e")} == {rules.SIPHON}
