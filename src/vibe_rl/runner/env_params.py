"""env_params that change while a run trains, computed on the host ahead of need."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import jax

from vibe_rl.errors import ConfigError, short, whole_number
from vibe_rl.runner.schedule import Stops
from vibe_rl.types import PyTree


@dataclass(frozen=True)
class EnvParamsSchedule:
    """env_params that change while a run trains: a curriculum, fresh scenarios.

    Where there is much to choose from, let it lie on the device and be indexed by a number that
    `at` returns among the params.
    """

    at: Callable[[int], PyTree]
    """The env_params from this update on, a multiple of `every`.

    Must be pure: a resumed run calls it anew, and so may a run that has not reached the update yet,
    in a thread of its own."""
    every: int
    """Updates for which params stay; no chunk crosses a multiple of them."""
    restarts: bool = False
    """Whether another world begins with them, such as another bank of scenarios: episodes under way
    are truncated there, and all envs are reset in the new params."""

    def __post_init__(self):
        if not callable(self.at):
            raise ConfigError(f"at {short(self.at)} of a schedule of env_params: give a function.")
        every = whole_number("every", self.every, 1, "a schedule of env_params")
        object.__setattr__(self, "every", every)

    def next_change(self, update: int) -> int:
        """The first update after `update` that has params of its own."""
        return (update // self.every + 1) * self.every


def params_at(env_params: PyTree, update: int) -> PyTree:
    """The env_params of an update, whether they are fixed or scheduled."""
    if not isinstance(env_params, EnvParamsSchedule):
        return env_params
    return env_params.at(update // env_params.every * env_params.every)


def restarts_at(env_params: PyTree, update: int) -> bool:
    """Whether fresh envs begin with an update, for its params bring another world."""
    if not isinstance(env_params, EnvParamsSchedule) or not env_params.restarts:
        return False
    return update > 0 and update % env_params.every == 0


class ParamsAhead:
    """The env_params of every update, those of the next block made while this one is used.

    They are computed and on their way to the devices before they are needed, so that the devices
    have two blocks, and for a moment three.

    Args:
        schedule: what computes them.
        first: those of update 0, which all others must have the shapes and types of.
        n_updates: of the run; nothing is computed beyond.
        place: puts params where the envs are.
    """

    def __init__(
        self,
        schedule: EnvParamsSchedule,
        first: PyTree,
        n_updates: int,
        place: Callable[[PyTree], PyTree] = lambda env_params: env_params,
    ):
        self._schedule, self._first, self._n_updates = schedule, first, n_updates
        self._place = place
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._blocks: dict[int, Future[PyTree]] = {}  # by their first update

    def __call__(self, update: int) -> PyTree:
        """The params of `update`; waits only if they are not ready yet."""
        begin = update // self._schedule.every * self._schedule.every
        following = self._schedule.next_change(begin)
        wanted = [begin, following] if following < self._n_updates else [begin]
        ask = self._thread.submit
        before = self._blocks
        self._blocks = {b: before[b] if b in before else ask(self._block, b) for b in wanted}
        return self._blocks[begin].result()

    def _block(self, begin: int) -> PyTree:
        env_params = self._schedule.at(begin) if begin else self._first
        check_same_shapes(env_params, self._first, begin)
        return self._place(env_params)

    def __enter__(self) -> "ParamsAhead":
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown(cancel_futures=True)


def check_same_shapes(env_params: PyTree, first: PyTree, update: int) -> None:
    """Raises ConfigError if scheduled params differ from the first in structure, shape or type."""
    now, like = (jax.eval_shape(lambda x: x, params) for params in (env_params, first))
    if jax.tree.structure(now) != jax.tree.structure(like) or now != like:
        raise ConfigError(
            f"env_params of update {update} differ from those of update 0 in shape or type: a "
            "schedule has to keep both."
        )


@contextmanager
def params_of(
    env_params: PyTree, first: PyTree, n_updates: int, place: Callable[[PyTree], PyTree]
) -> Iterator[tuple[Callable[[int], PyTree], Stops]]:
    """What gives the params of an update, of which `first` is the first's, and when they change."""
    if not isinstance(env_params, EnvParamsSchedule):
        placed = place(env_params)
        yield lambda update: placed, ()
        return
    with ParamsAhead(env_params, first, n_updates, place) as ahead:
        yield ahead, (env_params.next_change,)
