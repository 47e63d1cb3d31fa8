"""The reward: 15 parts, each a function of how an action changed the game."""

from collections.abc import Callable
from dataclasses import dataclass

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import Place, apart
from vibe_rl.env.hackmatrix.reference.damage import Deeds
from vibe_rl.env.hackmatrix.reference.paths import path_distance
from vibe_rl.env.hackmatrix.reference.state import State

PUBLISHED, SIGNED = SHAPINGS = ("published", "signed")
"""Whether distance to the exit pays only where it shrinks, or costs where it grows."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the reward compares before and after."""

    stage: int
    score: int
    hp: int
    credits: int
    energy: int
    distance: int


def facts_for_reward(state: State, exit_pos: Place) -> _Facts:
    """Those of a state, with the steps to this exit."""
    player = state.player
    distance = path_distance(state, player.place, exit_pos)
    return _Facts(state.stage, player.score, player.hp, player.credits, player.energy, distance)


@dataclass(frozen=True, slots=True)
class Change:
    """A legal step, as the reward sees it."""

    action: int
    before: _Facts
    after: _Facts
    deeds: Deeds
    missed: int = 0  # credits and energy that a siphon missed
    siphon_death: bool = False
    signed: bool = False  # the shaping

    @property
    def died(self) -> bool:
        """Whether the player has no hp left."""
        return self.after.hp == 0

    @property
    def won(self) -> bool:
        """Whether the last stage is complete."""
        return self.after.stage == rules.WON


def is_siphon_death(state: State) -> bool:
    """Whether the player is dead and beside an enemy that a siphon released, whoever struck."""
    near = [enemy for enemy in state.enemies if apart(enemy.place, state.player.place) == 1]
    return state.player.hp == 0 and any(enemy.from_siphon for enemy in near)


def step_penalty(change: Change) -> float:
    """Of every step."""
    return -0.01


def _stage_completion(change: Change) -> float:
    """More for later stages."""
    paid = rules.STAGE_REWARDS[change.before.stage - 1]
    return float(paid) if change.deeds.exit_reached else 0.0


def score_gain(change: Change) -> float:
    """Half a score's point; negative where UNDO takes some back."""
    return 0.5 * (change.after.score - change.before.score)


def kills(change: Change) -> float:
    """Of enemies and transmissions that the schedule did not send."""
    return 0.3 * change.deeds.kills


def data_siphon(change: Change) -> float:
    """Of a data siphon that was walked onto."""
    return 1.0 * change.deeds.collected


def distance_shaping(change: Change) -> float:
    """Of coming nearer to the exit."""
    if change.died:
        return 0.0
    left = 0 if change.deeds.exit_reached else change.after.distance
    nearer = change.before.distance - left
    return 0.05 * (nearer if change.signed else max(0, nearer))


def damage_penalty(change: Change) -> float:
    """Of hp lost."""
    return -1.0 * max(0, change.before.hp - change.after.hp)


def hp_recovery(change: Change) -> float:
    """Of hp won back."""
    return 1.0 * max(0, change.after.hp - change.before.hp)


def _victory(change: Change) -> float:
    """Of the last stage, more with a higher score."""
    reward = rules.VICTORY_REWARD + rules.VICTORY_PER_POINT * change.after.score
    return float(reward) if change.won else 0.0


def death_penalty(change: Change) -> float:
    """Half of what the stages before have paid."""
    paid = sum(rules.STAGE_REWARDS[: change.before.stage - 1])
    return -0.5 * paid if change.died else 0.0


def siphon_death_penalty(change: Change) -> float:
    """Of dying beside an enemy that a siphon released."""
    return -10.0 if change.siphon_death else 0.0


def resource_gain(change: Change) -> float:
    """Of credits and energy, negative where they are paid."""
    credits = change.after.credits - change.before.credits
    return 0.05 * (credits + change.after.energy - change.before.energy)


def resource_holding(change: Change) -> float:
    """Of credits and energy that one has when a stage is complete."""
    held = change.after.credits + change.after.energy
    return 0.01 * held if change.deeds.exit_reached else 0.0


def _program_waste(change: Change) -> float:
    """Of RESET for a single hp."""
    is_reset = change.action == rules.FIRST_PROGRAM + rules.RESET
    return -0.3 if is_reset and change.before.hp == rules.MAX_HP - 1 else 0.0


def _siphon_quality(change: Change) -> float:
    """Of what a siphon elsewhere would have brought besides."""
    return -0.5 * 0.05 * change.missed


TERMS: dict[str, Callable[[Change], float]] = {
    "step_penalty": step_penalty,
    "stage_completion": _stage_completion,
    "score_gain": score_gain,
    "kills": kills,
    "data_siphon": data_siphon,
    "distance_shaping": distance_shaping,
    "damage_penalty": damage_penalty,
    "hp_recovery": hp_recovery,
    "victory": _victory,
    "death_penalty": death_penalty,
    "siphon_death_penalty": siphon_death_penalty,
    "resource_gain": resource_gain,
    "resource_holding": resource_holding,
    "program_waste": _program_waste,
    "siphon_quality": _siphon_quality,
}


def no_parts() -> dict[str, float]:
    """Those of an action that is not allowed."""
    return dict.fromkeys(rules.PARTS, 0.0)


def reward_parts(change: Change) -> dict[str, float]:
    """All 15, whose sum is the reward."""
    return {name: TERMS[name](change) for name in rules.PARTS}
