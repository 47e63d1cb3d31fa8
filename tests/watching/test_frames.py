"""Exact frames: a picture, a panel and a line of keys, in windows of several sizes."""

import jax
import numpy as np
import pytest

from vibe_rl.env import make
from vibe_rl.env.pictures.cells import cells
from vibe_rl.types import MaskedObs
from vibe_rl.watching import Choice, Decision, open_game
from vibe_rl.watching.deciding import decision_of
from vibe_rl.watching.escapes import Look, lines
from vibe_rl.watching.games import Moment
from vibe_rl.watching.layout import screen
from vibe_rl.watching.lines import end_line, step_block, step_line, summary_line
from vibe_rl.watching.panel import MANY, bar, entropy, panel

UNICODE = Look(0, unicode=True)
NAMES = ("up", "right", "down", "left")
BOARD = cells(["+--+", "|@ |", "+--+"])
UNSEEN = np.zeros(2, np.float32)


def moment(number=3, reward=-0.01, **more):
    told = {"parts": {}, "outcome": {}, "terminated": False, "truncated": False}
    told |= {"picture": lambda: BOARD, "state": {"time": np.int32(number)}} | more
    return Moment(number, UNSEEN, reward, 0.5, **told)


def choice(*scores, legal=None, are_values=False):
    allowed = np.ones(len(scores), bool) if legal is None else np.array(legal)
    return Choice(np.array(scores), allowed, are_values)


DECISION = Decision(np.int32(1), (choice(0.125, 0.75, 0.0, 0.125),), 0.625)


def shown(size, picture=BOARD, at=None, decision=DECISION):
    rows = panel("episode 1 of 2", at or moment(), decision, NAMES)
    return lines(screen(picture, rows, "q quit", size), UNICODE)


def test_a_panel_stands_beside_the_picture():
    assert shown((60, 14)) == [
        "+--+  episode 1 of 2",
        "|@ |",
        "+--+  step         3",
        "      reward       -0.01",
        "      return       0.5",
        "      value        0.625",
        "",
        "      probabilities",
        "      >  1 right         75.0 % ███████▌",
        "         0 up            12.5 % █▎",
        "         3 left          12.5 % █▎",
        "         2 down           0.0 %",
        "      entropy 0.736, 53 % of ln 4",
        "q quit",
    ]


def test_in_a_narrow_window_the_panel_is_below_and_nothing_is_longer_than_a_line():
    assert shown((20, 9)) == [
        "+--+",
        "|@ |",
        "+--+",
        "episode 1 of 2",
        "",
        "step         3",
        "reward       -0.01",
        "return       0.5",
        "q quit",
    ]
    assert shown((10, 4)) == ["episode 1", "", "step", "q quit"]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (20, 5), (43, 9), (80, 24), (300, 90)])
@pytest.mark.parametrize("picture", [BOARD, np.zeros((200, 300, 3), np.uint8), None])
def test_a_screen_has_as_many_lines_as_the_window_and_none_is_too_long(size, picture):
    rows = screen(picture, panel("t", moment(), DECISION, NAMES), "q quit", size)
    texts = ["".join(span.text for span in row) for row in rows]
    assert len(rows) == size[1]
    assert max(map(len, texts)) <= size[0]


def test_the_end_of_an_episode_says_how_and_with_what():
    end = moment(9, 1.0, terminated=True, outcome={"stage": 2.0}, parts={"goal": 1.0, "step": 0.0})
    assert shown((60, 14), at=end, decision=None)[5:13] == [
        "",
        "      the task ended",
        "",
        "      episode",
        "        stage 2",
        "",
        "      reward parts",
        "        goal 1",
    ]
    assert end_line(2, end) == "episode 2 | return 0.5 | 9 env steps, terminated | stage 2"


