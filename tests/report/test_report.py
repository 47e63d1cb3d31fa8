"""The report: a sensible page about every kind of run, with nothing of a file taken as HTML."""

import json
import re
import shutil
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest

from probes import Counter
from small_run import CONFIG
from vibe_rl.cli import main
from vibe_rl.env import AutoResetWrapper, make, registry
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import resume, train
from vibe_rl.report import html, write, write_report
from vibe_rl.report.facts import RunFacts
from vibe_rl.run_dir import RunDir
from vibe_rl.run_dir.directory import EPISODES
from vibe_rl.run_dir.divergence import Divergence, mark_diverged
from vibe_rl.run_dir.group import members
from vibe_rl.run_dir.notes import HEALTH, SESSIONS, HealthNote, SessionNote, add_note, note_end
from vibe_rl.runner import train_ppo

RUNNER = CONFIG.runner
HALF = replace(CONFIG, runner=replace(RUNNER, total_timesteps=512))
PARTS = ["Learning curve", "Health", "Evaluation", "Losses", "Other metrics", "Episode", "Timing"]
PARTS += ["Config", "Reproduce", "Sessions", "Device and versions"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(CONFIG, tmp_path_factory.mktemp("runs"))[0]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return train(HALF, tmp_path_factory.mktemp("groups"), seeds=[0, 1])[0]


@pytest.fixture
def run_dir(trained, tmp_path):
    """A copy that a test may change."""
    return RunDir.open(shutil.copytree(trained, tmp_path / "a_run", symlinks=True))


class Outline(HTMLParser):
    """The text of headings, all text, and whatever could run or be fetched."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.headings, self.words, self.addresses = [], [], [], []
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "link", "img", "source", "br"):
            self.open.append(tag)
        self.addresses += [
            x for name, x in attrs if name in ("src", "href", "srcset", "xlink:href")
        ]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def page(*paths, **how):
    """What a reader of the report gets; nothing in it runs or is fetched."""
    text = write_report(paths, **how).read_text()
    outline = Outline(text)
    assert outline.open == []
    assert "script" not in outline.tags
    outside = [x for x in outline.addresses if not x.startswith(("data:", "#"))]
    assert outside == []
    assert len(text.encode()) < write.MOST_BYTES
    return outline, " ".join(" ".join(outline.words).split())


@pytest.fixture
def few_figures(monkeypatch):
    """Leaves out the small figures, which take seconds, where a test is not about them."""
    monkeypatch.setattr("vibe_rl.report.pages.small_curves", lambda *args: html.Html())


@pytest.fixture
def quick(monkeypatch, few_figures):
    """Leaves out the episode too."""
    monkeypatch.setattr("vibe_rl.report.pages.episode", lambda run_dir: html.note("-"))


@pytest.fixture(scope="module")
def whole(trained):
    """The page of a run, with all that it has."""
    return page(trained)


def test_a_run_has_every_part_and_its_figures_and_its_episode(trained, whole):
    outline, words = whole
    assert outline.headings == PARTS
    assert outline.tags.count("svg") >= 10
    assert "No figure" not in words
    assert any(x.startswith("data:image/gif;base64,") for x in outline.addresses)
    assert "Greedy episode of the best checkpoint" in words
    assert "1,024 of 1,024 env steps" in words
    assert "calls that compile" in words
    assert (trained.root / "report.html").exists()


def test_an_episode_is_the_first_of_the_evaluation_of_its_checkpoint(trained, whole):
    facts = RunFacts(trained)
    best = int(trained.best_checkpoint.name.removeprefix("step_"))
    row = next(row for row in facts.rows if row["step"] == best and "eval_return" in row)
    shown = float(re.search(r"step [\d,]+: return ([\d.,]+) in", whole[1])[1])
    assert abs(shown - row["eval_return"]) == pytest.approx(row["eval_return_std"], abs=0.1)  # of 2


def test_a_group_has_intervals_members_and_the_command_with_its_seeds(seeds):
    outline, words = page(seeds)
    assert "95 % interval" in words
    assert "seed_0" in words
    assert "seed_1" in words
    assert "--seeds 0:2" in words
    assert "in 1 session. 2 runs were trained side by side" in words
    assert "IQM, 95 % interval" in words  # of the curve itself
    assert "Episode" in outline.headings


def test_several_runs_are_compared_and_each_has_its_page(trained, seeds, tmp_path, quick):
    outline, words = page(trained, seeds, out=tmp_path / "new" / "both.html")
    assert outline.headings[:3] == ["Learning curves", "Scores", "Settings that differ"]
    assert outline.tags.count("summary") == 4
    assert "runner.total_timesteps" in words
    assert "fewer than 5 seeds" in words
    ids = re.findall(r'id="([^"]+)"', (tmp_path / "new" / "both.html").read_text())
    assert len(set(ids)) == len(ids)


def test_several_runs_need_a_file_and_a_file_is_no_directory(trained, seeds, tmp_path):
    with pytest.raises(ConfigError, match="give --out FILE"):
        write_report([trained, seeds])
    with pytest.raises(ConfigError, match="is a directory: name a file in it"):
        write_report([trained], tmp_path)
    with pytest.raises(ConfigError, match="is not a run directory"):
        write_report([tmp_path])
    with pytest.raises(ConfigError, match="at least one run"):
        write_report([])


def test_the_command_says_where_the_page_is(run_dir, capsys, monkeypatch, quick):
    monkeypatch.chdir(run_dir.root.parent)
    main(["report", "a_run"])
    assert capsys.readouterr().out == "Report | a_run/report.html\n"
    main(["report", "a_run", "--out", "other.html"])
    assert capsys.readouterr().out == "Report | other.html\n"
    assert (run_dir.root.parent / "other.html").exists()


NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>&\"'"


def test_nothing_that_a_file_says_is_taken_as_html(run_dir, quick):
    config = json.loads((run_dir.root / "config.json").read_text())
    config["env_id"] = config["algo"]["activation"] = NASTY
    (run_dir.root / "config.json").write_text(json.dumps(config))
    manifest = json.loads((run_dir.root / "manifest.json").read_text())
    manifest |= {"command": [NASTY], "commit": NASTY, "created": NASTY, NASTY: NASTY}
    (run_dir.root / "manifest.json").write_text(json.dumps(manifest))
    add_note(run_dir, HEALTH, HealthNote(1, NASTY, NASTY))
    add_note(run_dir, SESSIONS, SessionNote(0, None, "failed", None, 1, NASTY))
    with run_dir.log_path().open("a") as log:
        log.write(json.dumps({"step": 1024, "update": 8, NASTY: 1.0, "eval_return": NASTY}) + "\n")
    mark_diverged(run_dir, Divergence(5, NASTY))
    outline, words = page(run_dir)  # which refuses scripts, handlers and addresses
    assert "<script>alert(1)</script>" in words
    assert outline.tags.count("img") == 0


def test_a_metric_with_an_odd_name_has_its_figure_or_says_why_not(run_dir):
    with run_dir.log_path().open("a") as log:
        for name in ("a<b & c", "$x", "a/b c"):
            log.write(json.dumps({"step": 1024, "update": 8, name: 1.0}) + "\n")
    _, words = page(run_dir)
    assert "a<b & c" in words


def test_a_run_that_was_never_evaluated_says_so(tmp_path, quick):
    config = replace(HALF, runner=replace(HALF.runner, eval_episodes=0))
    run_dir, _ = train(config, tmp_path)
    _, words = page(run_dir)
    assert "It was never evaluated." in words


def test_a_resumed_run_adds_up_its_time_and_tells_with_what_it_was_resumed(tmp_path, quick):
    run_dir, _ = train(HALF, tmp_path)
    resume(run_dir, replace(CONFIG, algo=replace(CONFIG.algo, lr=1e-4)))
    _, words = page(run_dir)
    assert "in 2 sessions" in words
    assert "0 to 512" in words
    assert "512 to 1,024" in words
    assert f"--resume {run_dir} --algo.lr 0.0001 --runner.total_timesteps 1024" in words


def test_a_session_that_was_killed_takes_no_other_s_end(run_dir, quick):
    began = [json.loads((run_dir.root / "manifest.json").read_text())]
    for word in ("killed", "resumed"):
        began.append(began[0] | {"command": [word]})
        (run_dir.root / f"manifest_{len(began)}.json").write_text(json.dumps(began[-1]))
    note_end(run_dir, SessionNote(512, 1024, "finished", {"chunks": 1.0}))
    _, words = page(run_dir)
    assert "killed" in words.partition("512 to 1,024")[0]
    assert "512 to 1,024 finished 1 s resumed" in words


def test_a_run_that_failed_says_why(tmp_path, quick):
    def fail(step, agent_state, row):
        raise RuntimeError("the callback's own")

    with pytest.raises(RuntimeError):
        train(CONFIG, tmp_path, callback=fail)
    (path,) = tmp_path.iterdir()
    _, words = page(path)
    assert "It failed after 128 of 1,024 env steps: the callback's own" in words
    assert "Where its time went was not measured." in words


def test_a_member_that_diverged_is_named_and_the_others_are_drawn(seeds, tmp_path, quick):
    copy = RunDir.open(shutil.copytree(seeds, tmp_path / "group", symlinks=True))
    mark_diverged(members(copy)[1], Divergence(256, "actor_loss became nan"))
    _, words = page(copy)
    assert "seed_1 diverged" in words
    assert "No figure" not in words
    _, words = page(members(copy)[1])
    assert "It diverged: actor_loss became nan" in words


def test_a_group_all_of_which_diverged_still_has_a_page(seeds, tmp_path, quick):
    copy = RunDir.open(shutil.copytree(seeds, tmp_path / "group", symlinks=True))
    for member in members(copy):
        mark_diverged(member, Divergence(256, "actor_loss became nan"))
    outline, words = page(copy)
    assert "Learning curves" not in outline.headings
    assert "seed_0 diverged" in words


def test_a_run_that_was_killed_before_its_first_row_has_a_page(run_dir, quick):
    for path in run_dir.logs.iterdir():
        path.unlink()
    _, words = page(run_dir)
    assert "Nothing was logged" in words


def test_a_run_of_an_older_version_has_a_page(run_dir, quick):
    config = json.loads((run_dir.root / "config.json").read_text())
    config["runner"] = {k: v for k, v in config["runner"].items() if not k.startswith("health")}
    (run_dir.root / "config.json").write_text(json.dumps(config))
    run_dir.log_path(SESSIONS).unlink()
    _, words = page(run_dir)
    assert "health_kl 0.06 None" not in words
    assert "its last session did not end, or still trains" in words


def test_a_run_without_a_config_has_a_page(tmp_path, few_figures):
    env, params = make("CartPole-v1")
    run_dir = RunDir("own", tmp_path)
    how = {"ppo_config": CONFIG.algo, "runner_config": HALF.runner, "run_dir": run_dir}
    train_ppo(AutoResetWrapper(env), params, **how)
    _, words = page(run_dir)
    assert "it was trained by a program of its own" in words
    assert "No episode:" in words


def test_a_run_without_a_checkpoint_or_a_picture_says_why_it_has_no_episode(run_dir, few_figures):
    shutil.rmtree(run_dir.checkpoints)
    run_dir.checkpoints.mkdir()
    _, words = page(run_dir)
    assert re.search("No episode: .*checkpoint", words)


@dataclass(frozen=True)
class Unseen(Counter):
    """Cannot be drawn."""


def test_an_environment_that_cannot_be_drawn_is_named(tmp_path, monkeypatch, few_figures):
    monkeypatch.setitem(registry._registry, "Unseen-v0", Unseen)
    run_dir, _ = train(replace(HALF, env_id="Unseen-v0"), tmp_path)
    _, words = page(run_dir)
    assert "No episode: Unseen has no picture" in words


def test_without_matplotlib_a_page_says_what_to_install(run_dir, monkeypatch):
    monkeypatch.setattr("vibe_rl.report.pages.episode", lambda run_dir: html.note("-"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outline, words = page(run_dir)
    assert "No figures: figures need matplotlib: pip install 'vibe-rl[plot]'" in words
    assert words.count("pip install") <= 4
    assert "svg" not in outline.tags


def test_a_page_that_would_be_too_large_holds_less(trained, tmp_path, monkeypatch, quick):
    too_much = 300_000 * "x"
    monkeypatch.setattr(write, "MOST_BYTES", 300_000)
    monkeypatch.setattr("vibe_rl.report.pages.episode", lambda run_dir: html.note(too_much))
    _, words = page(trained, out=tmp_path / "smaller.html")
    assert "Losses" in words
    assert "as the page would be too large" not in words
    monkeypatch.setattr("vibe_rl.report.pages.small_curves", lambda *args: html.note(too_much))
    _, words = page(trained, out=tmp_path / "smallest.html")
    assert "as the page would be too large" in words
    monkeypatch.setattr(write, "MOST_BYTES", 100)
    with pytest.raises(ConfigError, match="name fewer at once"):
        write_report([trained], tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


def test_a_page_takes_its_colours_from_its_own_style(trained, whole):
    text = (trained.root / "report.html").read_text()
    svg = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []
    assert "var(--c0)" in svg
    assert "currentColor" in svg


def test_failed_episodes_come_first(run_dir, quick):
    rows = [
        "scenario,uid,family,success,progress,return,length,ended_by",
        "0,7,merge,0.0,0.25,-4.5,31.0,overlap",
        "1,8,highway,1.0,1.0,9.0,80.0,time",
        "2,<9>,merge,0.0,0.5,-4.0,40.0,overlap",
    ]
    (run_dir.artifacts / EPISODES).write_text("\n".join(rows))
    found, _ = page(run_dir)
    assert found.headings[:2] == ["Failures", "Learning curve"]
    assert "2 of 3 held-out episodes of the last evaluation failed." in found.words
    i = found.words.index("ended by overlap")
    assert found.words[i + 1 : i + 3] == ["merge", "2"]
    assert "<9>" in found.words
    assert "8" not in found.words[: found.words.index("Learning curve")]
