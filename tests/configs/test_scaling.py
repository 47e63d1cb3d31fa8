"""Sizes and learning rates for more envs than a preset has, against the table of the seed."""

from dataclasses import replace

import pytest

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs import PRESETS, TrainConfig
from vibe_rl.configs.scaling import Sizes, auto_scaled, describe_scaling, scaled_sizes, sizes_of
from vibe_rl.errors import ConfigError

REFERENCE = TrainConfig(algo=PPOConfig(num_envs=256))
"""128 steps, 4 minibatches, 4 epochs: the seed's."""
OWN = Sizes(32_768, 4, 4)


def with_envs(num_envs, **changes):
    return replace(REFERENCE, algo=replace(REFERENCE.algo, num_envs=num_envs, **changes))


@pytest.mark.parametrize(
    ("num_envs", "n_minibatches", "minibatch", "n_epochs", "gradient_steps"),
    [
        (64, 4, 2_048, 4, 16),
        (256, 4, 8_192, 4, 16),
        (384, 6, 8_192, 2, 12),  # the seed: 4 of 12,288 and 4 epochs, since it rounds 1.5 down
        (512, 8, 8_192, 2, 16),
        (1024, 16, 8_192, 2, 32),
        (2048, 32, 8_192, 2, 64),
        (4096, 64, 8_192, 2, 128),
        (8192, 64, 16_384, 2, 128),
    ],
)
def test_sizes_are_those_of_the_seeds_table(
    num_envs, n_minibatches, minibatch, n_epochs, gradient_steps
):
    sizes = sizes_of(auto_scaled(with_envs(num_envs), REFERENCE))
    assert (sizes.n_minibatches, sizes.minibatch) == (n_minibatches, minibatch)
    assert (sizes.n_epochs, sizes.gradient_steps) == (n_epochs, gradient_steps)


@pytest.mark.parametrize("num_envs", [257, 832, 896, 1000, 1344, 1408, 1472, 4093])
def test_batches_that_broke_the_seeds_rule_divide(num_envs):
    sizes = scaled_sizes(num_envs * 128, OWN)
    assert sizes.batch % sizes.n_minibatches == 0
    assert sizes.n_minibatches <= min(64, sizes.batch // 8_192)


def test_every_device_gets_whole_minibatches():
    assert 1500 * 128 // 8_192 == 23
    assert scaled_sizes(1500 * 128, OWN).n_minibatches == 20
    assert scaled_sizes(1500 * 128, OWN, n_shards=4).n_minibatches == 20
    assert scaled_sizes(1500 * 128, OWN, n_shards=125).n_minibatches == 16  # 1,536 on each


def test_more_gradient_steps_make_smaller_ones_and_fewer_no_larger_ones():
    scaled = auto_scaled(with_envs(2048), REFERENCE)
    assert scaled.algo.lr == pytest.approx(6.25e-5)  # 2.5e-4 * 16 / 64
    assert auto_scaled(with_envs(384), REFERENCE).algo.lr == 2.5e-4
    falling = replace(REFERENCE, algo=replace(REFERENCE.algo, lr_end=1e-4))
    larger = replace(falling, algo=replace(falling.algo, num_envs=2048))
    assert auto_scaled(larger, falling).algo.lr_end == pytest.approx(2.5e-5)


def test_what_was_typed_stays():
    kept = auto_scaled(with_envs(2048, n_epochs=4), REFERENCE, {"algo.n_epochs", "algo.lr"})
    assert (kept.algo.n_minibatches, kept.algo.n_epochs, kept.algo.lr) == (32, 4, 2.5e-4)
    assert "lr 0.00025, 3.125e-05 would suit them" in describe_scaling(kept, REFERENCE)
    four = auto_scaled(with_envs(2048), REFERENCE, {"algo.n_minibatches"})
    assert (four.algo.n_minibatches, four.algo.n_epochs) == (4, 2)


def test_a_preset_with_one_epoch_or_many_minibatches_keeps_them():
    assert scaled_sizes(1000, Sizes(100, 100, 1)).n_epochs == 1
    assert scaled_sizes(1000, Sizes(100, 100, 1)).n_minibatches == 100


def test_algorithms_with_a_replay_are_refused_by_name():
    dqn = PRESETS["cartpole_dqn"][1]
    with pytest.raises(ConfigError, match="dqn draws its batches from a replay: leave it out"):
        auto_scaled(dqn, dqn)
