"""Plots of runs, without a window or global state; matplotlib is imported when one is drawn."""

from vibe_rl.plotting.comparison import plot_comparison
from vibe_rl.plotting.config import PlotConfig
from vibe_rl.plotting.hyperparameters import plot_hyperparameters
from vibe_rl.plotting.palette import DEEPMIND, color_for, get_colors, reset_palette, set_palette
from vibe_rl.plotting.ranking import plot_ranking
from vibe_rl.plotting.reward_curve import plot_reward_curve
from vibe_rl.plotting.smooth import smooth_ema, smooth_window

__all__ = [
    "DEEPMIND",
    "PlotConfig",
    "color_for",
    "get_colors",
    "plot_comparison",
    "plot_hyperparameters",
    "plot_ranking",
    "plot_reward_curve",
    "reset_palette",
    "set_palette",
    "smooth_ema",
    "smooth_window",
]
