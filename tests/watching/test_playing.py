"""Agents and people at play without a terminal: lines, films, replays, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import islice
from types import SimpleNamespace

import gymnasium
import jax
import numpy as np
import pytest
from PIL import Image
from tmux import require

from probes import Counter
from vibe_rl import cli
from vibe_rl.env import GridWorld, GymnasiumWrapper, make, register
from vibe_rl.env.registry import _registry
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import evaluate_run
from vibe_rl.report.sections import recordings
from vibe_rl.run_dir import RunDir
from vibe_rl.spaces import Masked
from vibe_rl.types import MaskedObs
from vibe_rl.watching import (
    Film,
    Wanted,
    Which,
    film_episodes,
    filming,
    find,
    inspect,
    newest_run,
    open_game,
    play,
)
from vibe_rl.watching.episodes import read_episode, turns
from vibe_rl.watching.human import keyboard_of


@pytest.fixture
def copied(run, tmp_path):
    """A run of its own, to write to."""
    return shutil.copytree(run, tmp_path / "runs" / run.name, symlinks=True)


def test_a_pipe_gets_a_line_for_each_step_and_no_escape_code(run, capsys):
    cli.main(["watch", str(run), "--episodes", "2", "--max-steps", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert not any("\x1b" in line for line in lines)
    steps = ["step 0", "step 1"]
    beginnings = [line.split(" | ")[0] for line in lines]
    assert beginnings == [*steps, "episode 1", *steps, "episode 2"]
    assert lines[2] == "episode 1 | return 2 | 2 env steps, cut short"
    assert "value" in lines[0]
    assert "%)" in lines[0]


@pytest.mark.parametrize("seed", [None, 5])
def test_the_episodes_are_those_of_an_evaluation(run, seed, capsys):
    how = [] if seed is None else ["--seed", str(seed)]
    cli.main(["watch", str(run), "--episodes", "2", *how])
    ends = [x for x in capsys.readouterr().out.splitlines() if x.startswith("episode")]
    returns = [float(line.split(" | ")[1].split()[1]) for line in ends]
    assert returns == evaluate_run(run, episodes=2, seed=seed).episode_returns.tolist()


def test_drawn_actions_follow_the_probabilities_and_their_key(run):
    subject = find(run, Wanted(sample=True))
    with subject.open() as game:
        moment = game.begin(subject.keys(1)[0])
        decisions = [subject.decide(moment, jax.random.key(i)) for i in range(200)]
        again = subject.decide(moment, jax.random.key(0))
    chance = decisions[0].choices[0].scores[1]
    assert decisions[0].choices[0].scores.sum() == pytest.approx(1)
    drawn = np.mean([decision.action for decision in decisions])
    assert abs(drawn - chance) < 4 * np.sqrt(chance * (1 - chance) / 200)  # standard deviations
    assert again.action == decisions[0].action


def test_inspect_says_of_each_step_what_is_seen_thought_and_done(run, capsys):
    cli.main(["inspect", str(run), "--steps", "2"])
    text = capsys.readouterr().out
    assert text.startswith(f"{run.name}, latest checkpoint, step 256\n\nstep 0\n")
    assert "\x1b" not in text
    for part in ("obs   ", "state        physics", "entropy", "of ln 2", "reward       1"):
        assert text.count(part) == 2, part
    assert list(islice(inspect(find(run), steps=1), 1)) == [text.splitlines()[0]]


def test_the_best_and_the_worst_of_several_episodes_are_filmed_and_play_again(copied, capsys):
    cli.main(["record", str(copied), "--episodes", "6", "--best", "--worst"])
    assert capsys.readouterr().out.count("Film | ") == 2
    returns = evaluate_run(copied, episodes=6).episode_returns
    for name, expected in (("best", returns.max()), ("worst", returns.min())):
        film = copied / "videos" / f"{name}_step_256.gif"
        saved = read_episode(film.with_suffix(".json"))
        assert saved.episode_return == expected == saved.length == len(saved.actions)
        with Image.open(film) as image:
            assert image.size == (300, 200)
            assert image.n_frames > 2
        cli.main(["watch", "--replay", str(film.with_suffix(".json"))])
        *steps, end = capsys.readouterr().out.splitlines()
        assert len(steps) == saved.length
        assert f"return {expected:g} | {saved.length} env steps, " in end
    assert 'href="videos/best_step_256.gif"' in recordings(RunDir.open(copied))


def test_a_second_film_stands_beside_the_first(copied):
    subject = find(copied)
    films = [film_episodes(subject, max_steps=2)[0][0].name for _ in range(2)]
    assert films == ["episode_1_step_256.gif", "episode_1_step_256_2.gif"]
    assert recordings(RunDir.open(copied)).count("<li>") == 2


def test_an_mp4_is_what_a_player_can_show(copied, tmp_path):
    require("ffmpeg")
    film = Film(mp4=True, folder=tmp_path / "films", fps=10)
    ((path, _),) = film_episodes(find(copied), film=film, max_steps=4)
    assert path == tmp_path / "films" / "episode_1_step_256.mp4"
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    (stream,) = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)["streams"]
    found = {name: stream[name] for name in ("width", "height", "nb_read_frames", "pix_fmt")}
    assert found == {"width": 300, "height": 200, "nb_read_frames": "5", "pix_fmt": "yuv420p"}


def test_without_ffmpeg_a_sentence_says_so_before_anything_is_played(copied, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(filming, "_episode_of", lambda *_: pytest.fail("it plays"))
    with pytest.raises(ConfigError, match="ffmpeg: install it"):
        film_episodes(find(copied), film=Film(mp4=True))


def test_an_ffmpeg_that_fails_leaves_no_file(copied, tmp_path, monkeypatch):
    false = tmp_path / "ffmpeg"
    false.write_text("#!/bin/sh\necho it burns >&2\nexit 3\n")
    false.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ConfigError, match=r"ffmpeg cannot write .*\(it burns\)"):
        film_episodes(find(copied), film=Film(mp4=True, folder=tmp_path / "films"), max_steps=2)
    assert not list((tmp_path / "films").glob("*.mp4*"))
    assert not list((tmp_path / "films").glob(".*"))


def test_a_replay_that_comes_out_otherwise_says_so(copied, tmp_path, capsys):
    ((film, saved),) = film_episodes(find(copied), max_steps=3)
    path = tmp_path / "other.json"
    content = json.loads(film.with_suffix(".json").read_text()) | {"episode_return": 2.0}
    path.write_text(json.dumps(content))
    cli.main(["watch", str(path)])
    assert "a return of 3 and not of 2" in capsys.readouterr().err
    assert saved.episode_return == 3


def test_the_newest_run_is_that_which_saved_last(copied, monkeypatch):
    runs = copied.parent
    monkeypatch.chdir(runs.parent)
    older = shutil.copytree(copied, runs / "Z_ppo_20990101_000000", symlinks=True)
    RunDir("unsaved", runs)
    for newest, other in ((copied, older), (older, copied)):
        os.utime(newest / "checkpoints", (2e9, 2e9))  # seconds
        os.utime(other / "checkpoints", (1e9, 1e9))
        assert newest_run() == newest
    (runs.parent / "checkpoints").mkdir()
    moved = shutil.move(older, runs.parent / "checkpoints" / older.name)
    os.utime(moved / "checkpoints", (3e9, 3e9))
    assert newest_run().resolve() == moved


def test_what_cannot_be_watched_is_refused_in_a_sentence(run, tmp_path, capsys):
    for name in ("a.txt", "a.json", "a.npz"):
        (tmp_path / name).write_text("{}")
    cases = {
        (): "name one run",
        (str(run), "--latest"): "name one run",
        (str(tmp_path / "none"),): "does not exist",
        (str(tmp_path / "a.txt"),): "cannot be watched",
        (str(tmp_path / "a.json"),): "is no recorded episode",
        (str(tmp_path / "a.json"), "--best"): "is no run directory",
        (str(run), "--hidden-dim", "8"): "is no params_N.npz",
        (str(run), "--speed", "0"): "speed 0.0: give a number above 0",
        (str(run), "--episodes", "-1"): "episodes -1: give a number above 0",
        (str(run), "--max-steps", "0"): "max_steps 0: give a number above 0",
    }
    for words, sentence in cases.items():
        with pytest.raises(SystemExit) as end:
            cli.main(["watch", *words])
        assert end.value.code == 2
        assert sentence in capsys.readouterr().err


def test_an_agent_of_a_params_file_plays_what_that_of_the_run_does(run, tmp_path):
    params_files = pytest.importorskip("vibe_rl.runner.params_files")
    from vibe_rl.experiment import load_run  # noqa: PLC0415

    whole, agent_state, notes = load_run(run)
    writer = params_files.ParamsWriter(tmp_path, whole)
    state = replace_agent(whole, agent_state)
    path = writer(notes["update"], state)
    (one,), (other,) = (
        [saved for _, saved in film_episodes(find(x), film=Film(folder=tmp_path), max_steps=9)]
        for x in (run, path)
    )
    assert one.actions == other.actions
    assert one.key == other.key


def replace_agent(whole, agent_state):
    """A training state that holds the agent."""
    return whole.shapes()._replace(agent_state=agent_state)


class Spotted(gymnasium.Env):
    """Three steps, of which each is a pixel more."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(0.0, 9.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2, start=1)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return np.float32([self.np_random.random()]), {}

    def step(self, action):
        self.time += 1
        info = {"reward_breakdown": {"idle": 0.5}, "action_mask": np.array([True, False])}
        info |= {"episode_stats": {"stage": 2, "counts": {"move": 1}}} if self.time == 3 else {}
        return np.float32([self.time]), float(action), self.time == 3, False, info

    def render(self):
        return np.full((4, 4, 3), 60 * self.time, np.uint8)


