"""Running batches of Gymnasium's environments, each of which resets itself at an episode's end.

Gymnasium's batches do so within the step that ends the episode (`AutoresetMode.SAME_STEP`), where
they can. Those that its environments bring along may wait for the next step, in which such an
environment takes no action; `RESTARTS` has how these are reset at once instead.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from vibe_rl.env.adapters.gymnasium_spaces import Conversion
from vibe_rl.env.host import HostStep
from vibe_rl.errors import ConfigError
from vibe_rl.types import PyTree

Restart = Callable[[Any, np.ndarray], PyTree]
"""`restart(envs, done)`: resets the envs that are done; what all envs show then."""


def restart_cart_pole(envs: Any, done: np.ndarray) -> np.ndarray:
    """As the next step of a `CartPoleVectorEnv` does, with the same random numbers."""
    envs.state[:, done] = envs.np_random.uniform(envs.low, envs.high, (4, done.sum()))
    envs.steps[done] = 0
    envs.prev_done = np.zeros_like(done)
    return envs.state.T.astype(np.float32)


RESTARTS: dict[str, Restart] = {
    "gymnasium.envs.classic_control.cartpole:CartPoleVectorEnv": restart_cart_pole,
}
"""By the `vector_entry_point` of an environment's spec."""


class GymnasiumEnvs:
    """Running environments; see `vibe_rl.env.host.HostEnvs`.

    `envs` is one of Gymnasium's vector environments and `seed` what it is reset with. `said` are
    the names of scalars of `info["episode"]`. `restart` resets what does not reset itself at once.
    """

    def __init__(
        self,
        envs: Any,
        seed: Any,
        spaces: tuple[Conversion, Conversion],
        said: tuple[str, ...] = (),
        restart: Restart | None = None,
    ):
        self.envs, self.seed, self.said, self.restart = envs, seed, said, restart
        self.obs, self.action = spaces

    def reset(self) -> PyTree:
        """The first observations."""
        return self.obs.to_ours(self.envs.reset(seed=self.seed)[0])

    def step(self, action: PyTree) -> HostStep:
        """One step of each."""
        after, reward, terminated, truncated, info = self.envs.step(self.action.to_theirs(action))
        done = np.logical_or(terminated, truncated)
        obs = final = self.obs.to_ours(after)
        if done.any() and self.restart is not None:
            obs = self.obs.to_ours(self.restart(self.envs, done))
        elif done.any():
            ended = np.flatnonzero(done)
            final = with_entries(obs, ended, self.obs.to_ours(_stacked(info["final_obs"], ended)))
        said = _said_of_episodes(self.said, info, done) if self.said else {}
        return HostStep(obs, np.asarray(reward, np.float32), terminated, truncated, final, said)

    def close(self) -> None:
        """Ends them, and their processes."""
        self.envs.close()


def _stacked(examples: Any, indices: np.ndarray) -> PyTree:
    """Some of the examples as one batch."""
    return jax.tree.map(lambda *x: np.stack(x), *(examples[i] for i in indices))


def with_entries(batch: PyTree, indices: np.ndarray, entries: PyTree) -> PyTree:
    """A copy of a batch that has `entries` at these indices."""

    def written(array: np.ndarray, new: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[indices] = new
        return array

    return jax.tree.map(written, batch, entries)


def _said_of_episodes(
    names: Iterable[str], info: Mapping[str, Any], done: np.ndarray
) -> dict[str, np.ndarray]:
    """The scalars `[N]` of `info["episode"]` of the episodes that are done, NaN of others.

    Raises:
        ConfigError: one of them lacks one.
    """
    found, said = info.get("final_info", {}).get("episode", {}), {}
    for name in names:
        values = np.asarray(found.get(name, np.zeros(len(done))), np.float32)
        if np.any(done & ~found.get(f"_{name}", np.zeros(len(done), bool))):
            raise ConfigError(
                f'an episode ended without info["episode"][{name!r}]: write it at every end, or '
                "leave it out of episode_metrics."
            )
        said[name] = np.where(done, values, np.float32(np.nan))
    return said
