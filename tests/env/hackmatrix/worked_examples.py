"""The examples of the rules as data: a state, actions, and what must come of them in any engine."""

from collections.abc import Callable
from typing import Any, NamedTuple

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.reference.state import Content, State

UP, DOWN, RIGHT, SIPHON = rules.UP, rules.DOWN, rules.RIGHT, rules.SIPHON


def action_of(program: int) -> int:
    return rules.FIRST_PROGRAM + program


WAIT = action_of(rules.WAIT)


class Example(NamedTuple):
    """An example; each action has the parts of its reward, unlisted ones being 0."""

    name: str
    given: dict[str, Any]  # a state as `fixture.load` takes it
    actions: tuple[int, ...]
    parts: tuple[dict[str, float], ...]
    rewards: tuple[float, ...]
    facts: dict[str, Any]  # of the state at the end, see `FACTS`
    done: bool = False  # by the last action


FACTS: dict[str, Callable[[State], Any]] = {
    "place": lambda s: s.player.place,
    "hp": lambda s: s.player.hp,
    "credits": lambda s: s.player.credits,
    "energy": lambda s: s.player.energy,
    "data_siphons": lambda s: s.player.data_siphons,
    "score": lambda s: s.player.score,
    "owned": lambda s: s.owned,
    "stage": lambda s: s.stage,
    "turn": lambda s: s.turn,
    "interval": lambda s: s.interval,
    "next_spawn_turn": lambda s: s.next_spawn_turn,
    "step_armed": lambda s: s.step_armed,
    "enemies": lambda s: [
        (rules.ENEMIES[e.type].name, *e.place, e.hp, e.stunned) for e in s.enemies
    ],
    "from_siphon": lambda s: [e.from_siphon for e in [*s.enemies, *s.transmissions]],
    "from_schedule": lambda s: [t.from_schedule for t in s.transmissions],
    "timers": lambda s: [t.timer for t in s.transmissions],
    "blocks": lambda s: {p: (s.at(p).points, s.at(p).spawn, s.at(p).siphoned) for p in s.blocks()},
    "data_siphons_left": lambda s: sum(
        cell.content == Content.DATA_SIPHON for row in s.cells for cell in row
    ),
    "exit_elsewhere": lambda s: s.exit_pos != s.player.place,
}
"""How to read each fact off a state of the reference."""


def at(row: int, col: int, **more: Any) -> dict[str, Any]:
    return {"row": row, "col": col, **more}


def enemy(kind: str, row: int, col: int, hp: int | None = None, **more: Any) -> dict[str, Any]:
    most = {each.name: each.max_hp for each in rules.ENEMIES}[kind]
    return at(row, col, type=kind, hp=most if hp is None else hp, **more)


def data(row: int, col: int, points: int = 5, **more: Any) -> dict[str, Any]:
    return at(row, col, type="data", points=points, **more)


def transmission(row: int, col: int, timer: int) -> dict[str, Any]:
    return at(row, col, turnsRemaining=timer, enemyType="virus")


def given(row: int, col: int, owned: tuple[int, ...] = (), **more: Any) -> dict[str, Any]:
    """A state: fields of the player, lists of the board, and programs owned by their index."""
    board = ("enemies", "transmissions", "blocks", "resources", "stage", "turn")
    state = {key: value for key, value in more.items() if key in board}
    player = {key: value for key, value in more.items() if key not in board}
    actions = [action_of(program) for program in owned]
    return {"player": at(row, col, **player), "ownedPrograms": actions, **state}


def one(name, state, action, reward, parts=None, done=False, **facts) -> Example:
    """An example of one step that is allowed."""
    paid = {"step_penalty": -0.01, **(parts or {})}
    return Example(name, state, (action,), (paid,), (reward,), facts, done)


def program(name, index, start, reward, parts, given_more, **facts) -> Example:
    """An example of a program that is owned, its price exactly there unless it says otherwise."""
    price = rules.PROGRAMS[index]
    purse = {"credits": price.credits, "energy": price.energy}
    state = given(*start, owned=(index,), **{**purse, **given_more})
    return one(name, state, action_of(index), reward, parts, **facts)


def waited(name, start, reward, parts=None, done=False, more=None, **facts) -> Example:
    """An example of a turn of the enemies, by WAIT."""
    state = given(*start, owned=(rules.WAIT,), **{"energy": 1, **(more or {})})
    paid = {"resource_gain": -0.05, **(parts or {})}
    return one(name, state, WAIT, reward, paid, done, **facts)


ILLEGAL = Example("an illegal action", given(0, 0), (DOWN,), ({},), (0.0,), {"place": (0, 0)}, True)

