"""Scripted drivers."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array


def all_of(env: Any) -> dict[str, Callable[..., Array]]:
    """By name."""
    return {}
