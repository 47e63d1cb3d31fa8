"""How a plot looks, apart from what is in it."""

from dataclasses import dataclass

from vibe_rl.errors import ConfigError

DEFAULT_STYLE = "vibe"


@dataclass(frozen=True)
class PlotConfig:
    """Settings of `plot_reward_curve`; None lets the data decide."""

    smooth_radius: int | None = None
    """Rows on either side that enter a mean; None takes a fiftieth of the curve, at most 10."""
    smooth_mode: str = "window"
    """The "window", a centred mean, or "ema", an exponential one as wide (span 2 radius + 1)."""
    shaded: str = "std"
    """Of several runs: the mean and "std", "stderr" or "none"; or "iqm" and its 95 % interval."""
    figsize: tuple[float | int, float | int] = (8, 5)
    """Width and height in inches."""
    dpi: int = 150
    """Dots per inch."""
    style: str = DEFAULT_STYLE
    """The default style, "vibe", or any name that matplotlib knows, such as "ggplot"."""
    save_format: str = "png"
    """The suffix for a `save_path` that has none."""
    title: str | None = None
    """None names the environment, and the algorithm where there is one."""
    xlabel: str | None = None
    """None names the quantity."""
    ylabel: str | None = None
    """None names the quantity and what is shaded."""

    def __post_init__(self):
        if self.dpi < 1:
            raise ConfigError(f"dpi {self.dpi}: give at least 1.")
        if min(self.figsize) <= 0:
            raise ConfigError(f"figsize {self.figsize}: give a width and a height above zero.")
        if self.smooth_mode not in ("window", "ema"):
            raise ConfigError(f"smooth_mode {self.smooth_mode!r}: choose window or ema.")
        if self.shaded not in ("iqm", "std", "stderr", "none"):
            raise ConfigError(f"shaded {self.shaded!r}: choose iqm, std, stderr or none.")