MOVING = [
    one("a step", given(3, 3), UP, 0.04, {"distance_shaping": 0.05}, place=(4, 3), turn=1),
    one(
        "a data siphon",
        given(3, 3, resources=[at(4, 3, dataSiphon=True)]),
        UP,
        1.04,
        {"data_siphon": 1.0, "distance_shaping": 0.05},
        place=(4, 3),
        data_siphons=1,
        data_siphons_left=0,
    ),
    one(
        "an attack from afar",
        given(0, 3, enemies=[enemy("virus", 5, 3, 1)]),
        UP,
        0.29,
        {"kills": 0.3},
        place=(0, 3),
        enemies=[],
    ),
    one(
        "an attack on a block",
        given(0, 3, enemies=[enemy("glitch", 4, 3, 1)], blocks=[data(4, 3)]),
        UP,
        0.29,
        {"kills": 0.3},
        place=(0, 3),
        enemies=[],
        blocks={(4, 3): (5, 5, False)},
    ),
    one(
        "a hit stuns",
        given(3, 3, enemies=[enemy("virus", 4, 3)]),
        UP,
        -0.01,
        enemies=[("virus", 4, 3, 1, False)],
        hp=3,
    ),
    one(
        "an attack on a transmission",
        given(3, 3, transmissions=[transmission(4, 3, 3)]),
        UP,
        0.29,
        {"kills": 0.3},
        timers=[],
    ),
    ILLEGAL,
]

SIPHONING = [
    one(
        "siphoned data",
        given(3, 3, dataSiphons=1, blocks=[data(4, 3, 9)]),
        SIPHON,
        4.49,
        {"score_gain": 4.5},
        data_siphons=0,
        score=9,
        blocks={(4, 3): (9, 0, True)},
        interval=11,
        next_spawn_turn=17,
        turn=1,
        timers=[1] * 9,
        from_siphon=[True] * 9,
    ),
    one(
        "a siphoned program",
        given(3, 3, dataSiphons=1, blocks=[at(4, 3, type="program", programType="push")]),
        SIPHON,
        -0.01,
        owned={rules.PUSH},
        timers=[1, 1],
    ),
    one(
        "two blocks at once",
        given(3, 3, dataSiphons=1, blocks=[data(4, 3, 4), data(2, 3, 6)]),
        SIPHON,
        4.99,
        {"score_gain": 5.0},
        score=10,
        timers=[1] * 10,
    ),
    one(
        "a better place for resources",
        given(2, 2, dataSiphons=1, resources=[at(5, 0, credits=3)]),
        SIPHON,
        -0.085,
        {"siphon_quality": -0.075},
        credits=0,
    ),
    one(
        "no other place sees both blocks",
        given(
            2,
            2,
            dataSiphons=1,
            blocks=[data(1, 2, 3), data(3, 2, 7)],
            resources=[at(0, 1, credits=20)],
        ),
        SIPHON,
        4.99,
        {"score_gain": 5.0},
        score=10,
    ),
]

