"""Bounds that fields declare, and the sentences that refuse what is outside them."""

from dataclasses import dataclass

import pytest

from vibe_rl.errors import ConfigError, check_bounds
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