class Told(Spotted):
    """What renders text."""

    metadata = {"render_modes": ["ansi"], "render_fps": 10}  # noqa: RUF012

    def render(self):
        return f"\x1b[31mtime\x1b[0m\t{self.time}\n"


@pytest.mark.parametrize(("kind", "seen"), [(Spotted, 180), (Told, "time    3")])
def test_an_env_of_gymnasium_is_seen_by_its_own_render(kind, seen):
    name = f"vibe_rl_tests/{kind.__name__}-v0"
    gymnasium.register(name, kind)
    try:
        game = open_game(GymnasiumWrapper(name), ())
        first = game.begin(jax.random.key(1))
        assert game.begin(jax.random.key(1)).obs == first.obs
        assert game.begin(jax.random.key(2)).obs != first.obs
        moments = [game.step(np.int32(1)) for _ in range(3)]
    finally:
        del gymnasium.registry[name]
    last = moments[-1]
    assert [moment.done for moment in moments] == [False, False, True]
    assert (last.number, last.episode_return, last.parts) == (3, 6.0, {"idle": 0.5})
    assert last.outcome == {"stage": 2.0}
    assert last.theirs[1].tolist() == [True, False]
    picture = last.picture()
    if isinstance(picture, tuple):
        assert picture[0][0].text == seen
        assert moments[0].picture()[0][0].text == "time    1"  # its own, not the last one's
    else:
        assert (picture == seen).all()


