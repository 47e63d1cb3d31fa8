"""Which scenarios are held out: whole groups, by a hash of their names.

A group is what scenarios share that were cut from one scene, or a generated scene alone. Adding
scenarios moves none from one side to the other.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vibe_rl.errors import ConfigError, unknown

SPLITS = ("train", "valid", "all")
_BUCKETS = 10_000


class SplitRule(NamedTuple):
    """How groups are divided."""

    salt: str = "vibe"  # another one divides them anew
    valid_fraction: float = 0.1  # of the groups, about


class Members(NamedTuple):
    """Scenarios of one set that are on one side."""

    places: np.ndarray  # int64, of each within the set, ascending
    ids: Sequence[int]
    groups: Sequence[str]


def check_rule(rule: SplitRule) -> None:
    """Raises ConfigError unless the rule holds a share of the groups out."""
    if not 0 <= rule.valid_fraction <= 1:
        raise ConfigError(f"valid_fraction {rule.valid_fraction}: give a fraction from 0 to 1.")


def hashed(text: str) -> int:
    """32 bits that belong to a text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def is_held_out(group: str, rule: SplitRule) -> bool:
    """Whether a group belongs to the split "valid" and not to "train"."""
    return hashed(f"{rule.salt}:{group}") % _BUCKETS < _BUCKETS * rule.valid_fraction


def members_of_split(
    ids: Sequence[int], groups: Sequence[str], rule: SplitRule, split: str
) -> Members:
    """Those of "train", of "valid", or all.

    Raises:
        ConfigError: there is no such split.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    side = {group: "valid" if is_held_out(group, rule) else "train" for group in {*groups}}
    places = [i for i, group in enumerate(groups) if split in ("all", side[group])]
    return Members(
        np.array(places, np.int64), [ids[i] for i in places], [groups[i] for i in places]
    )


def check_disjoint(train: Members, valid: Members) -> None:
    """Asserts that two splits have neither a scenario nor a group in common.

    Raises:
        ConfigError: they have; names the first.
    """
    both = sorted({*train.ids} & {*valid.ids}), sorted({*train.groups} & {*valid.groups})
    for kind, shared in zip(("scenario", "group"), both, strict=True):
        if shared:
            raise ConfigError(
                f"the {kind} {shared[0]} (and {len(shared) - 1} more) is in training and held out: "
                "take both splits from one set, or sets that share none, such as of another seed."
            )


def at_most(found: Members, limit: int | None, rule: SplitRule) -> Members:
    """At most `limit` of them, chosen by a hash and not by their order, which may follow families.

    Fewer are always among more.
    """
    if limit is None or limit >= len(found.ids):
        return found
    order = sorted(range(len(found.ids)), key=lambda i: hashed(f"{rule.salt}:limit:{found.ids[i]}"))
    kept = sorted(order[:limit])
    return Members(
        found.places[kept], [found.ids[i] for i in kept], [found.groups[i] for i in kept]
    )
