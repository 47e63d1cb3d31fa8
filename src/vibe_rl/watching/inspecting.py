"""What an agent thinks, step by step, as text."""

from collections.abc import Iterator
from itertools import islice, pairwise

from vibe_rl.watching.episodes import turns
from vibe_rl.watching.escapes import Look, lines
from vibe_rl.watching.lines import end_line, step_block
from vibe_rl.watching.showing import check_positive
from vibe_rl.watching.subjects import Subject


def inspect(
    subject: Subject,
    *,
    steps: int = 10,
    seed: int | None = None,
    max_steps: int | None = None,
    unicode: bool = True,
) -> Iterator[str]:
    """Lines about the first steps of an episode: observation, options, action and reward.

    Args:
        subject: who plays.
        steps: at most so many.
        seed: of the episode; None takes the first of the evaluation at the checkpoint's step.
        max_steps: env steps after which the episode is cut short; None takes the run's limit.
        unicode: whether bars are drawn in blocks instead of ASCII.

    Raises:
        ConfigError: an argument cannot work.
    """
    check_positive(steps=steps, max_steps=max_steps)
    yield subject.title
    names, look = subject.action_names, Look(0, unicode)
    with subject.open() as game:
        limit = max_steps or subject.max_steps
        episode = turns(game, subject.decide, subject.keys(1, seed)[0], limit)
        for (moment, decision), (after, _) in islice(pairwise(episode), steps):
            assert decision is not None
            yield ""
            yield from lines(tuple(step_block(moment, decision, after, names)), look)
    if after.done:
        yield end_line(1, after)
