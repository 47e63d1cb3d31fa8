"""Hitting enemies and removing what has died, for attacks and programs alike."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from vibe_rl.env.hackmatrix.compact.packed import put
from vibe_rl.env.hackmatrix.compact.rows import total
from vibe_rl.env.hackmatrix.state import GameState


class Deed(NamedTuple):
    """What an action made of a game."""

    game: GameState
    kills: Any  # int32, those that count
    exits: Any  # bool, whether the player has reached the exit


NO_KILLS, STAYS = np.int32(0), np.bool_(False)


def deed(game: GameState, kills: Any = NO_KILLS, exits: Any = STAYS) -> Deed:
    """A deed; nothing is killed and the exit not reached unless it says so."""
    return Deed(game, kills, exits)


def damage(game: GameState, hit: Bool[Array, " enemies"], amount: Array | int) -> Deed:
    """Every living enemy that is hit loses hp; it is stunned if any are left, else removed."""
    enemies = game.enemies
    hit = hit & enemies.alive
    hp = jnp.where(hit, jnp.maximum(enemies.hp - amount, 0), enemies.hp)
    wounded = put(enemies, hp=hp, stunned=enemies.stunned | (hit & (hp > 0)))
    return remove_enemies(game._replace(enemies=wounded), hit & (hp == 0))


def remove_enemies(game: GameState, gone: Bool[Array, " enemies"]) -> Deed:
    """Without some of the living enemies; each is a kill unless it came by schedule."""
    gone = gone & game.enemies.alive
    kills = total(gone & ~game.enemies.from_schedule)
    enemies = put(game.enemies, alive=game.enemies.alive & ~gone)
    return deed(game._replace(enemies=enemies), kills)


def remove_transmissions(game: GameState, gone: Bool[Array, " transmissions"]) -> Deed:
    """Without some of the transmissions; each is a kill unless it came by schedule."""
    gone = gone & game.transmissions.alive
    kills = total(gone & ~game.transmissions.from_schedule)
    left = put(game.transmissions, alive=game.transmissions.alive & ~gone)
    return deed(game._replace(transmissions=left), kills)
