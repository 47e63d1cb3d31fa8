"""`vibe-rl plot` and its script: which runs, which quantities, how they look."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from vibe_rl.cli import main, plot
from vibe_rl.metrics import MetricsLogger
from vibe_rl.plotting import PlotConfig
from vibe_rl.run_dir import RunDir

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs of one algorithm and one of another, in the folder `runs` of the working one."""
    monkeypatch.chdir(tmp_path)
    names = "CartPole-v1_ppo_1", "CartPole-v1_ppo_2", "CartPole-v1_dqn_1"
    for i, name in enumerate(names):
        run = RunDir(run_id=name)
        run.save_config({"env_id": "CartPole-v1", "algorithm": name.split("_")[1]})
        with MetricsLogger(run.log_path()) as log:
            for step in (100, 200, 300):
                log.write({"step": step, "time": step / 10, "episode_return": i + step / 100})
    return [f"runs/{name}" for name in names]


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of what would be drawn."""
    calls = []
    monkeypatch.setattr(plot, "draw_curves", lambda *args: calls.append(args))
    return calls


def png_size(path):
    return struct.unpack(">II", Path(path).read_bytes()[16:24])


def test_the_flags_choose_quantities_and_looks(runs, drawn):
    words = "--x-key time --y_key score --smooth-radius 3 --smooth-mode ema --shaded stderr"
    words += " --figsize 4 3 --dpi 50 --style ggplot --title Both --output both.png"
    main(["plot", *runs[:2], *words.split()])
    ((given, output, config, keys, compare),) = drawn
    assert (given, output, compare) == (runs[:2], "both.png", True)
    assert keys == {"x_key": "time", "y_key": "score"}
    looks = {"smooth_radius": 3, "smooth_mode": "ema", "shaded": "stderr", "title": "Both"}
    assert config == PlotConfig(**looks, figsize=(4, 3), dpi=50, style="ggplot")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("runs/CartPole-v1_ppo_2", [1]),
        ("--run-dirs runs/CartPole-v1_ppo_2 runs/CartPole-v1_dqn_1", [1, 2]),
        ("--experiment-name CartPole-v1_ppo", [0, 1]),
        ("--base-dir runs", [2, 0, 1]),
        ("--base-dir runs --experiment-name CartPole-v1_dqn", [2]),
    ],
)
def test_runs_are_named_or_found(words, expected, runs, drawn):
    main(["plot", *words.split()])
    assert drawn[0][0] == [runs[i] for i in expected]


def test_a_run_that_ended_before_its_first_row_is_not_found(runs, drawn):
    RunDir(run_id="CartPole-v1_ppo_3")
    main(["plot", "--base-dir", "runs"])
    assert drawn[0][0] == [runs[i] for i in (2, 0, 1)]


def test_the_figure_has_the_size_asked_for_and_lies_with_the_first_run(runs, capsys):
    main(["plot", *runs, "--figsize", "4", "3", "--dpi", "50"])
    path = f"{runs[0]}/artifacts/reward_curve.png"
    assert capsys.readouterr().out == f"Reward curve | {path}\n"
    assert png_size(path) == (200, 150)


@pytest.mark.parametrize(("flag", "n_curves"), [("--compare", 2), ("--no-compare", 3)])
def test_seeds_of_an_algorithm_are_one_curve_unless_told_otherwise(flag, n_curves, runs):
    main(["plot", *runs, flag, "--shaded", "none", "--output", "curves.svg"])
    labels = ("ppo (2 runs)", "dqn") if n_curves == 2 else ("ppo_1", "ppo_2", "dqn_1")
    text = Path("curves.svg").read_text()
    assert all(f"<!-- {label} -->" in text or f"_{label} -->" in text for label in labels)


def test_the_script_is_the_same_command(runs):
    command = [sys.executable, str(ROOT / "scripts" / "plot_rewards.py")]
    words = ["--experiment-name", "CartPole-v1_ppo", "--output", "script.png"]
    subprocess.run([*command, *words], check=True)
    assert png_size("script.png") == (1200, 750)
    how = {"capture_output": True, "text": True}
    none = subprocess.run([*command, "--base-dir", "."], check=False, **how)
    assert none.returncode != 0
    assert none.stderr == "vibe-rl: . holds no runs: name another base_dir or experiment_name.\n"


BAD = [
    ("plot", "vibe-rl plot needs at least one run"),
    ("plot RUN --shadedd std", "--shadedd: leave it out, or see vibe-rl plot --help."),
    ("plot RUN --shaded foo", "shaded 'foo': choose iqm, std, stderr or none."),
    ("plot RUN --figsize 8", "--figsize: give 2 values."),
    ("plot RUN --figsize 0 4", "figsize (0.0, 4.0): give a width and a height above zero."),
    ("plot RUN --dpi abc", "--dpi abc: give a whole number."),
    ("plot RUN --dpi 0", "dpi 0: give at least 1."),
    ("plot --experiment-name nope", "runs holds no run 'nope': name another"),
    ("compare RUN --metrik x", "--metrik: leave it out, or see vibe-rl compare --help."),
    ("compare RUN RUN --best yes", "yes: leave it out, or see vibe-rl compare --help."),
    ("evaluate", "vibe-rl evaluate: name one word more (Directory of a run, or of a group;"),
    ("evaluate RUN --episodes 1e3x", "--episodes 1e3x: give a whole number."),
    ("evaluate RUN RUN", "leave it out, or see vibe-rl evaluate --help."),
    ("evaluate RUN --episodes x", "--episodes x: give a whole number."),
    ("evaluate RUN --seed", "--seed: give a value."),
    ("envs foo bar", "vibe-rl envs takes one suite: leave out bar."),
    ("envs gymnx", "unknown suite 'gymnx': did you mean gymnax"),
]


@pytest.mark.parametrize(("line", "sentence"), BAD)
def test_a_wrong_word_gets_one_sentence_and_no_box(line, sentence, runs, capsys):
    with pytest.raises(SystemExit) as end:
        main(line.replace("RUN", runs[0]).split())
    said = capsys.readouterr()
    assert (end.value.code, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.startswith("vibe-rl: ")
    assert said.err.count("\n") == 1
