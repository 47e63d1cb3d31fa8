"""The line protocol of HackMatrix, spoken with a process."""

import json
import subprocess
import sys
from contextlib import contextmanager
from random import Random

import pytest
from random_states import random_state
from worked_examples import EXAMPLES, at, data, enemy, given

from processes import environ
from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import game
from vibe_rl.env.hackmatrix.reference.chance import random_chance
from vibe_rl.env.hackmatrix.reference.line_protocol import protocol
from vibe_rl.env.hackmatrix.reference.line_protocol.server import Server
from vibe_rl.errors import ConfigError

SERVER = [sys.executable, "-m", "vibe_rl", "hackmatrix-server"]


class Talk:
    """A server's process; `send` writes a line and reads the reply."""

    def __init__(self, process):
        self.process = process

    def send(self, line):
        raw = line if isinstance(line, bytes) else json.dumps(line).encode()
        self.process.stdin.write(raw + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def ask(self, action, **fields):
        return self.send({"action": action, **fields})


@contextmanager
def server(*words):
    """A process, which must end well when its stdin is closed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*SERVER, *words], env=environ(), **pipes) as process:
        try:
            yield Talk(process)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, b"")


@pytest.fixture(scope="module")
def talk():
    with server() as started:
        yield started


def test_a_game_with_a_seed_is_the_same_each_time(talk):
    def played():
        replies, random = [talk.ask("reset", seed=7)], Random(0)
        while not replies[-1].get("done"):
            replies.append(talk.ask("step", actionIndex=random.choice(replies[-1]["validActions"])))
        return replies

    assert played() == played()
    assert talk.ask("reset", seed=7) != talk.ask("reset", seed=8)


def test_games_without_a_seed_differ(talk):
    assert len({json.dumps(talk.ask("reset")) for _ in range(5)}) > 1


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_comes_out_as_the_rules_say_over_the_line(talk, example):
    assert "error" not in talk.ask("setState", state=example.given)
    for action, parts, reward in zip(example.actions, example.parts, example.rewards, strict=True):
        reply = talk.ask("step", actionIndex=action)
        paid = {protocol.PARTS[name]: x for name, x in reply["info"]["reward_breakdown"].items()}
        assert paid == pytest.approx(dict.fromkeys(rules.PARTS, 0.0) | parts)
        assert reply["reward"] == pytest.approx(reward)
    assert reply["done"] == example.done


def test_an_action_that_is_not_allowed_ends_the_game(talk):
    talk.ask("setState", state=given(0, 0))
    reply = talk.ask("step", actionIndex=rules.DOWN)
    assert (reply["reward"], reply["done"]) == (0.0, True)
    assert reply["info"]["invalid_action"] is True
    assert set(reply["info"]["reward_breakdown"].values()) == {0.0}
    assert reply["validActions"] == talk.ask("getValidActions")["validActions"] == []
    assert "game is over" in talk.ask("step", actionIndex=rules.UP)["error"]


def test_the_spaces_are_said(talk):
    assert talk.ask("getActionSpace") == {"actionSpaceSize": 28}
    sizes = {"gridSize": 6, "playerFeatures": 10, "cellFeatures": 42}
    assert talk.ask("getObservationSpace") == sizes


def test_an_observation_hides_what_the_player_does_not_see(talk):
    state = given(
        0,
        0,
        enemies=[enemy("cryptog", 3, 3), enemy("cryptog", 0, 3, stunned=True)],
        blocks=[data(2, 2), at(4, 4, type="program", programActionIndex=27, spawnCount=3)],
        resources=[at(1, 1, credits=2), at(2, 2, energy=3)],
        transmissions=[at(5, 0, turnsRemaining=2, enemyType="daemon")],
    )
    cells = talk.ask("setState", state=state)["observation"]["cells"]
    assert "enemy" not in cells[3][3]
    assert cells[0][3]["enemy"] == {
        "type": "cryptog",
        "hp": 2,
        "isStunned": True,
        "spawnedFromSiphon": False,
    }
    assert cells[2][2]["block"]["points"] == 5
    assert cells[1][1]["credits"] == 2
    assert not {"credits", "energy"} & set(cells[2][2])
    assert cells[4][4]["block"]["programType"] == "hack"
    assert cells[5][0]["transmission"] == {"turnsUntilSpawn": 2}
    shown = talk.ask("setState", state=state | {"showActivated": True})["observation"]["cells"]
    assert shown[3][3]["enemy"]["type"] == "cryptog"
    assert shown[5][0]["transmission"]["enemyType"] == "daemon"


def test_a_cryptog_that_hides_leaves_a_hint_where_it_was(talk):
    state = given(2, 2, enemies=[enemy("cryptog", 2, 5, stunned=True)])
    assert talk.ask("setState", state=state)["observation"]["cryptogHints"] == []
    seen = talk.ask("step", actionIndex=rules.UP)["observation"]
    assert seen["cryptogHints"] == [{"row": 2, "col": 5}]


def test_the_internal_state_has_what_the_player_does_not_see():
    with server() as fresh:
        assert fresh.ask("getInternalState") == protocol.NO_GAME
        assert fresh.ask("getValidActions") == {"validActions": []}
        hidden = enemy("cryptog", 4, 4, isFromScheduledTask=True)
        fresh.ask("setState", state=given(0, 0, enemies=[hidden], stage=3, turn=5))
        assert fresh.ask("getInternalState") == {
            "scheduledTaskInterval": 12,
            "nextScheduledTaskTurn": 12,
            "pendingSiphonTransmissions": 0,
            "turnCount": 5,
            "enemies": [
                {
                    "row": 4,
                    "col": 4,
                    "type": "cryptog",
                    "hp": 2,
                    "disabledTurns": 0,
                    "isStunned": False,
                    "spawnedFromSiphon": False,
                    "isFromScheduledTask": True,
                }
            ],
        }


BAD_LINES = [
    (b"x", "Invalid command"),
    (b"", "Invalid command"),
    (b"[1]", "Invalid command"),
    (b"\xff\xfe", "Invalid command"),
    (b"[" * 100_000, "Invalid command"),
    ({"action": "fly"}, "Unknown command: fly"),
    ({"action": "a\nb" + "z" * 999}, "Unknown command: a\\nbzzz"),
    ({"action": ["reset"]}, "Invalid command: action ['reset']: give one of reset, step"),
    ({}, "Invalid command: action None: give one of"),
    ({"action": "step"}, "Missing actionIndex"),
    ({"action": "step", "actionIndex": 28}, "Invalid command: actionIndex 28: give a whole number"),
    ({"action": "step", "actionIndex": -1}, "actionIndex -1"),
    ({"action": "step", "actionIndex": True}, "actionIndex True"),
    ({"action": "step", "actionIndex": 1.0}, "actionIndex 1.0"),
    ({"action": "step", "actionIndex": 0}, "There is no game yet: send reset or setState first."),
    ({"action": "reset", "seed": "a"}, "Invalid command: seed 'a': give a whole number"),
    ({"action": "reset", "seed": -1}, "seed -1"),
    ({"action": "setState"}, "Missing state data for setState command"),
    ({"action": "setState", "state": 3}, "Invalid command: state 3: give an object"),
    ({"action": "setState", "state": {"player": "z" * 999}}, "player 'zzz"),
    ({"action": "setState", "state": {"z" * 999: 1}}, "unknown field of state 'zzz"),
    ({"action": "step", "actionIndex": int("9" * 999)}, "actionIndex 999"),
    ({"action": "setState", "state": {"player": {"row": 0}}}, "player.col None"),
]


def test_a_bad_line_is_answered_and_the_process_lives():
    with server() as fresh:
        for line, words in BAD_LINES:
            reply = fresh.send(line)
            assert set(reply) == {"error"}
            assert words in reply["error"]
            assert ": " in reply["error"]
            assert len(reply["error"]) < 220
        assert "observation" in fresh.ask("reset")


def test_a_refused_command_leaves_the_game_as_it_was(talk):
    before = talk.ask("reset", seed=1)
    assert "error" in talk.ask("setState", state={"player": {"row": 7, "col": 7}})
    assert "error" in talk.ask("step", actionIndex=99)
    assert talk.ask("getValidActions")["validActions"] == before["validActions"]


def test_the_shaping_is_an_option():
    away = next(example for example in EXAMPLES if example.name == "moving away")
    with server("--shaping=signed") as signed:
        signed.ask("setState", state=away.given)
        parts = signed.ask("step", actionIndex=away.actions[0])["info"]["reward_breakdown"]
        assert parts["distance"] == pytest.approx(-0.05)
    with pytest.raises(ConfigError, match="unknown shaping 'x'"):
        Server("x")


def test_starting_imports_no_jax():
    code = (
        "import sys; sys.argv = ['vibe-rl', 'hackmatrix-server']; from vibe_rl.cli import main; "
        "main(); print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=b"", stdout=subprocess.PIPE, check=True, env=environ())
    assert not set(done.stdout.decode().split()) & {"jax", "numpy", "tyro"}


def test_every_state_can_be_told_as_json():
    random = Random(0)
    for _ in range(50):
        state = random_state(random)
        hints = protocol.Hints()
        json.dumps(
            [protocol.observation_as_json(state, hints.look(state)), protocol.internal_state(state)]
        )
        outcome = game.step(state, random.choice(game.legal(state)), random_chance(random))
        breakdown = protocol.info(outcome)["reward_breakdown"]
        assert sum(breakdown.values()) == pytest.approx(outcome.reward)
        assert set(protocol.PARTS.values()) == set(rules.PARTS)
