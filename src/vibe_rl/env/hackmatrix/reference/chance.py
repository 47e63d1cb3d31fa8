"""Where the game's random numbers come from: a whole number below 2^24 for each named slot.

Each place that draws has slots of its own, so that a place that draws more shifts no other:

    ("reset", "corner"), ("reset", "bonus")    the player's corner, what the player starts with
    ("gen", "exit"), ("gen", "count")          of a stage: its exit, its number of blocks
    ("gen", "att", a, "blk", j, "cell" | "data" | "q" | "val")    block j of layout attempt a
    ("gen", "res", cell, "amount" | "kind")    what lies on a cell, numbered row by row
    ("gen", "tx", i, "cell" | "type")          transmission i that comes with a stage
    ("turn", "order", s, i)                    rank of the i-th enemy in sub-step s
    ("turn", "sched", "cell" | "type")         the scheduled transmission
    ("turn", "siph", i, "cell" | "type")       transmission i that siphoning released
    ("prog", "warp"), ("prog", "poly", i)      WARP's target, the i-th enemy's new type
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from vibe_rl.env.hackmatrix import rules

Slot = tuple[str | int, ...]
Chance = Callable[[Slot], int]
"""The draw of a slot."""
T = TypeVar("T")


def random_chance(random: Random) -> Chance:
    """Draws anew each time, whatever the slot."""
    return lambda slot: random.randrange(rules.DRAWS)


def pick_below(draw: int, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[draw * len(options) // rules.DRAWS]


def coin(draw: int) -> bool:
    """Heads, once in two times."""
    return draw < rules.COIN


def hides(draw: int) -> bool:
    """Whether a block's contents are hidden, once in ten times."""
    return draw < rules.HIDDEN


def amount(draw: int) -> int:
    """1, 2 or 3 units of a resource."""
    return 1 + sum(draw >= threshold for threshold in rules.AMOUNTS)


def order(draws: Sequence[int]) -> list[int]:
    """The places of the draws from the lowest draw to the highest; earlier ones win ties."""
    return sorted(range(len(draws)), key=lambda i: (draws[i], i))
