"""The game in JAX and the reference, side by side: the same states, and the same random numbers."""

from collections.abc import Callable
from functools import lru_cache, partial
from operator import lshift
from typing import Any, NamedTuple

import jax
import numpy as np

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.chance import Attempt, numbers
from vibe_rl.env.hackmatrix.env import HackMatrix, HackMatrixState, no_totals
from vibe_rl.env.hackmatrix.reference import state as reference
from vibe_rl.env.hackmatrix.reward import path_length
from vibe_rl.env.hackmatrix.stage import from_tape
from vibe_rl.env.hackmatrix.state import (
    Enemies,
    GameBoard,
    GameState,
    History,
    Player,
    Snapshot,
    Transmissions,
)

UNDO_DEPTH = 3
TAPE = Attempt(*[numbers((rules.LAYOUT_ATTEMPTS, rules.MOST_BLOCKS))] * 4)


def env(undo_depth: int = UNDO_DEPTH, **options) -> HackMatrix:
    """The game whose layouts come from the tape, as the rules say."""
    return HackMatrix(layouts=from_tape, undo_depth=undo_depth, **options)


def random_numbers(generator: np.random.Generator, shapes: Any, n: int) -> Any:
    """A tree of numbers `[n, ...]` for `STEP` or `BEGIN`, those of layouts included."""
    shapes = shapes._replace(stage=shapes.stage._replace(layouts=TAPE))
    draw = lambda x: generator.integers(0, rules.DRAWS, (n, *x.shape), np.uint32)  # noqa: E731
    return jax.tree.map(draw, shapes)


def chance_of(numbers: Any) -> Callable[[tuple], int]:
    """The reference's chance, from one env's share of the numbers."""
    places = {
        "reset": lambda name: getattr(numbers, name),
        "gen": partial(_of_stage, numbers.stage),
        "turn": lambda *slot: _of_turn(numbers.turn, *slot),
        "prog": lambda name, *i: numbers.poly[i[0]] if i else numbers.warp,
    }
    return lambda slot: int(places[slot[0]](*slot[1:]))


def _of_stage(stage: Any, name: str, *slot: Any) -> Any:
    if name == "att":
        attempt, _, block, what = slot
        fields = {"cell": "cell", "data": "data", "q": "hidden", "val": "value"}
        return getattr(stage.layouts, fields[what])[attempt, block]
    if name == "res":
        return getattr(stage.resources, slot[1])[slot[0]]
    if name == "tx":
        return _of_where(stage.transmissions, slot[1])[slot[0]]
    return getattr(stage, name)


def _of_turn(turn: Any, name: str, *slot: Any) -> Any:
    if name == "order":
        return turn.order[slot]
    if name == "sched":
        return _of_where(turn.scheduled, slot[0])
    return _of_where(turn.siphoned, slot[1])[slot[0]]


def _of_where(where: Any, what: str) -> Any:
    return where.cell if what == "cell" else where.kind


def place(cell: int) -> tuple[int, int]:
    return divmod(int(cell), rules.SIDE)


def state_of(game: GameState) -> reference.State:
    """A game of one env, in the host's memory, as the reference has it; to be read alone."""
    state = reference.State(
        player=_player(game.player),
        owned=_owned(game.player),
        stage=int(game.stage),
        turn=int(game.turn),
        interval=int(game.interval),
        next_spawn_turn=int(game.next_spawn_turn),
        pending=int(game.pending),
        show=bool(game.show),
        calm=bool(game.calm),
        step_armed=bool(game.step_armed),
        atk_uses=int(game.atk_uses),
        exit_pos=place(game.exit),
        undo_depth=len(game.history.snapshots.turn),
        cells=_cells(game.board),
        enemies=_enemies(game.enemies),
        transmissions=_transmissions(game.transmissions),
    )
    taken = range(int(game.history.count) - 1, -1, -1)
    state.history = [
        _snapshot(jax.tree.map(lambda x, i=i: x[i], game.history.snapshots)) for i in taken
    ]
    return state


