"""The enemies' turn, which follows a move, an attack, a siphon and WAIT."""

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.board import apart
from vibe_rl.env.hackmatrix.reference.chance import Chance, order
from vibe_rl.env.hackmatrix.reference.paths import next_place
from vibe_rl.env.hackmatrix.reference.spawning import spawn
from vibe_rl.env.hackmatrix.reference.state import Enemy, State, Transmission
from vibe_rl.env.hackmatrix.reference.undo import remember


def enemy_turn(state: State, chance: Chance) -> None:
    """The whole turn; nothing of it if STEP was run before."""
    if state.step_armed:
        state.step_armed = False
        return
    state.turn += 1
    hatch(state)
    _act(state, chance)
    spawn_scheduled(state, chance)
    spawn_pending(state, chance)
    for enemy in state.enemies:
        enemy.disabled, enemy.stunned = max(0, enemy.disabled - 1), False
    remember(state)


def hatch(state: State) -> None:
    """Every transmission ticks, or becomes an enemy; without room for one it waits."""
    waiting = []
    for each in state.transmissions:
        if each.timer > 1:
            each.timer -= 1
            waiting.append(each)
        elif len(state.enemies) < rules.MOST_ENEMIES:
            state.enemies.append(hatched(each))
        else:
            waiting.append(each)
    state.transmissions = waiting


def hatched(egg: Transmission) -> Enemy:
    """The enemy that comes out of a transmission."""
    return Enemy(
        egg.type,
        egg.row,
        egg.col,
        rules.ENEMIES[egg.type].max_hp,
        disabled=rules.HATCHED_DISABLED,
        from_schedule=egg.from_schedule,
        from_siphon=egg.from_siphon,
    )


def _act(state: State, chance: Chance) -> None:
    """The sub-steps, in each of which all enemies act one after the other.

    They go on when the player is dead; an enemy that has attacked is done for this turn.
    """
    done: set[int] = set()
    for sub_step in range(max((enemy.kind.speed for enemy in state.enemies), default=1)):
        draws = [chance(("turn", "order", sub_step, i)) for i in range(len(state.enemies))]
        for i in order(draws):
            enemy = state.enemies[i]
            if i in done or not can_act(enemy, sub_step):
                continue
            if apart(enemy.place, state.player.place) == 1:
                state.player.hp = max(0, state.player.hp - 1)
                done.add(i)
            else:
                enemy.go(next_place(state, enemy))


def can_act(enemy: Enemy, sub_step: int) -> bool:
    """Whether an enemy that has not attacked yet acts in a sub-step."""
    return enemy.disabled == 0 and not enemy.stunned and sub_step < enemy.kind.speed


def spawn_scheduled(state: State, chance: Chance) -> None:
    """A transmission of the schedule, if it is time for one and CALM is off."""
    if not state.calm and state.turn >= state.next_spawn_turn:
        spawn(state, ("turn", "sched"), chance, from_schedule=True)
        state.next_spawn_turn = state.turn + state.interval


def spawn_pending(state: State, chance: Chance) -> None:
    """What siphons released, as far as the board has room."""
    for i in range(min(state.pending, rules.N_CELLS)):
        spawn(state, ("turn", "siph", i), chance, from_siphon=True)
    state.pending = 0