PROGRAMS = [
    program(
        "PUSH",
        rules.PUSH,
        (3, 3),
        -0.11,
        {"resource_gain": -0.1},
        {"enemies": [enemy("virus", 4, 3)]},
        enemies=[("virus", 5, 3, 2, False)],
        energy=0,
        turn=0,
    ),
    program(
        "PULL",
        rules.PULL,
        (3, 3),
        -0.11,
        {"resource_gain": -0.1},
        {"enemies": [enemy("virus", 5, 3)]},
        enemies=[("virus", 4, 3, 2, False)],
    ),
    program(
        "PUSH stacks",
        rules.PUSH,
        (3, 3),
        -0.11,
        {"resource_gain": -0.1},
        {"enemies": [enemy("virus", 5, 5), enemy("virus", 4, 4)]},
        enemies=[("virus", 5, 5, 2, False), ("virus", 5, 5, 2, False)],
    ),
    program(
        "CRASH",
        rules.CRASH,
        (3, 3),
        0.34,
        {"kills": 0.6, "resource_gain": -0.25},
        {"enemies": [enemy("virus", 4, 3, 1), enemy("virus", 3, 4, 1)]},
        enemies=[],
    ),
    program(
        "WARP to the exit",
        rules.WARP,
        (0, 0),
        1.59,
        {
            "stage_completion": 1.0,
            "kills": 0.3,
            "distance_shaping": 0.5,
            "resource_gain": -0.2,
        },
        {"enemies": [enemy("virus", 5, 5)]},
        place=(5, 5),
        stage=2,
        turn=0,
        timers=[1, 1],
        interval=11,
    ),
    one(
        "WARP onto a block",
        given(
            0,
            0,
            owned=(rules.WAIT, rules.WARP),
            energy=3,
            credits=2,
            enemies=[enemy("glitch", 2, 2)],
            blocks=[data(2, 2)],
        ),
        action_of(rules.WARP),
        0.29,
        {"kills": 0.3, "distance_shaping": 0.2, "resource_gain": -0.2},
        place=(2, 2),
        blocks={(2, 2): (5, 5, False)},
    ),
    program(
        "POLY kills",
        rules.POLY,
        (2, 2),
        0.19,
        {"kills": 0.3, "resource_gain": -0.1},
        {"enemies": [enemy("daemon", 2, 4, 1)]},
        enemies=[],
    ),
    program(
        "DEBUG",
        rules.DEBUG,
        (3, 3),
        -0.16,
        {"resource_gain": -0.15},
        {"enemies": [enemy("glitch", 4, 4), enemy("virus", 5, 5)], "blocks": [data(4, 4)]},
        enemies=[("glitch", 4, 4, 1, True), ("virus", 5, 5, 2, False)],
    ),
    program(
        "ROW",
        rules.ROW,
        (3, 3),
        0.09,
        {"kills": 0.3, "resource_gain": -0.2},
        {"enemies": [enemy("virus", 3, 0, 1), enemy("daemon", 3, 5), enemy("virus", 4, 3)]},
        enemies=[("daemon", 3, 5, 2, True), ("virus", 4, 3, 2, False)],
    ),
    program("EXCH", rules.EXCH, (3, 3), -0.01, {}, {"credits": 8}, credits=4, energy=4),
    program(
        "D_BOM",
        rules.D_BOM,
        (3, 3),
        0.14,
        {"kills": 0.3, "resource_gain": -0.15},
        {"enemies": [enemy("daemon", 5, 5), enemy("virus", 4, 4)]},
        enemies=[("virus", 4, 4, 1, True)],
    ),
    program(
        "ANTI-V",
        rules.ANTI_V,
        (3, 3),
        0.14,
        {"kills": 0.3, "resource_gain": -0.15},
        {"enemies": [enemy("virus", 4, 3, 1), enemy("virus", 5, 5), enemy("daemon", 0, 0)]},
        enemies=[("virus", 5, 5, 1, True), ("daemon", 0, 0, 3, False)],
    ),
    program(
        "SCORE",
        rules.SCORE,
        (3, 3),
        2.74,
        {"score_gain": 3.0, "resource_gain": -0.25},
        {"stage": 2},
        score=6,
    ),
    program(
        "HACK",
        rules.HACK,
        (3, 3),
        0.09,
        {"kills": 0.3, "resource_gain": -0.2},
        {
            "enemies": [enemy("virus", 4, 3, 1), enemy("virus", 5, 5)],
            "blocks": [data(4, 3, siphoned=True)],
        },
        enemies=[("virus", 5, 5, 2, False)],
    ),
    program(
        "SIPH+",
        rules.SIPH_PLUS,
        (3, 3),
        -0.26,
        {"resource_gain": -0.25},
        {},
        data_siphons=1,
    ),
    program(
        "RESET",
        rules.RESET,
        (3, 3),
        1.79,
        {"hp_recovery": 2.0, "resource_gain": -0.2},
        {"hp": 1},
        hp=3,
    ),
]

TURNS = [
    waited(
        "a transmission hatches",
        (0, 0),
        -0.06,
        more={"transmissions": [transmission(5, 5, 1)]},
        enemies=[("virus", 5, 5, 2, False)],
        timers=[],
    ),
    waited(
        "a daemon takes one step",
        (0, 0),
        -0.06,
        more={"enemies": [enemy("daemon", 3, 0)]},
        enemies=[("daemon", 2, 0, 3, False)],
    ),
    waited(
        "a virus takes two steps",
        (0, 0),
        -0.06,
        more={"enemies": [enemy("virus", 4, 0)]},
        enemies=[("virus", 2, 0, 2, False)],
    ),
    waited(
        "a virus comes and attacks",
        (0, 0),
        -1.06,
        {"damage_penalty": -1.0},
        more={"enemies": [enemy("virus", 2, 0)]},
        enemies=[("virus", 1, 0, 2, False)],
        hp=2,
    ),
    waited(
        "a virus attacks once",
        (0, 0),
        -1.06,
        {"damage_penalty": -1.0},
        more={"enemies": [enemy("virus", 1, 0)]},
        hp=2,
    ),
    waited(
        "a glitch walks on blocks",
        (0, 0),
        -0.06,
        more={"enemies": [enemy("glitch", 3, 0)], "blocks": [data(2, 0)]},
        enemies=[("glitch", 2, 0, 2, False)],
    ),
    waited(
        "down precedes left",
        (0, 0),
        -0.06,
        more={"enemies": [enemy("daemon", 2, 2)]},
        enemies=[("daemon", 1, 2, 3, False)],
    ),
    waited(
        "a stun ends with the turn",
        (0, 0),
        -0.06,
        more={"enemies": [enemy("virus", 3, 0, stunned=True)]},
        enemies=[("virus", 3, 0, 2, False)],
    ),
    waited(
        "a death in stage 1",
        (3, 3),
        -1.06,
        {"damage_penalty": -1.0},
        done=True,
        more={"hp": 1, "enemies": [enemy("virus", 4, 3)]},
        hp=0,
    ),
    waited(
        "a death by two",
        (3, 3),
        -2.06,
        {"damage_penalty": -2.0},
        done=True,
        more={"hp": 2, "energy": 2, "enemies": [enemy("virus", 4, 3), enemy("virus", 2, 3)]},
        hp=0,
    ),
    waited(
        "a scheduled transmission",
        (3, 3),
        -0.06,
        more={"turn": 11, "energy": 50},
        turn=12,
        next_spawn_turn=24,
        timers=[1],
        from_schedule=[True],
    ),
]

