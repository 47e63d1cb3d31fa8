"""HackMatrix for Gymnasium: the game in plain Python, in a process of its own.

Importing this registers it: `gymnasium.make("vibe_rl/HackMatrix-v0")`. Or in one go, as Gymnasium
imports what stands before the colon:
`gymnasium.make("vibe_rl.env.hackmatrix.gymnasium_env:vibe_rl/HackMatrix-v0")`.
"""

import operator
from collections import Counter
from typing import Any

import numpy as np

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.line_protocol.client import Client
from vibe_rl.env.hackmatrix.line_protocol.decoding import UNBOUNDED, decoded
from vibe_rl.env.hackmatrix.line_protocol.text_board import text_board
from vibe_rl.env.hackmatrix.reference.reward import PUBLISHED, SHAPINGS
from vibe_rl.errors import ConfigError, short, unknown
from vibe_rl.extras import require

gymnasium = require("gymnasium", "gym", "Gymnasium's environments")

ID = "vibe_rl/HackMatrix-v0"
KINDS = ("move", "siphon", "program")


def kind(action: int) -> str:
    """The kind of an action."""
    return KINDS[(action >= rules.SIPHON) + (action > rules.SIPHON)]


def whole(action: Any) -> int:
    """An action as a Python int; ConfigError if it is no whole number."""
    try:
        return operator.index(action)
    except TypeError:
        raise ConfigError(
            f"action {short(action)}: give a whole number from 0 to {rules.N_ACTIONS - 1}."
        ) from None


class EpisodeStats:
    """What an episode adds up to."""

    def __init__(self):
        self.parts: Counter[str] = Counter()
        self.actions: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.programs_used = self.steps = 0
        self.highest_stage = 1

    def add(self, action: int, reply: dict[str, Any]) -> None:
        """Counts a step."""
        info, stage = reply["info"], reply["observation"]["stage"]
        for part, value in info["reward_breakdown"].items():
            self.parts[part] += value
        self.actions[kind(action)] += 1
        is_run = kind(action) == "program" and "invalid_action" not in info
        self.programs_used, self.steps = self.programs_used + is_run, self.steps + 1
        self.highest_stage = max(self.highest_stage, stage)

    def summary(self) -> dict[str, Any]:
        """As the last step's `info` has it; stage 9 is a victory."""
        return {
            "reward_breakdown": dict(self.parts),
            "programs_used": self.programs_used,
            "highest_stage": self.highest_stage,
            "action_counts": self.actions,
            "steps": self.steps,
        }


def observation_space() -> Any:
    """That of `decoding.decoded`.

    Data siphons and attack have no upper bound but float32's, as Gymnasium's checker warns of inf.
    """
    high = np.ones(rules.N_PLAYER, np.float32)
    high[list(UNBOUNDED)] = np.finfo(np.float32).max
    grid = (rules.SIDE, rules.SIDE, rules.N_CHANNELS)
    box = gymnasium.spaces.Box
    return gymnasium.spaces.Dict(
        {
            "player": box(np.zeros_like(high), high),
            "programs": box(0, 1, (rules.N_PROGRAMS,), np.int32),
            "grid": box(0.0, 1.0, grid),
        }
    )


class HackMatrixEnv(gymnasium.Env):
    """One game at a time; `info["action_mask"]` says which of the 28 actions are allowed.

    An action that is not allowed ends the episode. The last step's info has `episode_stats`; one
    that a time limit ends has them too.

    Args:
        shaping: "published", or "signed", where going away from the exit costs.
        render_mode: None, or "ansi": `render` returns the board as text.

    Raises:
        ConfigError: there is no such shaping.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, shaping: str = PUBLISHED, render_mode: str | None = None):
        if shaping not in SHAPINGS:
            raise unknown("shaping", shaping, SHAPINGS)
        self.render_mode = render_mode
        self.action_space = gymnasium.spaces.Discrete(rules.N_ACTIONS)
        self.observation_space = observation_space()
        self._client = Client(f"--shaping={shaping}") if shaping != PUBLISHED else Client()
        self._stats, self._mask = EpisodeStats(), np.zeros(rules.N_ACTIONS, np.int8)
        self._last: dict[str, Any] | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Starts a game, the same one for the same seed; options may have a `state` to set up.

        Raises:
            ConfigError: no game comes into that state, or the server has ended.
        """
        super().reset(seed=seed)
        draws = self.np_random.integers(2**63)
        reply = self._client.ask("reset", seed=int(draws))
        if options is not None and "state" in options:
            reply = self._client.ask("setState", state=options["state"])
        self._stats = EpisodeStats()
        return self._seen(reply)

    def step(self, action: Any):
        """Plays an action.

        Raises:
            ConfigError: there is no such action, the game is over, or the server has ended.
        """
        action = whole(action)
        reply = self._client.ask("step", actionIndex=action)
        self._stats.add(action, reply)
        observation, info = self._seen(reply)
        info |= reply["info"]
        if reply["done"]:
            del info["action_mask"]
            info["episode_stats"] = self.episode_stats()
        return observation, reply["reward"], reply["done"], False, info

    def action_masks(self) -> np.ndarray:
        """Which actions are allowed now, as sb3-contrib asks for it: (28,) of bool."""
        return self._mask.astype(bool)

    def episode_stats(self) -> dict[str, Any]:
        """What the episode adds up to so far."""
        return self._stats.summary()

    def render(self) -> str | None:
        """The board as text; None without a mode, or before the first game."""
        seen = self._last
        return None if self.render_mode is None or seen is None else text_board(seen)

    def close(self) -> None:
        """Ends the server."""
        self._client.close()

    def _seen(self, reply: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        self._mask = np.zeros(rules.N_ACTIONS, np.int8)
        self._mask[reply["validActions"]] = 1
        self._last = reply["observation"]
        return decoded(reply["observation"]), {"action_mask": self._mask}


class StatsAtTimeLimit(gymnasium.Wrapper, gymnasium.utils.RecordConstructorArgs):
    """Adds `episode_stats` to the info of a step that a time limit made the last."""

    def __init__(self, env: Any):
        gymnasium.utils.RecordConstructorArgs.__init__(self)
        gymnasium.Wrapper.__init__(self, env)

    def step(self, action: Any):
        """Plays an action."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if truncated:
            info["episode_stats"] = self.unwrapped.episode_stats()
        return observation, reward, terminated, truncated, info


if ID not in gymnasium.registry:
    gymnasium.register(
        ID,
        entry_point=f"{__name__}:HackMatrixEnv",
        max_episode_steps=rules.TIME_LIMIT,
        additional_wrappers=(StatsAtTimeLimit.wrapper_spec(),),
    )
