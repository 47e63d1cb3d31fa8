"""Counts what the reference meets while it plays: actions, cases of a rule, ends, stages."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any
from unittest.mock import patch

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference import enemies, game, paths, stage
from vibe_rl.env.hackmatrix.reference.board import SURROUNDINGS, Place, apart, cross
from vibe_rl.env.hackmatrix.reference.moves import first_target
from vibe_rl.env.hackmatrix.reference.spawning import empty_places, in_line_of_fire
from vibe_rl.env.hackmatrix.reference.state import Cell, Content, Enemy, State

KINDS = [kind.name for kind in rules.ENEMIES]
PROGRAMS = [program.name for program in rules.PROGRAMS]
STAGES = range(1, rules.STAGES + 1)
NOT_PAID = {"step_penalty"}


def named(kind: str, steps: list[str]) -> list[str]:
    return [f"{kind}: {step}" for step in steps]


MUST_BE_MET = frozenset(
    [
        *named("program", PROGRAMS),
        *named("attack", ["a transmission", *KINDS]),
        *named("move", ["to another cell", "onto a data siphon"]),
        *named("siphon", ["data", "a program", "an owned program", "in question", "resources"]),
        *named("siphon", ["siphoned before", "from a block"]),
        *named("UNDO", [f"{n} turns kept" for n in (1, 2, 3)]),
        *named("WARP", ["to an enemy", "to a transmission", "to a crowd", "to the exit"]),
        *named("WARP", ["onto a block"]),
        *named("CRASH", ["a block", "an enemy", "a crowd", "a transmission"]),
        *named("POLY", ["nobody dies", "somebody dies"]),
        *named("D_BOM", ["one is nearest", "the oldest of the nearest"]),
        *named("PUSH", ["nobody shares a cell", "some share a cell"]),
        *named("PULL", ["nobody shares a cell", "some share a cell"]),
        *named("turn", ["runs", "left out", "left out with siphoned ones pending"]),
        *named("enters by", [f"case {case}, {k}" for case, k in product("ABC", KINDS)]),
        *named("enters by", ["case C, no cell is free"]),
        *named("hatch", [*KINDS, "no room"]),
        *named("spawn", ["out of sight", "in sight", "no cell is free"]),
        *named("spawn", ["scheduled", "siphoned", "with a stage"]),
        *named("layout", ["the first", "a later one", "none"]),
        *named("stage", [f"{n} is begun" for n in STAGES]),
        *named("stage", [f"{n} is completed" for n in STAGES]),
        *named("part", [part for part in rules.PARTS if part not in NOT_PAID]),
        *named("end", ["death", "siphon death", "victory", "illegal", "truncated"]),
    ]
)
"""What a comparison of two engines has to meet."""


class Met:
    """Counts, by name; `counts` grows while `listening` and with each `step`."""

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self.tried: list[str] = []  # ways of an enemy that moves now

    def add(self, kind: str, what: str) -> None:
        self.counts[f"{kind}: {what}"] += 1

    def step(self, state: State, action: int, chance: Any, **options: Any) -> game.StepOutcome:
        """`game.step`, counted."""
        if game.is_legal(state, action):
            self._before(state, action)
        began, n_enemies = state.stage, len(state.enemies)
        outcome = game.step(state, action, chance, **options)
        self._ends(outcome)
        if outcome.stage_complete:
            self.add("stage", f"{began} is completed")
        if not outcome.invalid and action >= rules.FIRST_PROGRAM:
            self._program_done(state, action - rules.FIRST_PROGRAM, outcome, n_enemies)
        return outcome

    def _before(self, state: State, action: int) -> None:
        if game.ends_turn(action):
            self.add("turn", _turn(state))
        if action in rules.MOVES:
            self._move(state, action)
        elif action == rules.SIPHON:
            for place in cross(state.player.place):
                self.add("siphon", _siphoned(state, state.at(place)))
            if state.at(state.player.place).is_block:
                self.add("siphon", "from a block")
        else:
            self._program(state, action - rules.FIRST_PROGRAM)

    def _move(self, state: State, action: int) -> None:
        target = first_target(state, action)
        if target is None:
            self.add("move", "to another cell")
        else:
            self.add(
                "attack", KINDS[target.type] if isinstance(target, Enemy) else "a transmission"
            )

    def _program(self, state: State, program: int) -> None:
        self.add("program", PROGRAMS[program])
        if program == rules.UNDO:
            self.add("UNDO", f"{len(state.history)} turns kept")
        if program == rules.CRASH:
            for place in SURROUNDINGS[state.player.place]:
                self._crash(state, place)
        if program == rules.D_BOM:
            daemons = [enemy for enemy in state.enemies if enemy.type == rules.DAEMON]
            far = [apart(enemy.place, state.player.place) for enemy in daemons]
            one = far.count(min(far)) == 1
            self.add("D_BOM", "one is nearest" if one else "the oldest of the nearest")

    def _crash(self, state: State, place: Place) -> None:
        there = len(state.enemies_at([place]))
        if there:
            self.add("CRASH", "an enemy" if there == 1 else "a crowd")
        if state.at(place).is_block:
            self.add("CRASH", "a block")
        if state.transmission_at(place):
            self.add("CRASH", "a transmission")

    def _program_done(self, state: State, program: int, outcome: Any, n_enemies: int) -> None:
        gone = n_enemies - len(state.enemies)
        if program == rules.WARP:
            self._warped(state, outcome, gone)
        if program == rules.POLY:
            self.add("POLY", "somebody dies" if gone else "nobody dies")
        if program in (rules.PUSH, rules.PULL):
            shared = len({enemy.place for enemy in state.enemies}) < n_enemies
            self.add(PROGRAMS[program], "some share a cell" if shared else "nobody shares a cell")

    def _warped(self, state: State, outcome: Any, gone: int) -> None:
        self.add("WARP", ("to a transmission", "to an enemy", "to a crowd")[min(gone, 2)])
        if outcome.stage_complete:
            self.add("WARP", "to the exit")
        elif state.at(state.player.place).is_block:
            self.add("WARP", "onto a block")

    def _ends(self, outcome: Any) -> None:
        for part in rules.PARTS:
            if outcome.parts[part]:
                self.add("part", part)
        if outcome.siphons_collected:
            self.add("move", "onto a data siphon")
        flags = (outcome.died, outcome.siphon_death, outcome.won, outcome.invalid)
        for name, flag in zip(("death", "siphon death", "victory", "illegal"), flags, strict=True):
            if flag:
                self.add("end", name)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Meanwhile the reference's own rules are counted where they are used."""
        with (
            patch.object(paths, "_step", partial(_heard, self, "A", paths._step)),
            patch.object(paths, "_greedy", partial(_heard, self, "C", paths._greedy)),
            patch.object(enemies, "next_place", partial(_next_place, self, paths.next_place)),
            patch.object(enemies, "hatch", partial(_hatch, self, enemies.hatch)),
            patch.object(enemies, "spawn", partial(_spawn, self, enemies.spawn)),
            patch.object(stage, "spawn", partial(_spawn, self, stage.spawn)),
            patch.object(stage, "place_blocks", partial(_place_blocks, self, stage.place_blocks)),
        ):
            yield


