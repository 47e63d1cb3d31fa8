"""Agents of which some take over the states of others and continue with other hyperparameters.

The device's part in population-based training (Jaderberg et al. 2017, arXiv:1711.09846). States are
exchanged in memory, between two chunks; hyperparameters are leaves, so no program is compiled for
others. Checkpoints are of the states before an exchange: what resumes from one exchanges again, and
as the choice is determined, has the same result.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from vibe_rl.runner.loop import TrainState
from vibe_rl.runner.run import Run
from vibe_rl.types import is_key


@runtime_checkable
class Exchanger(Protocol):
    """Who decides with whose state, and with which hyperparameters, each agent continues."""

    runs: list[Run]
    """The agents' runs, with their present hyperparameters."""

    @property
    def every(self) -> int:
        """Env steps from one exchange to the next."""
        ...

    def begin(self, step: int, diverged: Mapping[int, str]) -> None:
        """Training begins at env step `step`, before an exchange there; see `Hosts.diverged`."""
        ...

    def exchange(self, step: int) -> Sequence[int]:
        """The place of the agent whose state each of them has from now on."""
        ...


def take_over(state: TrainState, sources: Sequence[int]) -> TrainState:
    """The states of `sources`, with their envs; streams of keys stay one's own."""
    sharding = state.key.sharding
    spread = sharding if isinstance(sharding, NamedSharding) else None
    return _take_over(spread)(state, jnp.asarray(sources, jnp.int32))


@lru_cache(maxsize=8)
def _take_over(spread: NamedSharding | None) -> Any:
    where: dict[str, Any] = {} if spread is None else {"out_shardings": spread}
    return jax.jit(states_of, donate_argnums=0, **where)


def states_of(state: TrainState, sources: jax.Array) -> TrainState:
    """See `take_over`."""

    def of_source(x: jax.Array) -> jax.Array:
        return x if is_key(x) else x[sources]

    return TrainState(
        agent_state=jax.tree.map(of_source, state.agent_state),
        env_state=jax.tree.map(lambda x: x[sources], state.env_state),
        obs=jax.tree.map(lambda x: x[sources], state.obs),
        key=state.key,
    )
