"""Atari 2600 games of the Arcade Learning Environment, in its own batch in C++ (`ale-py`)."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vibe_rl.env.adapters.gymnasium_envs import GymnasiumEnvs
from vibe_rl.env.adapters.gymnasium_spaces import Conversion, Converted, conversion
from vibe_rl.env.params.arguments import whole_numbers
from vibe_rl.errors import ConfigError, reason, unknown
from vibe_rl.extras import require
from vibe_rl.types import Number

DEFAULTS = {"reward_clipping": False}
"""Where we differ from `AtariVectorEnv`: with clipped rewards, clipped returns would be told."""
FRAMESKIP = 4


def vector_env() -> Any:
    """The module of `AtariVectorEnv`; ConfigError if a package is not installed."""
    return require("ale_py.vector_env", "ale", "Atari games")


@dataclass(frozen=True)
class AtariGame(Converted):
    """A game by its name, such as `"Pong"` or `"MsPacman"`, stepped by threads of C++.

    `kwargs` are those of `AtariVectorEnv`. By default they are what most papers have (Mnih et al.
    2015), but that rewards are not clipped: 4 frames a step (`frameskip`), of which the last two
    are shown as their maximum (`maxpool`), the last 4 stacked (`stack_num`), 84 x 84 grey, up to 30
    steps without action (`noop_max`) and FIRE at first (`use_fire_reset`), all lives in one episode
    (`episodic_life=False`), no sticky actions (`repeat_action_probability=0.0`; Machado et al. 2018
    advise 0.25), 108,000 frames at most (`max_num_frames_per_episode`).
    """

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.name not in names():
            raise unknown("Atari game", self.name, names())
        self._spaces  # noqa: B018 - what is not supported is refused here

    @cached_property
    def _spaces(self) -> tuple[Conversion, Conversion]:
        with closing(self._batch(1)) as envs:
            theirs = envs.single_observation_space, envs.single_action_space
            return conversion(theirs[0]), conversion(theirs[1])

    def _batch(self, num_envs: int) -> Any:
        module = vector_env()
        how = {"autoreset_mode": module.AutoresetMode.SAME_STEP, **DEFAULTS, **self.kwargs}
        try:
            return module.AtariVectorEnv(roms()[self.name], num_envs, **how)
        except (module.error.Error, TypeError, ValueError) as error:
            what = f"{reason(error)}, check its arguments."
            raise ConfigError(f"ale-py cannot make {self.name}: {what}") from error

    def open(self, seeds: Sequence[int]) -> GymnasiumEnvs:
        """A game for each seed."""
        return GymnasiumEnvs(self._batch(len(seeds)), np.array(seeds), self._spaces)


def make(
    name: str, max_episode_steps: Number | None = None, **kwargs: Any
) -> tuple[AtariGame, tuple[()]]:
    """A game; integers may be passed as 4.0, and a limit in env steps in place of frames."""
    kwargs = whole_numbers(kwargs)
    if max_episode_steps is not None:
        frames = int(max_episode_steps) * kwargs.get("frameskip", FRAMESKIP)
        kwargs["max_num_frames_per_episode"] = frames
    return AtariGame(name, kwargs), ()


def names() -> tuple[str, ...]:
    """The games whose ROMs `ale-py` brings along."""
    return tuple(sorted(roms()))


@cache
def roms() -> dict[str, str]:
    """ROMs by the names of their games, such as `ms_pacman` of `MsPacman`.

    Those that ALE brings along but cannot play, such as `combat`, would end the process.
    """
    module = require("ale_py.roms", "ale", "Atari games")
    plays = require("ale_py", "ale", "Atari games").ALEInterface.isSupportedROM
    found = [rom for rom in module.get_all_rom_ids() if plays(Path(module.get_rom_path(rom)))]
    return {rom.title().replace("_", ""): rom for rom in found}
