"""Bounds that fields declare, and the sentences that refuse what is outside them."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.algorithms import DQNConfig, PPOConfig, SACConfig
from vibe_rl.errors import ConfigError, check_bounds, unknown
from vibe_rl.runner import RunnerConfig
from vibe_rl.types import number, static


@dataclass(frozen=True)
class Config:
    lr: float = number(0.1, least=0)
    gamma: float = number(0.9, least=0, most=1)
    norm: float | None = number(None, above=0)
    width: int = static(8, least=1)
    loss: str = static("huber", one_of=("huber", "squared"))
    free: float = -1e9
    layers: tuple[int, ...] = static(())


@pytest.mark.parametrize(
    "changes", [{}, {"lr": 0.0}, {"gamma": 1.0}, {"norm": 1e-9}, {"lr": float("inf")}]
)
def test_what_is_within_its_bounds_or_has_none_is_accepted(changes):
    check_bounds(Config(**changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lr": -0.1}, "lr -0.1: give at least 0."),
        ({"lr": float("nan")}, "lr nan: give at least 0."),
        ({"gamma": 1.5}, "gamma 1.5: give a number from 0 to 1."),
        ({"gamma": float("nan")}, "gamma nan: give a number from 0 to 1."),
        ({"norm": 0.0}, "norm 0.0: give more than 0."),
        ({"width": 0}, "width 0: give at least 1."),
        ({"loss": "hubris"}, "unknown loss 'hubris': did you mean huber?"),
        ({"loss": "cubic"}, "unknown loss 'cubic': choose from huber, squared."),
        ({"width": 0, "lr": -1}, "lr -1: give at least 0."),  # the first in the order of fields
    ],
)
def test_what_is_outside_its_bounds_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(ConfigError) as caught:
        check_bounds(Config(**changes))
    assert str(caught.value) == sentence


def test_fields_of_a_part_of_a_config_are_named_with_their_part():
    with pytest.raises(ConfigError, match=r"^algo\.width 0: give at least 1\.$"):
        check_bounds(Config(width=0), "algo.")


def made(kind, **changes):
    """A config made past the tests' own checks of arguments, which come before the config's."""
    config, default = object.__new__(kind), kind()
    for field in dataclasses.fields(kind):
        value = changes.get(field.name, getattr(default, field.name))
        object.__setattr__(config, field.name, value)
    config.__post_init__()
    return config


@pytest.mark.parametrize(
    ("kind", "changes", "field", "value"),
    [
        (RunnerConfig, {"total_timesteps": 1e5}, "total_timesteps", 100_000),
        (RunnerConfig, {"total_timesteps": np.float64(1e5)}, "total_timesteps", 100_000),
        (RunnerConfig, {"seed": np.int64(3)}, "seed", 3),
        (RunnerConfig, {"checkpoint_minutes": 2}, "checkpoint_minutes", 2.0),
        (RunnerConfig, {"checkpoint_dir": Path("a") / "b"}, "checkpoint_dir", "a/b"),
        (PPOConfig, {"n_steps": 128.0, "hidden_sizes": [64, 32.0]}, "hidden_sizes", (64, 32)),
        (DQNConfig, {"conv_layers": [[8, 4, 2]]}, "conv_layers", ((8, 4, 2),)),
        (SACConfig, {"actor_lr": 1}, "actor_lr", 1.0),
        (PPOConfig, {"lr_end": None}, "lr_end", None),
        (RunnerConfig, {"seed": np.array(3)}, "seed", 3),
        (PPOConfig, {"num_envs": jnp.int32(2)}, "num_envs", 2),
        (DQNConfig, {"lr": jnp.float32(0.5)}, "lr", 0.5),
    ],
)
def test_a_field_of_a_config_gets_the_type_that_it_says(kind, changes, field, value):
    given = getattr(made(kind, **changes), field)
    assert given == value
    assert type(given) is type(value)


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        (RunnerConfig, {"total_timesteps": 0.5}, "runner.total_timesteps 0.5: give a whole"),
        (RunnerConfig, {"total_timesteps": "1000"}, "runner.total_timesteps '1000': give a num"),
        (RunnerConfig, {"eval_every": True}, "runner.eval_every True: give a number"),
        (RunnerConfig, {"plot": "no"}, "runner.plot 'no': give True or False"),
        (RunnerConfig, {"replay_on": 3}, "runner.replay_on 3: give a name, in quotes"),
        (PPOConfig, {"hidden_sizes": 64}, r"hidden_sizes 64: give a tuple, such as \(64, 64\)"),
        (PPOConfig, {"hidden_sizes": ("a",)}, r"hidden_sizes \('a',\): give a number"),
        (PPOConfig, {"lr": "3e-4"}, "lr '3e-4': give a number"),
        (PPOConfig, {"lr": None}, "lr None: give a number"),
        (DQNConfig, {"batch_size": 2.5}, "batch_size 2.5: give a whole number"),
        (DQNConfig, {"conv_layers": ((8, 4),)}, r"conv_layers \(\(8, 4\),\): give a tuple"),
        (SACConfig, {"autotune_alpha": 1}, "autotune_alpha 1: give True or False"),
        (PPOConfig, {"lr": np.array([1e-3, 1e-4])}, r"lr array\(.*\): give one number"),
        (DQNConfig, {"n_step": np.bool_(True)}, "n_step np.True_: give a number"),
        (SACConfig, {"log_std_max": object}, "log_std_max <class 'object'>: give a number"),
        (RunnerConfig, {"total_timesteps": b"9"}, "total_timesteps b'9': give a number"),
        (RunnerConfig, {"buffer_size": 1e300}, r"buffer_size 1e\+300: give a smaller number"),
    ],
)
def test_a_field_of_another_type_is_refused_in_one_sentence(kind, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        made(kind, **changes)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (PPOConfig(reward_scale=np.inf), "reward_scale inf: give a finite number"),
        (PPOConfig(init_log_std=np.nan), "init_log_std nan: give a finite number"),
        (SACConfig(init_alpha=1e39), r"init_alpha 1e\+39: give a finite number"),
        (
            DQNConfig(target_update_freq=2**31),
            "target_update_freq 2147483648: give at most 2,147,483,647",
        ),
    ],
)
def test_what_32_bits_cannot_hold_is_refused_before_it_is_blamed_on_the_learning_rate(
    config, sentence
):
    check_bounds(PPOConfig(max_grad_norm=np.inf))  # which clips nothing
    with pytest.raises(ConfigError, match=sentence):
        check_bounds(config)


def test_arrays_and_tracers_pass_as_numbers():
    lrs = jax.vmap(lambda lr: made(PPOConfig, lr=2 * lr).lr)(jnp.arange(3.0))
    assert lrs.tolist() == [0.0, 2.0, 4.0]


def test_of_very_many_names_some_are_listed():
    few, many = (tuple(f"game{i}" for i in range(n)) for n in (5, 100))
    said = str(unknown("game", "xyz", few))
    assert said.endswith("choose from game0, game1, game2, game3, game4.")
    said = str(unknown("game", "xyz", many))
    assert "... (100 in all)." in said
    assert len(said) < 200
