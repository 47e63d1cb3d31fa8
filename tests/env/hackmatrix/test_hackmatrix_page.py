"""The tables of the page about HackMatrix say what the rules say."""

import re
from pathlib import Path

import pytest

from vibe_rl.env.hackmatrix import rules
from vibe_rl.env.hackmatrix.env import HackMatrixParams

PAGE = Path(__file__).parents[3] / "docs" / "hackmatrix.md"


def rows(first: str) -> list[list[str]]:
    """The rows of the table whose first heading this is, without the last column."""
    _, _, text = PAGE.read_text("utf-8").partition(f"| {first} |")
    table, *_ = text.partition("\n\n")
    return [
        [cell.strip() for cell in line.strip("|").split("|")][:-1]
        for line in table.splitlines()[2:]
    ]


def test_the_programs_have_their_numbers_prices_and_transmissions():
    assert rows("action | program") == [
        [str(rules.FIRST_PROGRAM + i), each.name, *map(str, each[1:])]
        for i, each in enumerate(rules.PROGRAMS)
    ]


def test_the_enemies_have_their_hp():
    assert rows("enemy") == [[each.name, str(each.max_hp)] for each in rules.ENEMIES]


def test_the_parts_of_the_reward_have_their_weights():
    weights = {re.sub("`", "", part): float(weight) for part, weight in rows("part")}
    params = HackMatrixParams()
    assert list(weights) == list(rules.PARTS)
    assert weights == pytest.approx({part: getattr(params, part) for part in rules.PARTS})
