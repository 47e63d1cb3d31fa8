"""Figures of `plotting` as SVG inside a page, in the colours of its light and of its dark theme."""

import re
from collections.abc import Callable, Sequence
from io import StringIO
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from vibe_rl.errors import ConfigError, reason
from vibe_rl.extras import require
from vibe_rl.plotting.canvas import GRID, INK, SOFT_INK
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.curves import curve_of, curves_in
from vibe_rl.plotting.palette import get_colors
from vibe_rl.plotting.reward_curve import plot_curves
from vibe_rl.report.facts import RunFacts
from vibe_rl.report.html import Html, note, tag

SMALL, WIDE = (4.6, 3.0), (11.0, 4.2)  # inches
MOST_POINTS = 1200
"""Of a line, and corners of an area; a larger area becomes a picture inside the figure."""
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
        for line in axes.lines:
            line.set_data(*thinned(*line.get_data()))
        for area in axes.collections:
            corners = sum(len(path.vertices) for path in area.get_paths())
            area.set_rasterized(corners > MOST_POINTS)
    text = StringIO()
    matplotlib = require("matplotlib", "plot", "figures of a report")
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify_threshold": 0.3}
    with matplotlib.rc_context(settings):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    return Html(in_theme(svg[svg.index("<svg") :], name).replace("<svg ", _tag_of(alt), 1))


def thinned(x: Any, y: Any) -> tuple[Any, Any]:
    """A line that looks the same with few points: the least and the greatest of each stretch."""
    x, y = np.asarray(x), np.asarray(y)
    if len(x) <= MOST_POINTS:
        return x, y
    ends = np.linspace(0, len(x), MOST_POINTS // 2 + 1).astype(int)
    pairs = ((a + y[a:b].argmin(), a + y[a:b].argmax()) for a, b in pairwise(ends))
    kept = sorted({0, len(x) - 1, *(i for pair in pairs for i in pair)})
    return x[kept], y[kept]


def _tag_of(alt: str) -> str:
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


class CurvesOf(NamedTuple):
    """What the curves of a figure are of."""

    runs: Sequence[RunFacts]
    group_by: str = "auto"  # which of them share a curve, see `plot_reward_curve`


def curves(drawn: CurvesOf, name: str, y_key: str, alt: str, config: PlotConfig) -> Html:
    """A metric over env steps, with 95 % intervals where there are seeds."""
    some = [facts for facts in drawn.runs if len(drawn.runs) == 1 or _has(facts, y_key)]
    read = [curves_in(facts.run_dir, facts.rows, "step", y_key) for facts in some]
    return to_svg(plot_curves(read, ("step", y_key), drawn.group_by, config), name, alt)


def _has(facts: RunFacts, y_key: str) -> bool:
    """Whether a run among several has a metric, so that the others can be drawn without it."""
    return len(curve_of(facts.rows, "step", y_key).x) > 0


def learning_curve(drawn: CurvesOf, prefix: str) -> Html:
    """The returns, in a shape for wide and in one for narrow windows.

    Args:
        drawn: the runs.
        prefix: of the names of these figures.
    """
    alt = f"Episode return over env steps of {', '.join(facts.name for facts in drawn.runs)}."

    def draw(shape: str, figsize: tuple[float, float]) -> Html:
        config = PlotConfig(shaded="iqm", figsize=figsize, title="")
        figure = curves(drawn, f"{prefix}-{shape}", "episode_return", alt, config)
        return tag("div", figure, class_=f"for-{shape}")

    return drawn_or_reason(lambda: tag("figure", draw("wide", WIDE), draw("narrow", SMALL)))


def small_curves(drawn: CurvesOf, metrics: Sequence[str], prefix: str) -> Html:
    """A small figure for each metric, side by side as there is room."""
    try:
        require("matplotlib", "plot", "figures")
    except ConfigError as error:
        return note(f"No figures: {error}")
    figures = [_small(drawn, metric, f"{prefix}-{i}") for i, metric in enumerate(metrics)]
    return tag("div", *figures, class_="figures")


def _small(drawn: CurvesOf, metric: str, name: str) -> Html:
    config = PlotConfig(shaded="iqm", figsize=SMALL, title="", ylabel="")
    caption, alt = metric.replace("_", " "), f"{metric} over env steps."
    figure = drawn_or_reason(lambda: curves(drawn, name, metric, alt, config))
    return tag("figure", tag("figcaption", caption), figure)


def drawn_or_reason(draw: Callable[[], Html]) -> Html:
    """What `draw` draws, or the sentence that says why there is nothing."""
    try:
        return draw()
    except (ConfigError, ValueError) as error:  # matplotlib's are of names that are like formulas
        return note(f"No figure: {reason(error)}")