def _player(player: Player) -> reference.Player:
    return reference.Player(*place(player.cell), *[int(x) for x in player[1:-1]])


def _owned(player: Player) -> set[int]:
    return {program for program in range(rules.N_PROGRAMS) if int(player.owned) >> program & 1}


CELL = ("content", "value", "spawn", "hidden", "credits", "energy", "siphoned", "siphon_center")
ENEMY = ("kind", "cell", "hp", "disabled", "stunned", "from_schedule", "from_siphon")
EGG = ("kind", "cell", "timer", "from_schedule", "from_siphon")


def _cells(board: GameBoard) -> reference.Cells:
    return _cells_of(np.asarray(board.word).tobytes())


@lru_cache(maxsize=10_000)
def _cells_of(words: bytes) -> reference.Cells:
    """Boards seldom change, and several snapshots have the same."""
    board = GameBoard(np.frombuffer(words, np.uint32))
    cells = [_cell(*values) for values in _columns(board, CELL, rules.N_CELLS)]
    return [cells[row * rules.SIDE :][: rules.SIDE] for row in range(rules.SIDE)]


def _columns(packed: Any, names: tuple[str, ...], n: int) -> list[tuple]:
    columns = [np.asarray(getattr(packed, name))[:n].tolist() for name in names]
    return list(zip(*columns, strict=True))


def _cell(content, value, spawn, hidden, credits, energy, siphoned, center) -> reference.Cell:
    kind = reference.Content(content)
    data, program = kind == reference.Content.DATA, kind == reference.Content.PROGRAM
    return reference.Cell(
        content=kind,
        points=value if data else 0,
        program=value if program else None,
        hidden=hidden,
        spawn=spawn,
        credits=credits,
        energy=energy,
        siphoned=siphoned,
        siphon_center=center,
    )


def _slots(slots: Any, names: tuple[str, ...]) -> list[tuple]:
    """The living, which must have the first slots; the others must be all zeros."""
    return _slots_of(type(slots), np.asarray(slots.word).tobytes(), names)


@lru_cache(maxsize=10_000)
def _slots_of(kind: Any, words: bytes, names: tuple[str, ...]) -> list[tuple]:
    slots = kind(np.frombuffer(words, np.uint32))
    n = int(slots.alive.sum())
    assert slots.alive[:n].all()
    assert not slots.word[n:].any()
    return _columns(slots, names, n)


def _enemies(enemies: Enemies) -> list[reference.Enemy]:
    return [reference.Enemy(kind, *place(c), *rest) for kind, c, *rest in _slots(enemies, ENEMY)]


def _transmissions(eggs: Transmissions) -> list[reference.Transmission]:
    return [
        reference.Transmission(*place(c), timer, kind, *rest)
        for kind, c, timer, *rest in _slots(eggs, EGG)
    ]


def _snapshot(snapshot: Snapshot) -> reference.Snapshot:
    return reference.Snapshot(
        player=_player(snapshot.player),
        owned=_owned(snapshot.player),
        turn=int(snapshot.turn),
        show=bool(snapshot.show),
        calm=bool(snapshot.calm),
        atk_uses=int(snapshot.atk_uses),
        cells=_cells(snapshot.board),
        enemies=_enemies(snapshot.enemies),
        transmissions=_transmissions(snapshot.transmissions),
    )


def game_of(state: reference.State) -> GameState:
    """A state of the reference as the game in JAX has it, in the host's memory."""
    nothing = reference.Snapshot(state.player, set(), 0, False, False, 0, state.cells, [], [])
    free = [nothing] * (state.undo_depth - len(state.history))
    snapshots = [_snapshot_arrays(s) for s in [*reversed(state.history), *free]]
    row, col = state.exit_pos
    return GameState(
        player=_player_arrays(state.player, state.owned),
        board=_board_arrays(state.cells),
        enemies=_enemy_arrays(state.enemies),
        transmissions=_transmission_arrays(state.transmissions),
        stage=np.int32(state.stage),
        turn=np.int32(state.turn),
        interval=np.int32(state.interval),
        next_spawn_turn=np.int32(state.next_spawn_turn),
        pending=np.int32(state.pending),
        show=np.bool_(state.show),
        calm=np.bool_(state.calm),
        step_armed=np.bool_(state.step_armed),
        atk_uses=np.int32(state.atk_uses),
        exit=np.int32(row * rules.SIDE + col),
        history=History(stack(snapshots), np.int32(len(state.history))),
    )


