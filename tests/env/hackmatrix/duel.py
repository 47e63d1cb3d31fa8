"""Random games played by both engines with the same numbers, and compared after every step."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from random import Random
from typing import Any

import jax
import numpy as np
from agreement import Both, chance_of, game_of, random_numbers, stack, state_of, unstack
from random_states import random_state
from rules_met import Met

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.chance import BEGIN, STEP
from vibe_rl.env.hackmatrix.reference import game
from vibe_rl.env.hackmatrix.reference.board import NEIGHBOURS
from vibe_rl.env.hackmatrix.reference.moves import first_target, moved
from vibe_rl.env.hackmatrix.reference.state import Enemy, State
from vibe_rl.env.hackmatrix.state import GameState
from vibe_rl.types import MaskedObs

SET, ILLEGAL, LATE = 0.3, 0.01, 0.02
"""How often a new state is set, an action is illegal, and a step is the last that time allows."""
AT_EXIT, ONLY_WARP, HUDDLED = 0.15, 0.04, 0.2
"""How often a state has its player beside the exit, only WARP to run, and crowds."""
EXTREME, STUCK = 0.02, 0.01
"""How often all numbers of a step are the lowest or the highest, and no layout can be valid."""
TOLERANCE = 1e-5
BOUNDLESS = (6, 7)
"""Entries of an observation that may be above 1: data siphons and attack."""
PARTS = rules.PARTS


class Duel:
    """`both.n` games at once; those at odd places often go on from a state that was set."""

    def __init__(self, both: Both, seed: int, met: Met):
        self.both, self.seed, self.met = both, seed, met
        self.random, self.generator = Random(seed), np.random.default_rng(seed)
        self.round = 0
        self.set_steps = 0  # from states that were set, or come of one
        self.fresh: list[tuple[State, GameState]] = []
        begun = [self._begun() for _ in range(both.n)]
        self.states = [state for state, _ in begun]
        self.games = stack([each for _, each in begun])

    def play(self, rounds: int) -> None:
        """Steps of all games; AssertionError names what differs first."""
        with self.met.listening():
            for _ in range(rounds):
                self._step()
                self.round += 1

    def _step(self) -> None:
        self._set_states()
        actions = [self._action(state) for state in self.states]
        steps = self._steps()
        numbers = self._numbers(STEP)
        out = self.both.advance(numbers, self.games, np.array(actions, np.int32), steps)
        self.games = jax.tree.map(np.array, out.state.game)
        options = {"shaping": self.both.env.shaping}
        outcomes = [
            self.met.step(state, action, chance_of(each), **options)
            for state, action, each in zip(
                self.states, actions, unstack(numbers, self.both.n), strict=True
            )
        ]
        self._compare(jax.device_get(out), outcomes, actions, steps)
        self._begin_anew(outcomes)

    def _numbers(self, shapes: Any) -> Any:
        """Random numbers; some games have all the lowest or highest, or layouts of one cell."""
        numbers, n = random_numbers(self.generator, shapes, self.both.n), self.both.n
        extreme = self.generator.random(n) < EXTREME
        value = np.where(self.generator.random(n) < 0.5, 0, rules.DRAWS - 1).astype(np.uint32)
        stuck = self.generator.random(n) < STUCK
        for leaf in jax.tree.leaves(numbers):
            leaf[extreme] = value[extreme].reshape(-1, *[1] * (leaf.ndim - 1))
        numbers.stage.layouts.cell[stuck] = 0
        return numbers

    def _begun(self) -> tuple[State, GameState]:
        """A new game, which both engines begin alike."""
        if not self.fresh:
            numbers, n = self._numbers(BEGIN), self.both.n
            obs, games = jax.device_get(self.both.begin(numbers))
            depth = self.both.env.undo_depth
            with self.met.listening():
                states = [game.reset(chance_of(each), depth) for each in unstack(numbers, n)]
            self._hold([*differing(obs, games, states)], "the beginning", [None] * n)
            self.fresh = list(zip(states, unstack(games, n), strict=True))
        return self.fresh.pop()

    def _set_states(self) -> None:
        for i in range(1, self.both.n, 2):
            self.set_steps += 1
            if self.random.random() < SET:
                self._put(i, *self._set())

    def _set(self) -> tuple[State, GameState]:
        state = random_state(self.random, self.both.env.undo_depth)
        if self.random.random() < AT_EXIT:
            to_exit(state, self.random)
        elif self.random.random() < ONLY_WARP:
            only_warp(state, self.random)
        elif self.random.random() < HUDDLED:
            huddle(state, self.random)
        return state, game_of(state)

    def _put(self, i: int, state: State, begun: GameState) -> None:
        self.states[i] = state

        def put(all_games: np.ndarray, one: np.ndarray) -> None:
            all_games[i] = one

        jax.tree.map(put, self.games, begun)

    def _action(self, state: State) -> int:
        """One that leaves by the exit, one that was taken least so far, or any."""
        legal = game.legal(state)
        if self.random.random() < ILLEGAL:
            return self.random.randrange(rules.N_ACTIONS)
        exits = [a for a in legal if a in rules.MOVES and leads_to_exit(state, a)]
        if exits and self.random.random() < 0.5:
            return exits[0]
        if rules.SIPHON in legal and state.at(state.player.place).is_block:
            return rules.SIPHON
        programs = [action for action in legal if action >= rules.SIPHON]
        if programs and self.random.random() < 0.6:
            return min(programs, key=lambda action: (self._taken(action), self.random.random()))
        return self.random.choice(legal)

    def _taken(self, action: int) -> int:
        if action == rules.SIPHON:
            return self.met.counts["siphon: resources"]
        return self.met.counts[f"program: {rules.PROGRAMS[action - rules.FIRST_PROGRAM].name}"]

    def _steps(self) -> np.ndarray:
        late = self.generator.random(self.both.n) < LATE
        return np.where(late, rules.TIME_LIMIT - 1, 0).astype(np.int32)

    def _compare(self, out: Any, outcomes: list[Any], actions: list[int], steps: Any) -> None:
        done = np.array([outcome.done for outcome in outcomes])
        truncated = (steps + 1 >= rules.TIME_LIMIT) & ~done
        self.met.counts["end: truncated"] += int(truncated.sum())
        metrics = out.info["metrics"]
        found = [*differing(out.obs, out.state.game, self.states), *unsound(out, done)]
        for part in PARTS:
            paid = np.array([outcome.parts[part] for outcome in outcomes])
            found += unequal(f"part {part}", metrics[part], paid)
        found += unequal("reward", out.reward, np.array([each.reward for each in outcomes]))
        found += unequal("terminated", out.terminated, done)
        found += unequal("truncated", out.truncated, truncated)
        for name, flags in told(out.info, outcomes):
            found += unequal(name, *flags)
        self._hold(found, "a step", actions)

    def _hold(self, found: list[tuple[int, str]], what: str, actions: list[Any]) -> None:
        games = sorted({i for i, _ in found})
        lines = [
            f"after {what}, seed {self.seed}, round {self.round}, game {i}, action {actions[i]}: "
            + "; ".join(text for j, text in found if j == i)
            for i in games
        ]
        assert not lines, "\n".join(lines)

    def _begin_anew(self, outcomes: list[Any]) -> None:
        for i, outcome in enumerate(outcomes):
            if outcome.done:
                self._put(i, *(self._set() if i % 2 else self._begun()))


def to_exit(state: State, random: Random) -> None:
    """Puts the player beside the exit, with nobody else on its cell if that is possible."""
    near = [place for place in NEIGHBOURS[state.exit_pos] if not state.at(place).is_block]
    taken = {each.place for each in [*state.enemies, *state.transmissions]}
    state.player.go(random.choice([place for place in near if place not in taken] or near))


def only_warp(state: State, random: Random) -> None:
    """Leaves one or two enemies on the exit or a block; the player has WARP and nothing else."""
    place = random.choice([state.exit_pos, *state.blocks()[:1]])
    state.enemies = [Enemy(rules.GLITCH, *place, hp=1) for _ in range(random.randint(1, 2))]
    state.transmissions = []
    state.owned, state.player.data_siphons = {rules.WARP}, 0
    state.player.credits, state.player.energy = 5, 5


def huddle(state: State, random: Random) -> None:
    """Puts every second enemy on the cell of another, one of which may be a block."""
    for leader, other in zip(state.enemies[::2], state.enemies[1::2], strict=False):
        if state.blocks() and random.random() < 0.3:
            leader.go(random.choice(state.blocks()))
        other.go(leader.place)


def leads_to_exit(state: State, direction: int) -> bool:
    """Whether a move in that direction reaches the exit."""
    place = moved(state.player.place, rules.DIRECTIONS[direction])
    return place == state.exit_pos and first_target(state, direction) is None


def told(info: dict[str, Any], outcomes: list[Any]) -> Iterator[tuple[str, Any]]:
    """What is told of a step besides, by both engines."""
    episode = info["episode"]
    pairs = {
        "invalid": (info["invalid"], "invalid"),
        "stage_complete": (info["stage_complete"], "stage_complete"),
        "death": (info["death"], "died"),
        "won": (info["won"], "won"),
        "siphon_death": (episode["siphon_death"], "siphon_death"),
        "kills": (episode["enemies_killed"], "kills"),
        "siphons collected": (episode["siphons_collected"], "siphons_collected"),
    }
    for name, (ours, attribute) in pairs.items():
        yield name, (ours, np.array([getattr(each, attribute) for each in outcomes]))


def unequal(what: str, ours: Any, theirs: Any) -> list[tuple[int, str]]:
    """The games in which a number differs."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    close = np.isclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    return [(int(i), f"{what} {ours[i]} is {theirs[i]}") for i in np.flatnonzero(~close)]