def test_illegal_options_are_not_shown_and_only_ten_of_the_others():
    found = {"action": np.int32(3), "value": None, "logits": (np.arange(12.0),)}
    legal = np.arange(12) != 11
    decision = decision_of(found, MaskedObs(UNSEEN, legal), are_values=True)
    texts = lines(tuple(panel("t", moment(), decision, ())), UNICODE)
    options = [line for line in texts if line.startswith(("  ", "> "))]
    assert options[0] == "  10        10 ██████████"
    assert [line.split()[-2 - line.startswith(">")] for line in options[:2]] == ["10", "9"]
    assert len(options) == 11
    assert options[-1] == "    and 1 more"
    assert not any("entropy" in line for line in texts)  # of values there is none


def test_bars_are_drawn_in_eighths():
    assert [bar(share, 2) for share in (0.0, 1 / 16, 0.5, 1.0, 7.0)] == ["", "▏", "█", "██", "██"]


def test_entropy_is_said_in_nats_and_as_a_share_of_that_of_the_legal_options():
    assert entropy(choice(0.5, 0.5, 0.0, legal=[True, True, False])) == (
        "entropy 0.693, 100 % of ln 2"
    )
    assert entropy(choice(0.0, 1.0, legal=[False, True])) == "entropy 0.000, one legal option"


def test_a_line_and_a_block_say_what_a_step_was():
    after = moment(4, 1.0, parts={"goal": 1.0, "idle": 0.0})
    assert step_line(moment(), DECISION, after, NAMES) == (
        "step 3 | action right (75.0 %) | value 0.625 | reward 1 | return 0.5 | goal 1"
    )
    state = {"time 3": np.zeros((2, 2, 3), np.uint8), "+--+": BOARD}
    for first, picture in state.items():
        seen = moment(picture=lambda picture=picture: picture)
        block = lines(tuple(step_block(seen, DECISION, after, NAMES)))
        assert block[:2] == ["step 3", "obs          0 0"]
        assert block[2].removeprefix("state        ") == first
        assert block[block.index("") - 2 :][:2] == [
            "action       right (75.0 %)",
            "value        0.625",
        ]


def test_of_many_parts_of_a_reward_those_that_are_not_zero_are_shown():
    parts = {f"part_{i}": float(i == 5) for i in range(MANY + 1)}
    texts = lines(tuple(panel("t", moment(parts=parts), None, ())))
    assert texts[-2:] == ["reward parts", "  part_5 1"]
    few = dict(list(parts.items())[1:])
    assert len(lines(tuple(panel("t", moment(parts=few), None, ())))) == len(texts) - 1 + MANY


def test_continuous_actions_are_shown_with_their_spread():
    found = {"action": np.float32([0.5]), "value": 2.0, "mean": np.float32([0.25])}
    decision = decision_of(found | {"log_std": np.float32([0.0])}, UNSEEN, are_values=False)
    texts = lines(tuple(panel("t", moment(), decision, ())))
    assert texts[-1] == "  0    0.500 =    0.250 +- 1.000"
    assert step_line(moment(), decision, moment(), ()).startswith("step 3 | action 0.5 | value 2 |")


def test_a_long_array_is_told_by_its_range():
    array = np.arange(20, dtype=np.float32).reshape(4, 5)
    assert summary_line(array) == "[4 x 5] 0 to 19, mean 9.5, 19 not zero"
    assert summary_line(np.array([True, False])) == "1 0"


def test_a_game_says_of_each_step_what_the_env_says():
    game = open_game(*make("GridWorld-v0", size=2))
    first = game.begin(jax.random.key(0))
    assert first.number == 0
    assert not first.done
    game.step(np.int32(1))
    last = game.step(np.int32(2))
    assert (last.number, last.reward, last.terminated, last.truncated) == (2, 1.0, True, False)
    assert last.episode_return == pytest.approx(0.99)
    assert last.state["position"].tolist() == [1, 1]
    assert first.state["position"].tolist() == [0, 0]
    assert (first.picture() != last.picture()).any()