def _snapshot_arrays(s: reference.Snapshot) -> Snapshot:
    return Snapshot(
        player=_player_arrays(s.player, s.owned),
        board=_board_arrays(s.cells),
        enemies=_enemy_arrays(s.enemies),
        transmissions=_transmission_arrays(s.transmissions),
        turn=np.int32(s.turn),
        show=np.bool_(s.show),
        calm=np.bool_(s.calm),
        atk_uses=np.int32(s.atk_uses),
    )


def _player_arrays(player: reference.Player, owned: set[int]) -> Player:
    numbers = (player.hp, player.credits, player.energy, player.data_siphons, player.score)
    cell = player.row * rules.SIDE + player.col
    has = np.uint32(sum(1 << program for program in owned))
    return Player(np.int32(cell), *map(np.int32, numbers), np.int32(player.attack), has)


def _board_arrays(cells: reference.Cells) -> GameBoard:
    return _packed(
        GameBoard, CELL, [_cell_row(cell) for row in cells for cell in row], rules.N_CELLS
    )


def _cell_row(cell: reference.Cell) -> tuple:
    value = cell.points if cell.program is None else cell.program
    what = (int(cell.content), value, cell.spawn, cell.hidden)
    return (*what, cell.credits, cell.energy, cell.siphoned, cell.siphon_center)


def _packed(kind: Any, names: tuple[str, ...], rows: list[tuple], size: int) -> Any:
    """Records of such fields in the first slots."""
    shifts = [int(getattr(kind, name).shift) for name in names]
    words = [sum(map(lshift, map(int, row), shifts)) for row in rows]
    return kind(np.array(words + [0] * (size - len(words)), np.uint32))


def _enemy_arrays(enemies: list[reference.Enemy]) -> Enemies:
    rows = [
        (True, e.type, e.row * rules.SIDE + e.col, *(getattr(e, name) for name in ENEMY[2:]))
        for e in enemies
    ]
    return _packed(Enemies, ("alive", *ENEMY), rows, rules.MOST_ENEMIES)


def _transmission_arrays(eggs: list[reference.Transmission]) -> Transmissions:
    rows = [
        (True, t.type, t.row * rules.SIDE + t.col, t.timer, t.from_schedule, t.from_siphon)
        for t in eggs
    ]
    return _packed(Transmissions, ("alive", *EGG), rows, rules.MOST_TRANSMISSIONS)


class Both(NamedTuple):
    """Envs in JAX, compiled once."""

    env: HackMatrix
    n: int  # envs side by side
    advance: Callable[..., Any]  # chance, game, action, steps so far -> Step
    begin: Callable[..., Any]  # chance -> obs, Game


def full(game: GameState, steps: Any) -> HackMatrixState:
    """The state of an env whose episode came to a game in so many steps."""
    return HackMatrixState(game, path_length(game), no_totals()._replace(steps=steps))


def side_by_side(n: int, **options: Any) -> Both:
    """The game in JAX, `n` envs at once."""
    game = env(**options)
    params = game.default_params()

    def advance(chance: Any, state: GameState, action: Any, steps: Any) -> Any:
        return game.advance(chance, full(state, steps), action, params)

    def begin(chance: Any) -> Any:
        obs, state = game.begin(chance, params)
        return obs, state.game

    return Both(game, n, jax.jit(jax.vmap(advance)), jax.jit(jax.vmap(begin)))


def stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *x: np.stack(x), *trees)


def unstack(tree: Any, n: int) -> list[Any]:
    leaves, structure = jax.tree.flatten(jax.device_get(tree))
    return [jax.tree.unflatten(structure, [x[i] for x in leaves]) for i in range(n)]
