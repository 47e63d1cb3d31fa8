"""States set up from JSON: what is left out, and what is refused in one sentence."""

import pytest
from worked_examples import at, data, enemy, given, transmission

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.line_protocol.fixture import load_state
from vibe_rl.env.hackmatrix.reference.state import Content, Enemy, Player, State, Transmission
from vibe_rl.errors import ConfigError


def test_what_is_left_out_is_fresh():
    fresh = State(Player(2, 3))
    fresh.at((5, 5)).content = Content.EXIT
    assert load_state({"player": at(2, 3)}) == fresh
    assert (fresh.interval, fresh.next_spawn_turn, fresh.stage) == (12, 12, 1)


def test_everything_that_can_be_given_is_taken():
    state = load_state(
        {
            "player": at(1, 2, hp=2, credits=3, energy=4, dataSiphons=5, attackDamage=6, score=7),
            "enemies": [
                enemy("cryptog", 0, 0, 1, stunned=True, spawnedFromSiphon=True),
                enemy("daemon", 0, 1, isFromScheduledTask=True),
            ],
            "transmissions": [transmission(4, 4, 3)],
            "blocks": [
                at(3, 3, type="data"),
                data(2, 2, 7, spawnCount=1, siphoned=True),
                at(2, 3, type="program", programType="anti-v", programActionIndex=23),
            ],
            "resources": [at(0, 2, credits=3), at(0, 3, energy=20), at(0, 4, dataSiphon=True)],
            "ownedPrograms": [5, 27, 5],
            "stage": 3,
            "turn": 9,
            "showActivated": True,
            "scheduledTasksDisabled": True,
        },
        undo_depth=1,
    )
    assert state.player == Player(1, 2, 2, 3, 4, 5, 7, 6)
    assert state.enemies == [
        Enemy(rules.CRYPTOG, 0, 0, 1, stunned=True, from_siphon=True),
        Enemy(rules.DAEMON, 0, 1, 3, from_schedule=True),
    ]
    assert state.transmissions == [Transmission(4, 4, 3, rules.VIRUS)]
    blocks = [(state.at(place).points, state.at(place).spawn) for place in state.blocks()]
    assert blocks == [(7, 1), (0, 2), (5, 5)]
    assert [state.at(place).siphoned for place in state.blocks()] == [True, False, False]
    assert state.at((2, 3)).program == rules.ANTI_V
    assert (state.at((0, 2)).credits, state.at((0, 3)).energy) == (3, 20)
    assert state.at((0, 4)).content == Content.DATA_SIPHON
    assert state.owned == {rules.PUSH, rules.HACK}
    assert (state.stage, state.turn, state.show, state.calm) == (3, 9, True, True)
    assert (state.interval, state.next_spawn_turn, state.undo_depth) == (12, 12, 1)


def test_the_exit_overwrites_what_was_put_there():
    state = load_state(given(0, 0, blocks=[data(5, 5)], resources=[at(5, 5, credits=2)]))
    assert (state.at((5, 5)).content, state.at((5, 5)).credits) == (Content.EXIT, 0)
    assert state.blocks() == []


PLAYER = {"player": at(0, 0)}
REFUSED = [
    ([], "state []: give an object with player, "),
    ({}, "player None: give an object with row, col, "),
    ({"player": at(0, 6)}, "player.col 6: give a whole number from 0 to 5."),
    ({"player": at(0, 0, hp=0)}, "player.hp 0: give a whole number from 1 to 3."),
    ({"player": at(0, 0, credits=-1)}, "player.credits -1: give a whole number from 0 to"),
    ({"player": at(0, 0, credits=10**400)}, "give a whole number from 0 to 1000000."),
    ({"player": at(0, 0, credits="3")}, "player.credits '3': give a whole number"),
    ({"player": at(0, 0, attackDamage=0)}, "player.attackDamage 0"),
    ({"player": at(0, 0, health=3)}, "unknown field of player 'health'"),
    (PLAYER | {"stages": 2}, "unknown field of state 'stages': did you mean stage"),
    (PLAYER | {"stage": 9}, "state.stage 9: give a whole number from 1 to 8."),
    (PLAYER | {"turn": None}, "state.turn None: give a whole number"),
    (PLAYER | {"showActivated": 1}, "state.showActivated 1: give true or false."),
    (
        PLAYER | {"ownedPrograms": [4]},
        "state.ownedPrograms [4]: give actions of programs, 5 to 27.",
    ),
    (PLAYER | {"ownedPrograms": 5}, "state.ownedPrograms 5: give a list."),
    (PLAYER | {"enemies": [3]}, "enemies[0] 3: give an object with type, row, "),
    (PLAYER | {"enemies": [at(0, 1, type="boss", hp=1)]}, "enemies[0].type 'boss': give one of"),
    (PLAYER | {"enemies": [at(0, 1, type="virus")]}, "enemies[0].hp None"),
    (PLAYER | {"enemies": [enemy("virus", 0, 1)] * 41}, "41 enemies: give 40 at most."),
    (
        PLAYER | {"transmissions": [transmission(1, 1, 0)]},
        "transmissions[0].turnsRemaining 0: give a whole number from 1 to",
    ),
    (
        PLAYER | {"transmissions": [transmission(1, 1, 1)] * 2},
        "transmissions[1] at (1, 1): another transmission is there; give another cell.",
    ),
    (
        PLAYER | {"transmissions": [transmission(1, 1, 1)], "blocks": [data(1, 1)]},
        "transmissions[0] at (1, 1): a block is there; give another cell.",
    ),
    (PLAYER | {"blocks": [data(1, 1)] * 2}, "blocks[1] at (1, 1): another block is there"),
    (PLAYER | {"blocks": [at(1, 1, type="question")]}, "blocks[0].type 'question': give one of"),
    (
        PLAYER | {"blocks": [data(1, 1, 10)]},
        "blocks[0].points 10: give a whole number from 1 to 9.",
    ),
    (PLAYER | {"blocks": [at(1, 1, type="program")]}, "blocks[0].programType None: give one of"),
    (
        PLAYER | {"blocks": [at(1, 1, type="program", programType="pull", programActionIndex=5)]},
        "blocks[0].programType 'pull': action 5 is push.",
    ),
    (
        PLAYER | {"resources": [at(1, 1, credits=1, energy=1)]},
        "resources[0].energy 1: give a cell credits or energy, not both.",
    ),
    (
        PLAYER | {"resources": [at(1, 1, dataSiphon=True)], "blocks": [data(1, 1)]},
        "resources[0].dataSiphon True: give it a cell without a block.",
    ),
]


@pytest.mark.parametrize(("state", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_state_outside_the_rules_is_refused_in_one_sentence(state, words):
    with pytest.raises(ConfigError) as refused:
        load_state(state)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
