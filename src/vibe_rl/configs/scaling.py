"""Minibatches, epochs and learning rate for more envs than a preset has, by one rule.

A preset's own batch and minibatch are the reference: a larger batch is cut into more minibatches of
about that size and passed over less often, and where that makes more gradient steps, each is
smaller.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

from vibe_rl.algorithms.checks import check_batch
from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.configs.train_config import TrainConfig, algorithm_name
from vibe_rl.errors import ConfigError, check_bounds
from vibe_rl.runner.config import devices_of, with_num_envs

MOST_MINIBATCHES, FEWEST_EPOCHS = 64, 2
"""Of a scaled batch, unless the preset itself has more minibatches or fewer epochs."""


class Sizes(NamedTuple):
    """How an update goes over its batch."""

    batch: int  # env steps, over all envs
    n_minibatches: int
    n_epochs: int

    @property
    def minibatch(self) -> int:
        """Examples."""
        return self.batch // self.n_minibatches

    @property
    def gradient_steps(self) -> int:
        """Of one update."""
        return self.n_minibatches * self.n_epochs


def sizes_of(config: TrainConfig) -> Sizes:
    """The sizes of a config's updates, over all devices."""
    algo, _ = with_num_envs(config.algo, config.runner)
    return Sizes(algo.n_steps * algo.num_envs, algo.n_minibatches, algo.n_epochs)


def scaled_sizes(batch: int, reference: Sizes, n_shards: int = 1) -> Sizes:
    """The sizes for a batch; the reference's numbers where it is no larger.

    Args:
        batch: env steps, over all devices.
        reference: of the preset.
        n_shards: devices, whose parts are cut into minibatches each.
    """
    if batch <= reference.batch:
        return reference._replace(batch=batch)
    most = max(MOST_MINIBATCHES, reference.n_minibatches)
    wanted = min(most, batch // reference.minibatch)
    n_epochs = max(FEWEST_EPOCHS, reference.n_epochs * reference.batch // batch)
    n_minibatches = largest_divisor(batch // n_shards, wanted)
    return Sizes(batch, n_minibatches, min(reference.n_epochs, n_epochs))


def largest_divisor(n: int, most: int) -> int:
    """The largest divisor of `n` that is not above `most`."""
    return next(d for d in range(most, 0, -1) if n % d == 0)


def auto_scaled(
    config: TrainConfig, reference: TrainConfig, typed: Collection[str] = ()
) -> TrainConfig:
    """The config with minibatches, epochs and learning rate that suit its batch.

    The learning rate is divided by as much as an update makes more gradient steps than one of the
    reference does; fewer do not raise it.

    Args:
        config: what is to be trained.
        reference: the preset that it comes from.
        typed: fields, such as `algo.n_epochs`, that stay as they are.

    Raises:
        ConfigError: the algorithm has no minibatches of a rollout.
    """
    check_scalable(config, "--auto-scale")
    before = sizes_of(reference)
    after = scaled_sizes(sizes_of(config).batch, before, devices_of(config.runner))
    sizes = {"n_minibatches": after.n_minibatches, "n_epochs": after.n_epochs}
    config = with_algo(config, sizes, typed)
    factor = lr_factor(sizes_of(config), before)
    rates = {"lr": config.algo.lr * factor}
    if config.algo.lr_end is not None:
        rates["lr_end"] = config.algo.lr_end * factor
    return config if factor == 1.0 else with_algo(config, rates, typed)


def lr_factor(sizes: Sizes, reference: Sizes) -> float:
    """What the learning rate is multiplied by; 1 where there are no more gradient steps."""
    return min(1.0, reference.gradient_steps / sizes.gradient_steps)


def with_algo(config: TrainConfig, values: dict[str, Any], typed: Collection[str]) -> TrainConfig:
    """The config with these fields of its algorithm, but for those that were typed."""
    free = {name: value for name, value in values.items() if f"algo.{name}" not in typed}
    return replace(config, algo=replace(config.algo, **free))


def describe_scaling(config: TrainConfig, reference: TrainConfig) -> str:
    """One line about the sizes of a config, and the learning rate that suits them."""
    sizes, before = sizes_of(config), sizes_of(reference)
    wanted = reference.algo.lr * lr_factor(sizes, before)
    advice = "" if wanted == config.algo.lr else f", {wanted:g} would suit them"
    return (
        f"batch {sizes.batch:,}: {sizes.n_minibatches} minibatches of {sizes.minibatch:,}, "
        f"{sizes.n_epochs} epochs, {sizes.gradient_steps} gradient steps an update, "
        f"lr {config.algo.lr:g}{advice}"
    )


def check_scalable(config: TrainConfig, option: str) -> None:
    """Raises ConfigError if an update of the config's algorithm is not cut into minibatches.

    Or if a number of the algorithm is out of its bounds.
    """
    if not isinstance(config.algo, PPOConfig):
        raise ConfigError(
            f"{option} is of PPO's minibatches and epochs, and {algorithm_name(config)} draws its "
            "batches from a replay: leave it out, and set replay_ratio and batch_size."
        )
    check_bounds(config.algo)


def check_split(config: TrainConfig) -> None:
    """Raises ConfigError if an update's batch cannot be cut into its minibatches."""
    algo, _ = with_num_envs(config.algo, config.runner)
    check_batch(algo.n_steps, algo.num_envs, algo.n_minibatches, devices_of(config.runner))
