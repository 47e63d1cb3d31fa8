"""Searches for hyperparameters by other packages, which need one function of a trial."""

from vibe_rl.configs.axes import Range
from vibe_rl.experiment.search.objective import Evaluation, TrialResult, run_trial

__all__ = ["Evaluation", "Range", "TrialResult", "run_trial"]