def _turn(state: State) -> str:
    if not state.step_armed:
        return "runs"
    return "left out with siphoned ones pending" if state.pending else "left out"


def _siphoned(state: State, cell: Cell) -> str:
    if cell.siphoned:
        return "siphoned before"
    if cell.hidden:
        return "in question"
    if cell.content == Content.DATA:
        return "data"
    if cell.program is None:
        return "resources"
    return "an owned program" if cell.program in state.owned else "a program"


def _heard(met: Met, case: str, rule: Callable[..., Any], *arguments: Any) -> Any:
    met.tried.append(case)
    return rule(*arguments)


def _next_place(met: Met, next_place: Callable[..., Place], state: State, enemy: Enemy) -> Place:
    met.tried.clear()
    place = next_place(state, enemy)
    case = "C" if "C" in met.tried else "AB"[len(met.tried) - 1]
    met.add("enters by", f"case {case}, {KINDS[enemy.type]}")
    if place == enemy.place:
        met.add("enters by", "case C, no cell is free")
    return place


def _hatch(met: Met, hatch: Callable[[State], None], state: State) -> None:
    due, before = [each for each in state.transmissions if each.timer <= 1], len(state.enemies)
    hatch(state)
    for enemy in state.enemies[before:]:
        met.add("hatch", KINDS[enemy.type])
    if len(state.enemies) - before < len(due):
        met.add("hatch", "no room")


def _spawn(
    met: Met, spawn: Callable[..., None], state: State, slot: Any, chance: Any, **origin: bool
) -> None:
    names = [name.removeprefix("from_") for name, came in origin.items() if came]
    words = {"schedule": "scheduled", "siphon": "siphoned"}
    met.add("spawn", words[names[0]] if names else "with a stage")
    empty = empty_places(state)
    if not empty:
        met.add("spawn", "no cell is free")
    else:
        seen = all(in_line_of_fire(state, place) for place in empty)
        met.add("spawn", "in sight" if seen else "out of sight")
    spawn(state, slot, chance, **origin)


def _place_blocks(met: Met, place_blocks: Callable[..., None], state: State, chance: Any) -> None:
    attempts = set()

    def counted(slot: Any) -> int:
        if slot[:2] == ("gen", "att"):
            attempts.add(slot[2])
        return chance(slot)

    place_blocks(state, counted)
    met.add("stage", f"{state.stage} is begun")
    last = "the first" if len(attempts) == 1 else "a later one"
    met.add("layout", last if state.blocks() else "none")