def test_a_model_of_sb3_plays_in_its_env_by_its_masks(tmp_path, monkeypatch):
    class Policy:
        env_id, step = "vibe_rl_tests/Spotted-v0", 64
        spaces = Spotted.observation_space, Spotted.action_space

        def __call__(self, obs, legal, *, sample):
            assert obs.dtype == np.float32
            action = SimpleNamespace(action=0, probabilities=np.array([0.75, 0.25]), value=2.0)
            assert legal is None or legal.tolist() == [True, False]
            return action

    module = SimpleNamespace(load_policy=lambda path: Policy())
    monkeypatch.setitem(sys.modules, "vibe_rl.trainers.sb3", module)
    (tmp_path / "model.zip").touch()
    gymnasium.register(Policy.env_id, Spotted)
    try:
        text = "\n".join(inspect(find(tmp_path / "model.zip"), steps=2))
        Policy.spaces = gymnasium.spaces.Box(0, 1, (9,)), Spotted.action_space
        with pytest.raises(ConfigError, match=r"model.zip observes Box.*: give it the spaces"):
            find(tmp_path / "model.zip")
    finally:
        del gymnasium.registry[Policy.env_id]
    assert text.startswith("model.zip, step 64\n")
    assert "action       0 (75.0 %)" in text
    assert "   1  25.0 %" in text.split("step 1")[0]  # before any mask was said
    assert "   1  25.0 %" not in text.split("step 1")[1]
    assert "  idle 0.5" in text


