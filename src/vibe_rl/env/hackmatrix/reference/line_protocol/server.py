"""A game for other programs: an object of JSON a line in, one a line out."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any, BinaryIO

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import game, reward
from vibe_rl.env.hackmatrix.reference.chance import random_chance
from vibe_rl.env.hackmatrix.reference.line_protocol import fixture, protocol
from vibe_rl.env.hackmatrix.reference.line_protocol.given import Given
from vibe_rl.env.hackmatrix.reference.state import State
from vibe_rl.errors import ConfigError, short, unknown

Reply = dict[str, Any]


class KnownError(ConfigError):
    """One that the protocol has a sentence of its own for; all others are invalid commands."""


class Server:
    """One game at a time.

    Args:
        shaping: how distance to the exit is paid, one of `reward.SHAPINGS`.

    Raises:
        ConfigError: there is no such shaping.
    """

    def __init__(self, shaping: str = reward.PUBLISHED):
        if shaping not in reward.SHAPINGS:
            raise unknown("shaping", shaping, reward.SHAPINGS)
        self.shaping = shaping
        self.chance = random_chance(Random())
        self.state: State | None = None
        self.over = False
        self.hints = protocol.Hints()
        self.commands = {
            "reset": self.reset,
            "step": self.step,
            "getValidActions": self.valid_actions,
            "getActionSpace": self.action_space,
            "getObservationSpace": self.observation_space,
            "setState": self.set_state,
            "getInternalState": self.internal_state,
        }

    def reply(self, line: bytes) -> Reply:
        """The reply to a line; to a bad one {"error": a sentence}, and the game stays as it was."""
        try:
            return self.answer(read_command(line))
        except KnownError as error:
            return {"error": str(error)}
        except ConfigError as error:
            return {"error": f"Invalid command: {error}"}

    def answer(self, command: dict[str, Any]) -> Reply:
        """The reply to a command; ConfigError if it is a bad one."""
        name, names = command.get("action"), ", ".join(self.commands)
        if not isinstance(name, str):
            raise ConfigError(f"action {short(name)}: give one of {names}.")
        if name not in self.commands:
            shown = short(name).strip("'")
            raise KnownError(f"Unknown command: {shown}; use one of {names}.")
        return self.commands[name](Given("", command))

    def reset(self, command: Given) -> Reply:
        """Starts a game; one with a `seed` is the same each time."""
        if "seed" in command.fields:
            self.chance = random_chance(Random(command.whole("seed", 0, 2**64 - 1)))
        return self.begin(game.reset(self.chance))

    def set_state(self, command: Given) -> Reply:
        """Goes on from a state."""
        if "state" not in command.fields:
            raise KnownError("Missing state data for setState command: give state.")
        return self.begin(fixture.load_state(command.fields["state"]))

    def begin(self, state: State) -> Reply:
        """The reply of a game's first state."""
        self.state, self.over, self.hints = state, False, protocol.Hints()
        return self.seen()

    def seen(self) -> Reply:
        """The observation of the present state, and what is allowed in it."""
        seen = protocol.observation_as_json(self.started(), self.hints.look(self.started()))
        return {"observation": seen, **self.valid_actions()}

    def started(self) -> State:
        """The state; ConfigError before the first game."""
        if self.state is None:
            raise KnownError("There is no game yet: send reset or setState first.")
        return self.state

    def step(self, command: Given) -> Reply:
        """Plays the action `actionIndex`; one that is not allowed ends the game."""
        if "actionIndex" not in command.fields:
            raise KnownError("Missing actionIndex: give a number from 0 to 27.")
        action = command.whole("actionIndex", 0, rules.N_ACTIONS - 1)
        state = self.started()
        if self.over:
            raise KnownError("The game is over: send reset or setState.")
        outcome = game.step(state, action, self.chance, self.shaping)
        self.over = outcome.done
        info = protocol.info(outcome)
        return {**self.seen(), "reward": outcome.reward, "done": outcome.done, "info": info}

    def valid_actions(self, command: Given | None = None) -> Reply:
        """Those allowed now; none before a game and after it."""
        playing = self.state is not None and not self.over
        return {"validActions": game.legal(self.started()) if playing else []}

    def action_space(self, command: Given) -> Reply:
        """How many actions there are."""
        return {"actionSpaceSize": rules.N_ACTIONS}

    def observation_space(self, command: Given) -> Reply:
        """Cells of a side, and numbers of the player and of a cell."""
        sizes = (rules.SIDE, rules.N_PLAYER, rules.N_CHANNELS)
        return dict(zip(("gridSize", "playerFeatures", "cellFeatures"), sizes, strict=True))

    def internal_state(self, command: Given) -> Reply:
        """What the player does not see."""
        return protocol.NO_GAME if self.state is None else protocol.internal_state(self.state)


def read_command(line: bytes) -> dict[str, Any]:
    """The object of a line; ConfigError if it holds none."""
    try:
        command = json.loads(line.decode())
    except (ValueError, RecursionError):
        command = None
    if not isinstance(command, dict):
        raise ConfigError('send an object of JSON, such as {"action": "reset"}.')
    return command


def serve(lines: Iterable[bytes], replies: BinaryIO, server: Server) -> None:
    """Answers every line until there are no more."""
    for line in lines:
        replies.write(json.dumps(server.reply(line)).encode() + b"\n")
        replies.flush()
