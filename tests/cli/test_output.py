"""What commands print of a group: how it ended, who diverged, its figures."""

import pytest

from small_run import DRAWN
from vibe_rl.cli.shared.output import print_diverged, print_ending, print_group, print_result
from vibe_rl.errors import TrainingInterrupted
from vibe_rl.experiment.config_files import write_config
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.divergence import Divergence, mark_diverged


@pytest.fixture
def group(tmp_path):
    """A group of two members, of which one diverged."""
    group = RunDir(base_dir=tmp_path, run_id="sweep")
    write_config(group, DRAWN)
    each = [RunDir(base_dir=group.root / "members", run_id=f"lr=0.1_seed_{i}") for i in (9, 10)]
    mark_diverged(each[1], Divergence(1024, "loss NaN since update 3"))
    return group


def test_members_that_diverged_are_printed_with_the_reason(group, capsys):
    print_diverged(group)
    assert capsys.readouterr().out == "Diverged | lr=0.1_seed_10: loss NaN since update 3\n"


def test_the_command_to_resume_can_be_typed_whatever_the_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    print_ending(RunDir(base_dir="my runs", run_id="a $b"), "", "", interrupted=True)
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == ["Run | my runs/a $b", "Resume with | vibe-rl train --resume 'my runs/a $b'"]


def test_a_ranking_is_printed_and_drawn_and_one_that_was_interrupted_is_not(group, capsys):
    print_group(group, ["best", "worst"], "\n".join, "Ranking", lambda: "ranking.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Training complete"
    assert lines[2:6] == ["best", "worst", f"Run | {group}", "Ranking | ranking.png"]
    assert lines[6].startswith("Reward curve | ")
    print_group(group, [], "\n".join, "Ranking", lambda: "ranking.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Training interrupted"
    assert lines[2:] == [f"Run | {group}", f"Resume with | vibe-rl train --resume {group}"]


@pytest.mark.parametrize(
    ("result", "shown"),
    [({"total_episodes": 3, "stop_reason": "interrupted"}, 1), (("group", ["row"]), 2)],
)
def test_an_interrupted_training_is_shown_as_a_complete_one_is(result, shown):
    def interrupted():
        raise TrainingInterrupted(result, 15)

    calls = []
    with pytest.raises(TrainingInterrupted):
        print_result(interrupted, lambda *parts: calls.append(parts))
    print_result(lambda: result, lambda *parts: calls.append(parts))
    assert calls[0] == calls[1]
    assert len(calls[0]) == shown
