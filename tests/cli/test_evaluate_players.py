"""`vibe-rl evaluate`: other players than the greedy agent, and a file with a row an episode."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from probes import Climber
from small_run import CONFIG
from vibe_rl import cli, experiment
from vibe_rl.env import registry
from vibe_rl.experiment import evaluate_run
from vibe_rl.experiment.single import evaluate_env
from vibe_rl.run_dir.group import members

SHORT = replace(
    CONFIG,
    env_id="Climber-v0",
    runner=replace(CONFIG.runner, total_timesteps=128, eval_episodes=3),
)


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._registry, "Climber-v0", Climber)
        yield


@pytest.fixture(scope="module")
def run(registered, tmp_path_factory):
    return experiment.train(SHORT, tmp_path_factory.mktemp("runs"))[0]


def said_by(capsys, *words):
    cli.main(["evaluate", *map(str, words)])
    return capsys.readouterr().out.strip()


def refused(capsys, *words):
    with pytest.raises(SystemExit) as done:
        cli.main(["evaluate", *map(str, words)])
    assert done.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_the_line_of_an_evaluation_has_what_the_environment_says_of_its_episodes(run, capsys):
    said = said_by(capsys, run)
    assert said == (
        "return 3.00 +- 0.00 over 3 greedy episodes, length 3.0, climbs_sum 9, highest_max 1, "
        "lowest_min 1, success_mean 0"
    )


def test_a_random_player_plays_a_run_s_environment_or_one_by_its_name(run, capsys):
    assert "over 3 random episodes, length 3.0, climbs_sum 9" in said_by(
        capsys, run, "--actor", "random"
    )
    said = said_by(capsys, "CartPole-v1", "--actor", "random", "--episodes", 20, "--seed", 3)
    assert "over 20 random episodes" in said
    assert said == said_by(
        capsys, "CartPole-v1", "--actor", "random", "--episodes", 20, "--seed", 3
    )


def test_the_agent_s_own_policy_is_sampled_on_the_same_episodes(run, capsys):
    assert "over 3 sampled episodes" in said_by(capsys, run, "--sample")


def test_a_scripted_player_has_the_first_observations_of_the_agent_s_episodes(tmp_path):
    lean = replace(CONFIG, runner=replace(CONFIG.runner, total_timesteps=128))
    run_dir, _ = experiment.train(lean, tmp_path)
    scores = evaluate_run(run_dir, episodes=4, seed=7, actor="lean")
    alone = evaluate_env("CartPole-v1", "lean", episodes=4, seed=7)
    np.testing.assert_array_equal(scores.episode_returns, alone.episode_returns)


def test_a_file_has_a_row_for_each_episode(run, capsys, tmp_path):
    path = tmp_path / "episodes.csv"
    assert f"Episodes | {path}" in said_by(capsys, run, "--episodes", 2, "--csv", path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    own = {"climbs": "3.0", "highest": "1.0", "lowest": "1.0", "success": "0.0"}
    each = {"return": "3.0", "length": "3", "finished": "True", **own}
    assert rows == [{"episode": "0", **each}, {"episode": "1", **each}]


def test_a_file_that_is_there_stays_unless_one_says_otherwise(run, capsys, tmp_path):
    path = tmp_path / "episodes.csv"
    path.write_text("mine")
    assert "exists: give another name, or overwrite it." in refused(capsys, run, "--csv", path)
    assert path.read_text() == "mine"
    said_by(capsys, run, "--csv", path, "--overwrite")
    assert path.read_text().startswith("episode,return,length,finished,climbs")


def test_the_file_of_a_group_names_the_run_of_each_episode(capsys, tmp_path):
    group, _ = experiment.train(SHORT, tmp_path, seeds=[0, 1])
    path = tmp_path / "episodes.csv"
    said_by(capsys, group, "--csv", path)
    with path.open() as file:
        runs = [row["run"] for row in csv.DictReader(file)]
    assert runs == [member.root.name for member in members(group) for _ in range(3)]


def test_the_run_that_was_trained_is_listed_as_finished(run, capsys):
    cli.main(["runs", str(run.root.parent)])
    assert f"{run.root.name}  finished  128 of 128  3.00" in capsys.readouterr().out


BAD = [
    (["CartPole-v1"], "is an environment: say who plays, such as --actor random."),
    (["CartPole-v1", "--actor", "leen"], "unknown actor 'leen': did you mean lean"),
    (["CartPole-v2", "--actor", "random"], "unknown environment 'CartPole-v2'"),
    (["CartPole-v1", "--actor", "random", "--best"], "has no agent: leave out --best"),
    (["CartPole-v1", "--actor", "random", "--episodes", "0"], "episodes 0: give at least 1."),
    (["CartPole-v1", "--actor", "random", "--csv", "no/a.csv"], "lies in no folder that exists"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_what_cannot_be_played_is_refused_in_one_sentence(words, sentence, capsys):
    assert sentence in refused(capsys, *words)


def test_a_player_and_the_sampling_agent_cannot_both_play(run, capsys):
    assert "give one." in refused(capsys, run, "--actor", "random", "--sample")
