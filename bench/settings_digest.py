"""Settings in eight digits, by which kept figures know theirs."""

import hashlib
import json

from vibe_rl.configs.train_config import to_dict
from vibe_rl.experiment.build import with_seed


def digest(config):
    """Eight digits that belong to a config, whatever its seed."""
    text = json.dumps(to_dict(with_seed(config, 0)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
