"""Searches for good settings by packages that know how; each needs one function of a trial."""

from vibe_rl.experiment.search.objective import Outcome, Report, run_trial
from vibe_rl.experiment.search.space import Range

__all__ = ["Outcome", "Range", "Report", "run_trial"]
