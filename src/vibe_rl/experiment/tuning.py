"""Sizes of PPO's updates by measurement: a few are run on this device, each for a few seconds.

Speed is not all: more envs learn less from a step. So the fewest envs are taken that are nearly as
fast as the fastest, with minibatches and epochs by the rule of `vibe_rl.configs.scaling`.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import jax

from vibe_rl.configs.scaling import auto_scaled, check_scalable, sizes_of, with_algo
from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build
from vibe_rl.runner.config import with_num_envs
from vibe_rl.runner.loop import Chunk
from vibe_rl.runner.run import Run
from vibe_rl.system.programs import enable_compilation_cache

FACTORS = (1.0, 2.0, 4.0, 8.0, 0.5)
"""Of the config's number of envs, in the order in which they are tried."""
NEARLY = 0.9
"""Share of the fastest's speed that is as good."""
ENDLESS = 2**50
"""Env steps that no measurement makes."""
SECONDS, BUDGET = 2.0, 120.0
Clock = Callable[[], float]


class Measured(NamedTuple):
    """A config and how fast it is here; its batch may be too large."""

    config: TrainConfig
    compile_seconds: float
    steps_per_second: float  # env steps, collecting and learning; 0 if memory does not hold it

    @property
    def num_envs(self) -> int:
        """On all devices."""
        return with_num_envs(self.config.algo, self.config.runner)[0].num_envs


class Tuned(NamedTuple):
    """What was chosen of what was measured."""

    chosen: Measured
    measured: list[Measured]
    all_tried: bool  # whether there was time for every size


@dataclass
class Stopwatch:
    """The time that measuring may take, all sizes together; a compilation is not cut short."""

    seconds: float = SECONDS  # of steady speed, for each size
    budget: float = BUDGET  # after which no other size is begun
    clock: Clock = time.perf_counter
    began: float = field(default=0.0, init=False)

    def __post_init__(self):
        self.began = self.clock()

    @property
    def is_over(self) -> bool:
        """Whether no other size may be begun."""
        return self.clock() - self.began >= self.budget


def tune(
    config: TrainConfig,
    reference: TrainConfig,
    typed: Collection[str] = (),
    watch: Stopwatch | None = None,
    tell: Callable[[Measured], object] = lambda measured: None,
) -> Tuned:
    """The number of envs and of minibatches that suit this device.

    Args:
        config: what is to be trained.
        reference: the preset that it comes from; see `auto_scaled`.
        typed: fields, such as `algo.num_envs`, that stay as they are.
        watch: how long it may take.
        tell: is called with each measurement.

    Raises:
        ConfigError: the run cannot work, or all that could be chosen was typed.
    """
    check_scalable(config, "tune")
    watch = watch or Stopwatch()
    tries = Tries(watch, tell)
    tries.run(envs_to_try(config, reference, typed))
    if not tries.measured:
        raise ConfigError("tune: no size fits into memory, give fewer algo.num_envs.")
    chosen = fewest_envs(tries.measured)
    before = len(tries.measured)
    tries.run(minibatches_to_try(config, chosen, reference, typed))
    chosen = faster_minibatches(chosen, tries.measured[before:])
    return Tuned(chosen, tries.measured, tries.all_tried)


@dataclass
class Tries:
    """Sizes that are measured one after another while there is time."""

    watch: Stopwatch
    tell: Callable[[Measured], object]
    measured: list[Measured] = field(default_factory=list)
    all_tried: bool = True

    def run(self, configs: Sequence[TrainConfig]) -> None:
        """Measures them in turn; the very first whatever it takes."""
        for config in configs:
            if self.measured and self.watch.is_over:
                self.all_tried = False
                return
            found = measure_size(config, self.watch)
            self.tell(found)
            if found.steps_per_second:
                self.measured.append(found)


