"""Figures of `plotting` as SVG inside a page, in the colours of its light and of its dark theme."""

import re
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

from vibe_rl.errors import ConfigError, reason
from vibe_rl.extras import require
from vibe_rl.plotting.canvas import GRID, INK, SOFT_INK
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.groups import plot_curves_of
from vibe_rl.plotting.palette import get_colors
from vibe_rl.report.html import Html, note, tag
from vibe_rl.run_dir.group import AnyPath

SMALL, WIDE = (4.6, 3.0), (11.0, 4.2)  # inches
MOST_CORNERS = 3000
"""Of an area that is drawn as such; a larger one becomes a picture inside the figure."""
_FONT = re.compile(r"font-family:[^;\"]*;?\s*")
_ID = re.compile(r'(id="|url\(#|xlink:href="#|href="#)([\w.-]+)')


def to_svg(figure: Any, name: str, alt: str) -> Html:
    """A figure as an element that is as wide as there is room.

    Args:
        figure: of matplotlib.
        name: unlike that of any other figure of the page.
        alt: what it shows, for those who do not see it.
    """
    for axes in figure.axes:
        for area in axes.collections:
            corners = sum(len(path.vertices) for path in area.get_paths())
            area.set_rasterized(corners > MOST_CORNERS)
    text = StringIO()
    matplotlib = require("matplotlib", "plot", "figures of a report")
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify_threshold": 0.3}
    with matplotlib.rc_context(settings):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    return Html(in_theme(svg[svg.index("<svg") :], name).replace("<svg ", tag_of(alt), 1))


def tag_of(alt: str) -> str:
    """The beginning of an element that a screen reader reads as a picture."""
    return tag("svg", role="img", aria_label=alt).removesuffix("></svg>") + " "


def in_theme(svg: str, name: str) -> str:
    """An SVG with variables of the page's style for colours, and names of its own."""
    variables = {INK: "currentColor", SOFT_INK: "var(--soft)", GRID: "var(--line)"}
    variables |= {color: f"var(--c{i})" for i, color in enumerate(get_colors())}
    variables["#000000"] = "currentColor"
    for color, variable in variables.items():
        svg = svg.replace(color.lower(), variable)
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return _ID.sub(rf"\g<1>{name}-\2", _FONT.sub("", svg))


def curves(runs: Sequence[AnyPath], name: str, y_key: str, alt: str, **how: Any) -> Html:
    """A metric of runs and groups over env steps, with 95 % intervals where there are seeds."""
    figsize, merge = how.get("figsize", SMALL), how.get("merge", True)
    config = PlotConfig(shaded="iqm", figsize=figsize, title="", ylabel=how.get("ylabel"))
    figure = plot_curves_of(runs, None, config, {"y_key": y_key}, merge=merge)
    return to_svg(figure, name, alt)


def learning_curve(runs: Sequence[AnyPath], what: str, prefix: str, merge: bool = True) -> Html:
    """The returns, in a shape for wide and in one for narrow windows.

    Args:
        runs: of directories.
        what: they are.
        prefix: of the names of these figures.
        merge: see `plot_curves_of`.
    """
    alt = f"Episode return over env steps of {what}."

    def draw(shape: str, figsize: tuple[float, float]) -> Html:
        how = {"figsize": figsize, "merge": merge}
        figure = curves(runs, f"{prefix}-{shape}", "episode_return", alt, **how)
        return tag("div", figure, class_=f"for-{shape}")

    return shown(lambda: tag("figure", draw("wide", WIDE), draw("narrow", SMALL)))


def small_curves(runs: Sequence[AnyPath], metrics: Sequence[str], prefix: str) -> Html:
    """A small figure for each metric, side by side as there is room."""
    figures = [_small(runs, metric, f"{prefix}-{i}") for i, metric in enumerate(metrics)]
    return tag("div", *figures, class_="figures")


def _small(runs: Sequence[AnyPath], metric: str, name: str) -> Html:
    caption = tag("figcaption", metric.replace("_", " "))
    alt = f"{metric} over env steps."
    return tag("figure", caption, shown(lambda: curves(runs, name, metric, alt, ylabel="")))


def shown(draw: Callable[[], Html]) -> Html:
    """What `draw` draws, or the sentence that says why there is nothing."""
    try:
        return draw()
    except (ConfigError, ValueError) as error:  # matplotlib's are of names that are like formulas
        return note(f"No figure: {reason(error)}")
