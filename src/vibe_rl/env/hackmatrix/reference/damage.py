"""What hits and kills, and which kills count."""

from collections.abc import Sequence
from dataclasses import dataclass

from vibe_rl.env.hackmatrix.reference.state import Enemy, State, Transmission


@dataclass(slots=True)
class Deeds:
    """What an action of the player did, as far as the reward and the counts ask for it."""

    kills: int = 0  # of enemies and transmissions that the schedule did not send
    collected: int = 0  # data siphons walked onto
    siphoned: int = 0  # siphons used
    programs: int = 0  # programs run
    exit_reached: bool = False


def counts(victim: Enemy | Transmission) -> int:
    """Kills that one is worth: those that the schedule sent are worth none."""
    return int(not victim.from_schedule)


def kill(state: State, victims: Sequence[Enemy | Transmission], deeds: Deeds) -> None:
    """Takes all of them away."""
    state.remove(victims)
    deeds.kills += sum(map(counts, victims))


def damage(state: State, victims: Sequence[Enemy], hp: int, deeds: Deeds) -> None:
    """Takes hp from all of them; those who survive are stunned."""
    for enemy in victims:
        enemy.hp = max(0, enemy.hp - hp)
        enemy.stunned = enemy.stunned or enemy.hp > 0
    kill(state, [enemy for enemy in victims if enemy.hp == 0], deeds)