def envs_to_try(
    config: TrainConfig, reference: TrainConfig, typed: Collection[str]
) -> list[TrainConfig]:
    """Configs with other numbers of envs, scaled; the config's own one alone if it was typed.

    Raises:
        ConfigError: nothing is left to choose.
    """
    if {"algo.num_envs", "runner.num_envs"} & set(typed):
        if "algo.n_minibatches" in typed:
            raise ConfigError(
                "tune chooses num_envs and n_minibatches, and both are given: leave one out."
            )
        return [auto_scaled(config, reference, typed)]
    own = config.algo.num_envs
    numbers = dict.fromkeys(max(1, int(own * factor)) for factor in FACTORS)
    return [
        auto_scaled(each, reference, typed)
        for each in (with_algo(config, {"num_envs": number}, ()) for number in numbers)
        if each.algo.num_envs == own or divides(each, typed)
    ]


def divides(config: TrainConfig, typed: Collection[str]) -> bool:
    """Whether a batch can be cut into the minibatches that were typed."""
    sizes = sizes_of(config)
    return "algo.n_minibatches" not in typed or sizes.batch % sizes.n_minibatches == 0


def minibatches_to_try(
    config: TrainConfig, chosen: Measured, reference: TrainConfig, typed: Collection[str]
) -> list[TrainConfig]:
    """The config with the chosen envs and half or twice as many minibatches, if they divide."""
    if "algo.n_minibatches" in typed:
        return []
    sizes = sizes_of(chosen.config)
    numbers = [n for n in (sizes.n_minibatches // 2, sizes.n_minibatches * 2) if n]
    given = {"num_envs": chosen.config.algo.num_envs}
    return [
        auto_scaled(
            with_algo(config, given | {"n_minibatches": n}, ()),
            reference,
            {*typed, "algo.n_minibatches"},
        )
        for n in numbers
        if sizes.batch % n == 0
    ]


def fewest_envs(measured: Sequence[Measured]) -> Measured:
    """The one with the fewest envs of those that are nearly as fast as the fastest."""
    fastest = max(each.steps_per_second for each in measured)
    near = [each for each in measured if each.steps_per_second >= NEARLY * fastest]
    return min(near, key=lambda each: each.num_envs)


def faster_minibatches(own: Measured, others: Sequence[Measured]) -> Measured:
    """The fastest of some numbers of minibatches, if the rule's is not nearly as fast."""
    fastest = max([own, *others], key=lambda each: each.steps_per_second)
    return own if own.steps_per_second >= NEARLY * fastest.steps_per_second else fastest


def measure_size(config: TrainConfig, watch: Stopwatch) -> Measured:
    """Trains for a few seconds, writing nothing.

    Raises:
        ConfigError: the run cannot work.
    """
    run = build(endless(config))
    try:
        with jax.default_matmul_precision(run.config.matmul_precision):
            return Measured(config, *time_updates(run, watch))
    except Exception as error:  # of XLA, whose class is not public
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return Measured(config, 0.0, 0.0)


def endless(config: TrainConfig) -> TrainConfig:
    """The config of a run that neither ends nor evaluates meanwhile."""
    runner = replace(config.runner, total_timesteps=ENDLESS, eval_every=0, eval_episodes=0)
    return replace(config, runner=replace(runner, checkpoint_interval=None))


def time_updates(run: Run, watch: Stopwatch) -> tuple[float, float]:
    """Seconds until the first update is made, and env steps per second of those that follow."""
    enable_compilation_cache()
    at_once, began = 1, watch.clock()
    updates, spent = 0, 0.0
    with run.start() as state:
        chunks = run.chunks(state, lambda first: at_once)
        _finish(chunks)
        compile_seconds = watch.clock() - began
        while spent < watch.seconds:
            began = watch.clock()
            made = _finish(chunks)
            took = watch.clock() - began
            updates, spent = updates + made, spent + took
            at_once = min(2 * at_once, max(1, int(at_once * watch.seconds / 4 / max(took, 1e-9))))
    return compile_seconds, updates * run.steps_per_update / spent


def _finish(chunks: Iterator[Chunk]) -> int:
    """Waits for the next chunk; how many updates it made."""
    chunk = next(chunks)
    jax.block_until_ready(chunk.metrics)
    return chunk.n_updates
