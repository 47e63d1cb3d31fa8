"""One run that all tests of watching share."""

from dataclasses import replace

import pytest

from small_run import CONFIG
from vibe_rl.experiment import train

SHORT = replace(CONFIG, runner=replace(CONFIG.runner, total_timesteps=256))


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The directory of a run of CartPole, which nobody writes to."""
    return train(SHORT, tmp_path_factory.mktemp("watched") / "runs")[0].root