def test_an_env_of_gymnasium_without_a_picture_is_played_all_the_same():
    game = open_game(GymnasiumWrapper(Spotted), ())  # a function, whose render_mode is its own
    game.env.render = lambda: None
    with pytest.raises(ConfigError, match="has no picture: make it with render_mode"):
        game.begin(jax.random.key(0)).picture()


def test_a_person_without_a_terminal_plays_by_letters(capsys):
    play(*make("GridWorld-v0"), keys="ddddssss q")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.isascii()
    assert "RIGHT d" in out
    assert "the task ended" in out
    assert out.splitlines()[-1].startswith("episode 2 | return 0 | 0 env steps")


def test_letters_are_read_from_stdin_until_it_ends(capsys, monkeypatch, tmp_path):
    path = tmp_path / "typed"
    path.write_text("d\n s\n")
    with path.open() as typed:
        monkeypatch.setattr("sys.stdin", typed)
        cli.main(["play", "GridWorld-v0"])
    assert capsys.readouterr().out.splitlines()[-1] == (
        "episode 1 | return -0.02 | 2 env steps, cut short"
    )


@dataclass(frozen=True)
class OneWay(GridWorld):
    """A room in which nobody may go to the left."""

    def observation_space(self, params):
        return Masked(super().observation_space(params), 4)

    def observe(self, position):
        return MaskedObs(super().observe(position), np.array([True, True, True, False]))


def test_an_illegal_action_is_refused_with_a_word_and_the_game_goes_on(capsys):
    play(OneWay(), OneWay().default_params(), keys="ad")
    out = capsys.readouterr().out
    assert "left is not legal now" in out
    assert "LEFT a" not in out
    assert out.splitlines()[-1] == "episode 1 | return -0.01 | 1 env steps, cut short"


def test_actions_without_names_have_digits_and_letters():
    env = Counter()
    assert keyboard_of(env, env.default_params()).actions == {"0": 0, "1": 1}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [({"q": 0}, "keys\\(\\) has 'q'"), ({"a": 4}, "keys\\(\\) has 'a'")],
)
def test_keys_that_cannot_be_are_refused(keys, sentence):
    @dataclass(frozen=True)
    class Odd(GridWorld):
        def keys(self):
            return keys

    with pytest.raises(ConfigError, match=sentence):
        play(Odd(), Odd().default_params(), keys="a")


def test_who_has_no_picture_is_refused(tmp_path, capsys):
    register("Counter-v0", Counter)
    try:
        with pytest.raises(SystemExit):
            cli.main(["play", "Counter-v0", "--keys", "0"])
    finally:
        del _registry["Counter-v0"]
    assert "Counter has no picture" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["play", "Pendulum-v1", "--keys", "0"])
    assert "have no keys" in capsys.readouterr().err


def test_the_parts_of_a_reward_are_the_metrics_of_its_step():
    game = open_game(Counter(), Counter().default_params())
    game.begin(jax.random.key(0))
    assert game.step(np.int32(1)).parts == {"action_mean": 1.0}


def test_turns_end_with_the_last_moment_and_no_decision(run):
    subject = find(run)
    with subject.open() as game:
        pairs = list(turns(game, subject.decide, subject.keys(1)[0], 3))
    assert [moment.number for moment, _ in pairs] == [0, 1, 2, 3]
    assert [decision is None for _, decision in pairs] == [False, False, False, True]
    assert replace(Which(), best=True).number == 20
