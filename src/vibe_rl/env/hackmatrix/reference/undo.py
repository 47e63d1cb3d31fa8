"""What UNDO brings back."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from vibe_rl.env.hackmatrix.reference.state import Enemy, Snapshot, State, Transmission, copied_game

Being = TypeVar("Being", Enemy, Transmission)


def remember(state: State) -> None:
    """Adds a snapshot to the history, whose oldest one goes if it is full."""
    snapshot = Snapshot(
        replace(state.player),
        set(state.owned),
        state.turn,
        state.show,
        state.calm,
        state.atk_uses,
        copied_game(state.cells),
        without_origin(state.enemies),
        without_origin(state.transmissions),
    )
    kept = [*state.history, snapshot]
    state.history = kept[max(0, len(kept) - state.undo_depth) :]


def without_origin(beings: Iterable[Being]) -> list[Being]:
    """Copies that neither the schedule nor a siphon sent."""
    return [replace(each, from_schedule=False, from_siphon=False) for each in beings]


def restore(state: State) -> None:
    """Goes back to the last snapshot, which leaves the history.

    The stage, its exit, the schedule, what siphons released and STEP stay as they are.
    """
    last = state.history.pop()
    state.player, state.owned, state.cells = last.player, last.owned, last.cells
    state.enemies, state.transmissions = last.enemies, last.transmissions
    state.turn, state.show, state.calm = last.turn, last.show, last.calm
    state.atk_uses = last.atk_uses
