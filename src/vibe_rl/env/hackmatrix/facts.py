"""What several rules ask of a game, found once."""

from typing import NamedTuple

from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix.compact import bitboard
from vibe_rl.env.hackmatrix.compact.bitboard import Bitboard
from vibe_rl.env.hackmatrix.state import GameState


class Facts(NamedTuple):
    """What several programs ask of a game."""

    blocks: Bitboard
    on_block: Bool[Array, " enemies"]
    in_row: Bool[Array, " enemies"]
    in_column: Bool[Array, " enemies"]
    on_siphoned: Bool[Array, " enemies"]
    beside: Bitboard  # the eight cells round the player
    entities: Bitboard  # enemies and transmissions


def facts(game: GameState) -> Facts:
    """They, of a game."""
    enemies, cell, player = game.enemies, game.enemies.cell, game.player.cell
    blocks = game.board.blocks()
    return Facts(
        blocks=blocks,
        on_block=enemies.alive & blocks.has(cell),
        in_row=enemies.alive & (bitboard.row_of_cell(cell) == bitboard.row_of_cell(player)),
        in_column=enemies.alive
        & (bitboard.column_of_cell(cell) == bitboard.column_of_cell(player)),
        on_siphoned=enemies.alive & bitboard.of_mask(game.board.siphoned).has(cell),
        beside=bitboard.around(bitboard.single(player)),
        entities=enemies.where() | game.transmissions.where(),
    )