STAGES = [
    one(
        f"the exit of stage {stage}",
        given(5, 4, stage=stage),
        RIGHT,
        reward + 0.04,
        {"stage_completion": reward, "distance_shaping": 0.05},
        place=(5, 5),
        stage=stage + 1,
        exit_elsewhere=True,
        data_siphons_left=2,
        timers=[1] * (stage + 1),
        interval=12 - stage,
        next_spawn_turn=12 - stage,
        turn=0,
    )
    for stage, reward in ((1, 1.0), (2, 2.0), (3, 4.0))
] + [
    one(
        "a victory with a score",
        given(5, 4, stage=8, score=50),
        RIGHT,
        5600.04,
        {"stage_completion": 100.0, "distance_shaping": 0.05, "victory": 5500.0},
        done=True,
        stage=9,
    ),
    one(
        "a victory that heals and pays what is held",
        given(5, 4, stage=8, hp=2, credits=3, energy=4),
        RIGHT,
        601.11,
        {
            "stage_completion": 100.0,
            "distance_shaping": 0.05,
            "hp_recovery": 1.0,
            "victory": 500.0,
            "resource_holding": 0.07,
        },
        done=True,
        stage=9,
        hp=3,
    ),
]

TRACES = [
    Example(
        "what a siphon releases hatches in the next turn and acts in the one after",
        given(3, 3, owned=(rules.WAIT,), energy=5, dataSiphons=1, blocks=[data(4, 3, 1)]),
        (SIPHON, WAIT),
        (
            {"step_penalty": -0.01, "score_gain": 0.5},
            {"step_penalty": -0.01, "resource_gain": -0.05},
        ),
        (0.49, -0.06),
        {"score": 1, "timers": [], "from_siphon": [True], "turn": 2, "energy": 4},
    ),
    Example(
        "STEP leaves the enemies' turn out, stuns stay",
        given(0, 0, owned=(rules.STEP,), energy=3, enemies=[enemy("daemon", 4, 0)]),
        (action_of(rules.STEP), UP),
        ({"step_penalty": -0.01, "resource_gain": -0.15}, {"step_penalty": -0.01}),
        (-0.16, -0.01),
        {"enemies": [("daemon", 4, 0, 2, True)], "turn": 0, "step_armed": False},
    ),
]

DETOUR = [data(3, col) for col in range(5)]
SHAPING = [
    one(
        "nearer by a detour",
        given(2, 4, blocks=DETOUR),
        RIGHT,
        0.04,
        {"distance_shaping": 0.05},
        place=(2, 5),
    ),
    one("moving away", given(2, 5, blocks=DETOUR), rules.LEFT, -0.01, place=(2, 4)),
]

EXAMPLES = [*MOVING, *SIPHONING, *PROGRAMS, *TURNS, *STAGES, *TRACES, *SHAPING]

MASKS = [
    (
        "a block hides a target",
        given(3, 3, blocks=[data(4, 3)], enemies=[enemy("virus", 5, 3)]),
        [1, 2, 3],
    ),
    (
        "a target on a block",
        given(3, 3, blocks=[data(4, 3)], enemies=[enemy("glitch", 4, 3)]),
        [0, 1, 2, 3],
    ),
    ("the lowest corner", given(0, 0), [0, 3]),
    ("the highest corner", given(5, 5), [1, 2]),
]
"""A name, a state, the actions allowed in it."""

ROW_3 = [(3, col) for col in range(6)]
DISTANCES = [
    ("no step", [], (3, 3), (3, 3), 0),
    ("an empty board", [], (0, 0), (5, 5), 10),
    ("round a wall", ROW_3[1:], (2, 3), (4, 3), 8),
    ("a block as the goal", [(3, 4)], (3, 3), (3, 4), 1),
    ("no path", [(2, 3), (4, 3), (3, 2), (3, 4)], (3, 3), (5, 5), 0),
    ("a gap at the end", ROW_3[:5], (2, 4), (5, 5), 4),
    ("a gap at the end, nearer", ROW_3[:5], (2, 5), (5, 5), 3),
]
"""A name, the places of blocks, start, goal, steps."""
