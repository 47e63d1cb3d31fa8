"""The environments of EnvPool (Weng et al. 2022, arXiv:2206.10558), stepped by threads of C++.

There an environment whose episode has ended shows its last observation, and begins the next episode
in the next step, in which it takes no action. Here that step is taken at once by those that ended,
so that every transition is one of the task's. What falls in the very step in which the clock runs
out is truncated, and not terminated as in Gymnasium: EnvPool does not say that it fell.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vibe_rl.env.adapters.gymnasium_envs import with_entries
from vibe_rl.env.adapters.gymnasium_spaces import Conversion, Converted, conversion
from vibe_rl.env.host import HostStep
from vibe_rl.env.params.arguments import whole_numbers
from vibe_rl.errors import ConfigError, reason, unknown
from vibe_rl.extras import require
from vibe_rl.types import PyTree


def envpool() -> Any:
    """The package; ConfigError if it is not installed."""
    return require("envpool", "envpool", "EnvPool's environments")


@contextmanager
def silent() -> Iterator[None]:
    """Without its warnings of bounds that lose precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class EnvPoolWrapper(Converted):
    """Environments of EnvPool by their name there, such as `"Pong-v5"`.

    `kwargs` are EnvPool's own. Those of Atari are by default what most papers have, but that
    rewards are not clipped: 4 frames a step, the last 4 stacked, 84 x 84 grey, up to 30 steps
    without action and FIRE at first, all lives in one episode, no sticky actions.
    """

    name: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.name not in names():
            raise unknown("environment of EnvPool", self.name, names())
        self._spaces  # noqa: B018 - what is not supported is refused here

    @cached_property
    def _spaces(self) -> tuple[Conversion, Conversion]:
        try:
            with silent():
                spec = envpool().make_spec(self.name, **self.kwargs)
                spaces = spec.gymnasium_observation_space, spec.gymnasium_action_space
        except Exception as error:  # whatever its games may raise
            missing = isinstance(error, ImportError)  # such as a library of Procgen's
            remedy = "install what is missing" if missing else "check its arguments"
            what = f"{reason(error)}, {remedy}."
            raise ConfigError(f"EnvPool cannot make {self.name}: {what}") from error
        return conversion(unbounded(spaces[0])), conversion(spaces[1])

    def open(self, seeds: Sequence[int]) -> "EnvPoolEnvs":
        """An environment for each seed."""
        how = {"num_envs": len(seeds), "env_seed": list(seeds), **self.kwargs}
        with silent():
            envs = envpool().make(self.name, env_type="gymnasium", **how)
            envs.observation_space  # noqa: B018 - EnvPool keeps it
        return EnvPoolEnvs(envs, self._spaces)


def make(name: str, **kwargs: Any) -> tuple[EnvPoolWrapper, tuple[()]]:
    """The environments of a name, made with these arguments; integers may be passed as 4.0."""
    return EnvPoolWrapper(name, whole_numbers(kwargs)), ()


def names() -> tuple[str, ...]:
    """All that EnvPool has."""
    return tuple(sorted(envpool().list_all_envs()))


def unbounded(space: Any) -> Any:
    """The space, without the least and greatest float as bounds: they stand for none.

    EnvPool says the smallest positive number where it means the most negative one.
    """
    if type(space).__name__ == "Dict":
        return type(space)({name: unbounded(part) for name, part in space.items()})
    if type(space).__name__ != "Box" or space.dtype.kind != "f":
        return space
    ends = [np.finfo(dtype) for dtype in (np.float32, np.float64)]
    least = [least for end in ends for least in (end.tiny, end.min)]
    low = np.where(np.isin(space.low, least), -np.inf, space.low)
    high = np.where(np.isin(space.high, [end.max for end in ends]), np.inf, space.high)
    return type(space)(low.astype(space.dtype), high.astype(space.dtype), dtype=space.dtype)


class EnvPoolEnvs:
    """Running environments; see `vibe_rl.env.host.HostEnvs`."""

    def __init__(self, envs: Any, spaces: tuple[Conversion, Conversion]):
        self.envs, (self.obs, self.action) = envs, spaces

    def reset(self) -> PyTree:
        """The first observations."""
        return self.obs.to_ours(self.envs.reset()[0])

    def step(self, action: PyTree) -> HostStep:
        """One step of each, and one more, which resets it, of each that ended."""
        theirs = self.action.to_theirs(action)
        after, reward, terminated, truncated, _ = self.envs.step(theirs)
        done = np.logical_or(terminated, truncated)
        obs = final = self.obs.to_ours(after)
        if done.any():
            ended = np.flatnonzero(done).astype(np.int32)
            fresh, *_, info = self.envs.step(theirs[ended], ended)
            obs = with_entries(final, info["env_id"], self.obs.to_ours(fresh))
        return HostStep(obs, np.asarray(reward, np.float32), terminated, truncated, final)

    def close(self) -> None:
        """Ends their threads."""
        self.envs.close()
