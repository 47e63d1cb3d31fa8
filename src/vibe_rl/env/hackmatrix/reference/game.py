"""The game: a start, what is allowed, and a step."""

from dataclasses import dataclass, field

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import reward
from vibe_rl.env.hackmatrix.reference.chance import Chance
from vibe_rl.env.hackmatrix.reference.damage import Deeds
from vibe_rl.env.hackmatrix.reference.enemies import enemy_turn
from vibe_rl.env.hackmatrix.reference.moves import may_move, move
from vibe_rl.env.hackmatrix.reference.observation import flat, observation
from vibe_rl.env.hackmatrix.reference.programs import may_run, run_program
from vibe_rl.env.hackmatrix.reference.siphon import siphon, siphon_quality
from vibe_rl.env.hackmatrix.reference.stage import complete_stage
from vibe_rl.env.hackmatrix.reference.stage import new_game as reset
from vibe_rl.env.hackmatrix.reference.state import State
from vibe_rl.errors import ConfigError, unknown

__all__ = ["StepOutcome", "flat", "legal", "observation", "reset", "step"]


@dataclass
class StepOutcome:
    """What a step brought. `reward` is the sum of `parts`."""

    parts: dict[str, float] = field(default_factory=reward.no_parts)
    died: bool = False
    won: bool = False
    invalid: bool = False  # the action was not allowed
    stage_complete: bool = False
    siphon_death: bool = False
    kills: int = 0  # that the reward counts
    siphons_collected: int = 0
    siphons_used: int = 0
    programs_used: int = 0

    @property
    def reward(self) -> float:
        """The sum of the parts."""
        return sum(self.parts.values())

    @property
    def done(self) -> bool:
        """Whether the game is over."""
        return self.died or self.won or self.invalid


def legal(state: State) -> list[int]:
    """The actions that are allowed, in ascending order."""
    return [action for action in range(rules.N_ACTIONS) if is_legal(state, action)]


def is_legal(state: State, action: int) -> bool:
    """Whether an action is allowed."""
    if action in rules.MOVES:
        return may_move(state, action)
    if action == rules.SIPHON:
        return state.player.data_siphons > 0
    return may_run(state, action - rules.FIRST_PROGRAM)


def step(state: State, action: int, chance: Chance, shaping: str = reward.PUBLISHED) -> StepOutcome:
    """Plays an action, which changes `state`; one that is not allowed changes nothing.

    Raises:
        ConfigError: there is no such action, or no such shaping.
    """
    check_arguments(action, shaping)
    if not is_legal(state, action):
        return StepOutcome(invalid=True)
    exit_pos, before = state.exit_pos, reward.facts_for_reward(state, state.exit_pos)
    missed = siphon_quality(state) if action == rules.SIPHON else 0
    deeds = _act(state, action, chance)
    if deeds.exit_reached:
        complete_stage(state, chance)
    elif ends_turn(action):
        enemy_turn(state, chance)
    after, signed = reward.facts_for_reward(state, exit_pos), shaping == reward.SIGNED
    siphon_death = reward.is_siphon_death(state)
    return _outcome(reward.Change(action, before, after, deeds, missed, siphon_death, signed))


def check_arguments(action: int, shaping: str) -> None:
    """Raises ConfigError if there is no such action or shaping."""
    if not 0 <= action < rules.N_ACTIONS:
        raise ConfigError(f"action {action}: give a number from 0 to {rules.N_ACTIONS - 1}.")
    if shaping not in reward.SHAPINGS:
        raise unknown("shaping", shaping, reward.SHAPINGS)


def _act(state: State, action: int, chance: Chance) -> Deeds:
    """The player's part of a step."""
    deeds = Deeds()
    if action in rules.MOVES:
        move(state, action, deeds)
    elif action == rules.SIPHON:
        siphon(state, deeds)
    else:
        run_program(state, action - rules.FIRST_PROGRAM, chance, deeds)
    return deeds


def ends_turn(action: int) -> bool:
    """Whether the enemies' turn follows: after a move, an attack, a siphon or WAIT."""
    return action <= rules.SIPHON or action == rules.FIRST_PROGRAM + rules.WAIT


def _outcome(change: reward.Change) -> StepOutcome:
    """That of a step that was allowed."""
    return StepOutcome(
        reward.reward_parts(change),
        died=change.died,
        won=change.won,
        stage_complete=change.deeds.exit_reached,
        siphon_death=change.siphon_death,
        kills=change.deeds.kills,
        siphons_collected=change.deeds.collected,
        siphons_used=change.deeds.siphoned,
        programs_used=change.deeds.programs,
    )
