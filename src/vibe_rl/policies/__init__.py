"""A saved agent as a function, and as files that need no vibe_rl."""

from vibe_rl.policies.folder import export
from vibe_rl.policies.loading import Policy, load
from vibe_rl.policies.params import SavedAgent, load_params
from vibe_rl.policies.registry import Figures, Published, publish
from vibe_rl.policies.runs import export_run, publish_run

__all__ = [
    "Figures",
    "Policy",
    "Published",
    "SavedAgent",
    "export",
    "export_run",
    "load",
    "load_params",
    "publish",
    "publish_run",
]