def unsound(out: Any, done: np.ndarray) -> Iterator[tuple[int, str]]:
    """The games that break what holds of every step whatever the rules."""
    bounded = np.delete(out.obs.view, BOUNDLESS, axis=1)
    for i in np.flatnonzero((bounded < 0).any(1) | (bounded > 1).any(1)).tolist():
        yield i, "an observation is outside of 0 to 1"
    for i in np.flatnonzero(~out.obs.legal.any(1) & ~done).tolist():
        yield i, "no action is legal"
    yield from unequal("sum of the parts", sum(out.info["metrics"][p] for p in PARTS), out.reward)


def differing(obs: MaskedObs, games: GameState, states: list[State]) -> Iterator[tuple[int, str]]:
    """The games of which the engines have or show something else: which, and what."""
    n = len(states)
    views = np.array([game.flat(game.observation(state)) for state in states])
    close = np.isclose(obs.view, views, rtol=0, atol=TOLERANCE)
    for i, entry in np.argwhere(~close).tolist():
        yield i, f"observation[{entry}] {obs.view[i, entry]} is {views[i, entry]}"
    for i, (one, state) in enumerate(zip(unstack(games, n), states, strict=True)):
        legal = np.flatnonzero(obs.legal[i]).tolist()
        if legal != game.legal(state):
            yield i, f"legal {legal} is {game.legal(state)}"
        ours = state_of(one)
        if ours != state:
            yield from ((i, text) for text in differences(ours, state))


def differences(ours: Any, theirs: Any, where: str = "state") -> Iterator[str]:
    """Where two states differ."""
    if is_dataclass(ours) and type(ours) is type(theirs):
        for each in fields(ours):
            pair = (getattr(ours, each.name), getattr(theirs, each.name))
            yield from differences(*pair, f"{where}.{each.name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{where}[{i}]")
    elif ours != theirs:
        yield f"{where} {ours} is {theirs}"
