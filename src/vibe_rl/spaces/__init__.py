"""Sets of observations and actions: frozen, hashable descriptions, Gymnasium's names (2022)."""

from vibe_rl.spaces.actions import check_masks, random_action, what_takes
from vibe_rl.spaces.arrays import (
    ArraySpace,
    Box,
    Discrete,
    Image,
    MultiBinary,
    MultiDiscrete,
    Space,
    static_bound,
)
from vibe_rl.spaces.dtypes import narrow_dtype
from vibe_rl.spaces.parts import Board, Flat, Tokens
from vibe_rl.spaces.structured import Dict, Masked, map_spaces, map_views

__all__ = [
    "ArraySpace",
    "Board",
    "Box",
    "Dict",
    "Discrete",
    "Flat",
    "Image",
    "Masked",
    "MultiBinary",
    "MultiDiscrete",
    "Space",
    "Tokens",
    "check_masks",
    "map_spaces",
    "map_views",
    "narrow_dtype",
    "random_action",
    "static_bound",
    "what_takes",
]
