"""Ten colours that stay apart for every kind of colour blindness, and a palette one may replace."""

from collections.abc import Sequence

from vibe_rl.errors import ConfigError

DEEPMIND = (
    "#2148D4",  # blue
    "#D9541E",  # vermilion
    "#3CC87E",  # green
    "#57288A",  # violet
    "#D9B01A",  # ochre
    "#2A93EC",  # sky
    "#8A1048",  # burgundy
    "#6B885A",  # sage
    "#64380F",  # brown
    "#EE8AD0",  # pink
)

_palette = DEEPMIND


def get_colors(n: int | None = None) -> list[str]:
    """The palette, or its first `n` colours, from the start again where it is too short."""
    return [color_for(i) for i in range(len(_palette) if n is None else n)]


def set_palette(colors: Sequence[str]) -> None:
    """Use `colors`, anything matplotlib knows as one, in all later plots.

    Raises:
        ConfigError: `colors` is empty.
    """
    global _palette  # noqa: PLW0603  one palette for the process is what this function is for
    if not colors:
        raise ConfigError("a palette of no colours cannot be drawn with: give one or more.")
    _palette = tuple(colors)


def reset_palette() -> None:
    """Use `DEEPMIND` again."""
    set_palette(DEEPMIND)


def color_for(i: int) -> str:
    """The colour of the `i`-th line, counted from 0."""
    return _palette[i % len(_palette)]
