"""Five values into six: who says what ended the episode."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from vibe_rl.env import (
    AutoResetWrapper,
    CartPole,
    EpisodeStatisticsWrapper,
    FiveValuedAdapter,
    HookWrapper,
    ObsNormWrapper,
    RewardScaleWrapper,
    TimeLimitWrapper,
    auto_resets,
    problems,
)
from vibe_rl.env.adapters.five_valued import endings
from vibe_rl.errors import ConfigError

T, F = True, False


class OldCartPole:
    """CartPole as five values, telling its time limit."""

    def __getattr__(self, name) -> Any:
        return getattr(CartPole(), name)

    def step(self, key, state, action, params):
        obs, state, reward, terminated, truncated, _ = CartPole().step(key, state, action, params)
        return obs, state, reward, terminated | truncated, {"truncated": truncated}


@pytest.mark.parametrize(
    ("done", "info", "terminated", "truncated"),
    [
        (T, {}, T, F),
        (F, {}, F, F),
        (T, {"truncated": T}, F, T),
        (T, {"truncated": F}, T, F),
        (T, {"terminated": T}, T, F),
        (T, {"terminated": F}, F, T),
        (F, {"terminated": F}, F, F),
        (T, {"terminated": T, "truncated": T}, T, T),
        (T, {"terminated": F, "truncated": T}, F, T),
    ],
)
def test_info_knows_best_what_ended_the_episode(done, info, terminated, truncated):
    assert [bool(x) for x in endings(jnp.array(done), info)] == [terminated, truncated]


@pytest.mark.parametrize(
    "wrap",
    [
        AutoResetWrapper,
        EpisodeStatisticsWrapper,
        ObsNormWrapper,
        lambda env: RewardScaleWrapper(env, 2.0),
        lambda env: TimeLimitWrapper(env, 10),
        lambda env: HookWrapper(env, lambda state, action, step, params: step),
    ],
)
def test_every_wrapper_names_the_adapter_that_is_missing(wrap):
    env = wrap(OldCartPole())
    with pytest.raises(ConfigError, match=r"five values: .*in FiveValuedAdapter"):
        auto_resets(env, env.default_params())


def test_an_environment_that_needs_no_adapter_is_told_so():
    env = FiveValuedAdapter(CartPole())
    with pytest.raises(ConfigError, match="step returns 6 values: leave out the FiveValuedAdapter"):
        auto_resets(env, env.default_params())


def test_an_adapted_environment_is_sound_and_steps_like_the_one_below():
    env = FiveValuedAdapter(OldCartPole())
    assert problems(env) == []
    params, key = env.default_params(), jax.random.key(0)
    _, state = env.reset(key, params)
    state = state._replace(time=jnp.int32(499))
    step = env.step(key, state, jnp.int32(0), params)
    assert step.truncated
    assert not step.terminated
