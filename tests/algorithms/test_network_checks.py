"""What is tried of an algorithm's networks before it trains: once for all of equal shapes."""

from dataclasses import replace

import pytest

from vibe_rl.algorithms.checks import check_networks
from vibe_rl.algorithms.ppo import PPO, PPOConfig
from vibe_rl.errors import ConfigError
from vibe_rl.spaces import Box, Discrete

ALGORITHM = PPO(PPOConfig(hidden_sizes=(3,)), Box(-1.0, 1.0, (2,)), Discrete(2))


def with_config(**changes):
    return replace(ALGORITHM, config=replace(ALGORITHM.config, **changes))


def test_numbers_build_no_network_again_and_shapes_do():
    sizes = []

    def build(algorithm, key):
        sizes.append(algorithm.config.hidden_sizes)
        return algorithm.network(key)

    for algorithm in (ALGORITHM, with_config(lr=1e-5, gamma=0.5), with_config(hidden_sizes=(4,))):
        check_networks(build, algorithm)
    assert sizes == [(3,), (4,)]


def test_what_building_raises_is_raised_each_time():
    def build(algorithm, key):
        raise ConfigError("conv_layers leave nothing: give fewer.")

    for _ in range(2):
        with pytest.raises(ConfigError, match="leave nothing"):
            check_networks(build, ALGORITHM)
