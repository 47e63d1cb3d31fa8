"""Searches for good settings by packages that know how; each needs one function of a trial."""

from vibe_rl.search.space import Range
from vibe_rl.search.trial import Outcome, Report, run_trial

__all__ = ["Outcome", "Range", "Report", "run_trial"]
