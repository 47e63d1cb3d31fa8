"""Which operations of a compiled program wait for other devices, and in which order."""

import re
from collections.abc import Iterator
from itertools import permutations
from typing import Any

COLLECTIVES = ("AllGather", "AllReduce", "ReduceScatter", "AllToAll", "CollectivePermute")
CALLED = re.compile(r"(?:to_apply|body|condition|computations?)=(\{[^}]*\}|\S+)")


def unordered(program: Any) -> list[tuple[str, str]]:
    """Pairs of a loop in which devices meet, and where they meet without having been through it.

    Devices may take such a pair in either order, and wait for each other for ever.
    """
    (module,) = program.runtime_executable().hlo_modules()
    bodies = {body.name: list(body.instructions()) for body in module.computations()}
    return [pair for body in bodies.values() for pair in _unordered(body, bodies)]


def _unordered(body: list[Any], bodies: dict[str, list[Any]]) -> Iterator[tuple[str, str]]:
    meetings = [operation for operation in body if _meets(operation, bodies)]
    later = {meeting.name: _readers(meeting) for meeting in meetings}
    for one, other in permutations(meetings, 2):
        apart = other.name not in later[one.name] and one.name not in later[other.name]
        if apart and not _is_collective(one):
            yield one.name, other.name


def _meets(operation: Any, bodies: dict[str, list[Any]]) -> bool:
    if operation.opcode.name not in ("kWhile", "kConditional", "kCall"):
        return _is_collective(operation)
    called = re.findall(r"%([\w.\-]+)", " ".join(CALLED.findall(operation.to_string())))
    return any(_meets(inner, bodies) for name in called for inner in bodies[name])


def _is_collective(operation: Any) -> bool:
    return operation.opcode.name.removeprefix("k").startswith(COLLECTIVES)


def _readers(operation: Any) -> set[str]:
    """The names of all operations that need its result, at one remove or more."""
    found, ahead = set(), [operation]
    while ahead:
        new = [user for user in ahead.pop().users() if user.name not in found]
        found |= {user.name for user in new}
        ahead += new
    return found
