"""Files of scenarios: sets of shards with a manifest, tables, and what others have recorded."""

from vibe_rl.env.driving.io.loading import Banks, iterate, load_bank, load_banks
from vibe_rl.env.driving.io.manifest import Manifest, read_manifest
from vibe_rl.env.driving.io.split import SplitRule
from vibe_rl.env.driving.io.stream import ScenarioStream
from vibe_rl.env.driving.io.writing import write_scenarios

__all__ = [
    "Banks",
    "Manifest",
    "ScenarioStream",
    "SplitRule",
    "iterate",
    "load_bank",
    "load_banks",
    "read_manifest",
    "write_scenarios",
]
