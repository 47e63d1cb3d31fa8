"""When things are due in a run: rows, evaluations, chunks, other env_params; and random streams."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import jaxtyping
from jaxtyping import Array

from vibe_rl.errors import ConfigError
from vibe_rl.ops import prng
from vibe_rl.runner.loop import chunk_capacity
from vibe_rl.types import PyTree

Stops = Sequence[Callable[[int], int]]
"""Functions from an update to the next one after which the host has something to do."""
Longest = Callable[[bool], int]
"""The most updates of the next chunk, given whether it is the first of its stage, whose speed is
not known yet."""
Seed = int | tuple[int, ...]
"""Of a run, or one for each of many."""
RunKey = jaxtyping.Key[Array, " *M"]
"""The key of a run, or one for each of many `[M]`."""


def next_due(interval: int, steps_per_update: int, update: int) -> int:
    """The first update after `update` whose env steps reach the next multiple of `interval`."""
    next_step = (update * steps_per_update // interval + 1) * interval
    return -(-next_step // steps_per_update)


def stream(seed: Seed, name: str) -> RunKey:
    """The root of one of a run's two independent random streams, "training" and "evaluation".

    With several seeds, the keys of all, `[M]`.
    """
    if isinstance(seed, tuple):
        return jnp.stack([stream(each, name) for each in seed])
    return jax.random.fold_in(prng.key(seed), ("training", "evaluation").index(name))


def evaluation_key(seed: Seed, update: int) -> RunKey:
    """The key of the evaluation after `update` updates, whatever else was evaluated."""
    if isinstance(seed, tuple):
        return jnp.stack([evaluation_key(each, update) for each in seed])
    return jax.random.fold_in(stream(seed, "evaluation"), update)


@dataclass(frozen=True)
class Timetable:
    """The updates after which rows, evaluations and chunks end.

    How updates are cut into chunks changes no bit of what is learned or logged.
    """

    n_updates: int
    steps_per_update: int  # env steps, over all envs
    log_interval: int  # env steps; 0: a row per update
    eval_every: int | None  # env steps; 0: at the end only; None: never

    def next_row(self, update: int) -> int:
        """The next update with which a row of metrics ends; with the last one, one always does."""
        return min(self._next_regular_row(update), self.n_updates)

    def ends_early(self, update: int) -> bool:
        """Whether a row ends here only because the run does: a longer run's would not."""
        return self._next_regular_row(update - 1) > update

    def _next_regular_row(self, update: int) -> int:
        """The same in a run without end."""
        intervals = [self.log_interval or self.steps_per_update, self.eval_every]
        return min(next_due(every, self.steps_per_update, update) for every in intervals if every)

    def next_evaluation(self, update: int) -> int:
        """The next update after which the agent is evaluated, if it ever is."""
        if not self.eval_every:
            return self.n_updates
        return min(next_due(self.eval_every, self.steps_per_update, update), self.n_updates)

    def evaluates_after(self, update: int) -> bool:
        """Whether the agent is evaluated after this update."""
        return self.eval_every is not None and self.next_evaluation(update - 1) == update

    def is_cut(self, update: int, scores: object | None) -> bool:
        """Whether the evaluation after this update was begun or due, and has no results."""
        return scores is None and self.evaluates_after(update)

    def chunks(
        self, begin: int, end: int, longest: Longest, stops: Stops
    ) -> Iterator[tuple[int, int]]:
        """First update and length of the chunks from `begin` to `end`, each as `longest` says.

        None crosses an evaluation, nor what `stops` name as the next update to stop at.
        """
        capacity, first = chunk_capacity(self.steps_per_update), begin
        while begin < end:
            most = min(max(longest(begin == first), 1), capacity)
            stop = min(following(begin) for following in (self.next_evaluation, *stops))
            n_updates = min(begin + most, end, stop) - begin
            yield begin, n_updates
            begin += n_updates


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

    def next_change(self, update: int) -> int:
        """The first update after `update` that has params of its own."""
        return (update // self.every + 1) * self.every


def params_at(env_params: PyTree, update: int) -> PyTree:
    """The env_params of an update, whether they are fixed or scheduled."""
    if not isinstance(env_params, EnvParamsSchedule):
        return env_params
    return env_params.at(update // env_params.every * env_params.every)


class ParamsAhead:
    """The env_params of every update, those of the next block computed while this one is used.

    Args:
        schedule: what computes them.
        first: those of update 0, which all others must have the shapes and types of.
        n_updates: of the run; nothing is computed beyond.
    """

    def __init__(self, schedule: EnvParamsSchedule, first: PyTree, n_updates: int):
        self._schedule, self._first, self._n_updates = schedule, first, n_updates
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
        env_params = self._schedule.at(begin)
        check_same_shapes(env_params, self._first, begin)
        return env_params

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
    env_params: PyTree, first: PyTree, n_updates: int
) -> Iterator[tuple[Callable[[int], PyTree], Stops]]:
    """What gives the params of an update, of which `first` is the first's, and when they change."""
    if not isinstance(env_params, EnvParamsSchedule):
        yield lambda update: env_params, ()
        return
    with ParamsAhead(env_params, first, n_updates) as ahead:
        yield ahead, (env_params.next_change,)
