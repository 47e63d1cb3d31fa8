"""When things are due in a run: rows of metrics, evaluations, and the chunks between them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vibe_rl.runner.loop import chunk_capacity

Stops = Sequence[Callable[[int], int]]
"""Functions from an update to the next one after which the host has something to do."""
Longest = Callable[[bool], int]
"""The most updates of the next chunk, given whether it is the first of its stage, whose speed is
not known yet."""


def next_due(interval: int, steps_per_update: int, update: int) -> int:
    """The first update after `update` whose env steps reach the next multiple of `interval`."""
    next_step = (update * steps_per_update // interval + 1) * interval
    return -(-next_step // steps_per_update)


@dataclass(frozen=True)
class Timetable:
    """The updates after which rows, evaluations and chunks end.

    How updates are cut into chunks changes no bit of what is learned or logged.
    """

    n_updates: int
    steps_per_update: int  # env steps, over all envs
    log_interval: int  # env steps; 0: a row per update
    eval_every: int | None  # env steps; 0: at the end only; None: never
    each_episode: bool = False  # whether single episodes have rows of their own

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
        capacity, first = chunk_capacity(self.steps_per_update, self.each_episode), begin
        while begin < end:
            most = min(max(longest(begin == first), 1), capacity)
            stop = min(following(begin) for following in (self.next_evaluation, *stops))
            n_updates = min(begin + most, end, stop) - begin
            yield begin, n_updates
            begin += n_updates
