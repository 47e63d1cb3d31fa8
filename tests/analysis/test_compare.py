"""Methods are read from runs, groups and folders; what does not fit is refused or a caveat."""

import re
import sys

import numpy as np
import pytest

from vibe_rl.analysis import compare
from vibe_rl.cli import main
from vibe_rl.metrics import MetricsLogger
from vibe_rl.run_dir import RunDir, find_runs
from vibe_rl.run_dir.divergence import Divergence, mark_diverged


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(run, evals, env_id="Pole", seed=0, algo=None, env_kwargs=None, steps=1000):
    """A run with evaluations at multiples of `steps`, each followed by a row without one."""
    algo, env_kwargs = algo or {"lr": 0.1}, env_kwargs or {}
    config = {"algorithm": "ppo", "algo": algo, "env_id": env_id, "env_kwargs": env_kwargs}
    run.save_config({**config, "runner": {"seed": seed}})
    with MetricsLogger(run.log_path()) as log:
        for i, value in enumerate(evals, start=1):
            log.log({"eval_return": value}, steps * i)
            log.log({"episode_return": 10.0 * value}, steps * i + 1)
    return run


def single(name, *evals, base=".", **of_run):
    return write(RunDir(base_dir=base, run_id=name), evals, **of_run)


def group(name, *scores, base=".", **of_run):
    """A group with a seed for each score, which is its last evaluation; the first one is 50."""
    whole = RunDir(base_dir=base, run_id=name)
    for seed, score in enumerate(scores):
        member = RunDir(base_dir=whole.root / "members", run_id=f"seed_{seed}")
        write(member, [50.0, score], seed=seed, **of_run)
    return whole


def scores_of(found):
    return {name: [x.tolist() for x in strata] for name, strata in found.scores.items()}


def test_the_last_evaluation_is_the_score_unless_the_best_is_asked_for():
    paths = [group("a", 10.0, 60.0), single("b", 5.0, 9.0, 7.0)]
    assert scores_of(compare(paths)) == {"a": [[10, 60]], "b": [[7]]}
    assert scores_of(compare(paths, best=True)) == {"a": [[50, 60]], "b": [[9]]}
    assert scores_of(compare(paths, "episode_return")) == {"a": [[100, 600]], "b": [[70]]}


def test_an_evaluation_made_again_after_a_resume_takes_the_place_of_the_first():
    run = single("a", 1.0, 2.0)
    with MetricsLogger(run.log_path(), resume=True) as log:
        log.log({"eval_return": 3.0}, 2000)
    assert scores_of(compare([run, single("b", 0.0)]))["a"] == [[3]]


def test_a_folder_holds_runs_and_groups_of_many_environments():
    for name, low, high in (("a", 0.0, 10.0), ("b", 5.0, -30.0)):
        group("pole", low, low + 5.0, base=name)
        single("swing_1", high, base=name, env_id="Swing", seed=1)
        single("swing_2", 20.0, base=name, env_id="Swing", seed=2)
    found = compare(["a", "b"])
    assert found.env_ids == ["Pole", "Swing"]
    # Pole goes from 0 to 10, Swing from -30 to 20
    assert scores_of(found) == {"a": [[0, 0.5], [0.8, 1]], "b": [[0.5, 1], [0, 1]]}


def test_directories_of_one_name_are_told_apart_by_their_paths():
    single("run", 1.0, base="a")
    single("run", 2.0, base="b")
    assert list(compare(["a/run/", "b/run"]).scores) == ["a/run", "b/run"]


def test_a_seed_that_diverged_counts_as_the_lowest_and_is_named(capsys):
    groups = [group("a", 10.0, 20.0, 30.0, 40.0, 50.0), group("b", 1.0, 2.0, 3.0, 4.0, 5.0)]
    mark_diverged(find_runs(groups[0].root / "members")[0], Divergence(1500, "loss is nan"))
    found = compare(groups)
    assert scores_of(found)["a"] == [[-np.inf, 20, 30, 40, 50]]
    assert "1 of the seeds of a on Pole diverged and count as the lowest." in found.caveats
    main(["compare", "a", "b"])
    said = capsys.readouterr().out
    assert "30.00" in said  # the middle of five, cut at both ends
    assert "-inf" in said
    assert "P(a > b) | 0.80" in said
    assert "Figure | a" in said


def bad_runs():
    single("one", 1.0)
    single("swing", 1.0, base="other", env_id="Swing")
    single("pole", 1.0, base="other")
    single("pole", 1.0, base="more")
    single("hop", 1.0, base="more", env_id="Hop")
    single("unevaluated")
    single("diverged", 1.0, float("nan"))
    RunDir(run_id="bare", base_dir=".").save_config({"algorithm": "ppo"})
    RunDir(run_id="no_config", base_dir=".")


BAD = [
    ("one", "needs two directories or more: vibe-rl compare A B"),
    ("one ./one/", "./one/ is given twice: name each directory once"),
    ("other other/pole", "other and pole share the run other/pole: leave one out"),
    ("one other", "environments differ (one lacks Swing): give all the same ones"),
    ("other more", "environments differ (other lacks Hop; more lacks Swing)"),
    ("one unevaluated", "unevaluated was never evaluated: leave it out, or train with"),
    ("one nowhere", "nowhere holds no run: give a run, a group of seeds or a folder of them"),
    ("one diverged", "diverged has eval_return None at its last step 2,000, which is not a number"),
    ("one bare", "bare has no env_id in its config.json"),
    ("one no_config", "no_config/config.json does not exist"),
    ("one unevaluated --metric score", "one has no row with 'score': choose among its keys ep"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_bad_input_gets_one_sentence_and_writes_nothing(words, sentence, capsys):
    bad_runs()
    with pytest.raises(SystemExit) as done:
        main(["compare", *words.split()])
    said = capsys.readouterr()
    assert done.value.code == 2
    assert sentence in said.err
    assert (said.out, len(said.err.splitlines())) == ("", 1)


def test_what_is_sound_has_no_caveat():
    seeds = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert compare([group("a", *seeds), group("b", *seeds, algo={"lr": 0.2})]).caveats == []


WITH_CAVEATS = [
    ({"steps": 2000}, "env steps differ on Pole (a 2,000; b 4,000)."),
    ({"env_kwargs": {"mass": 2}}, "env_kwargs.mass differ on Pole: the tasks are not the same."),
]


@pytest.mark.parametrize(("difference", "sentence"), WITH_CAVEATS)
def test_runs_of_other_steps_or_tasks_are_a_caveat(difference, sentence):
    seeds = [1.0] * 5
    assert compare([group("a", *seeds), group("b", *seeds, **difference)]).caveats == [sentence]


def test_a_folder_that_mixes_methods_or_repeats_seeds_is_a_caveat():
    single("x", 1.0, base="a", algo={"lr": 1, "gamma": 1}, seed=7)
    single("y", 1.0, base="a", algo={"lr": 2}, seed=7)
    assert compare(["a", group("b", *[1.0] * 5, steps=500)]).caveats == [
        "algo.gamma, algo.lr differ among a on Pole: the runs are not seeds of one method.",
        "the same seed counts twice in a on Pole.",
        "fewer than 5 seeds make the interval too narrow (a on Pole).",
    ]


def test_an_environment_with_more_seeds_than_another_is_a_caveat():
    for name, n_seeds in (("a", 5), ("b", 6)):
        group("pole", *[1.0] * n_seeds, base=name)
        group("swing", *[1.0] * 5, base=name, env_id="Swing")
    caveat = "environments with more seeds count more in the IQM (b)."
    assert compare(["a", "b"]).caveats == [caveat]


def test_the_command_prints_a_table_and_draws(capsys):
    group("ppo", 1.0, 3.0, 2.0, 10.0)
    group("dqn", 0.0, 2.0, -4.0, 2.0)
    single("other", 3.0, 2.5)
    main(["compare", "ppo", "dqn", "other"])
    scores, head, ppo, dqn, other, chance, last, *caveats, figure = (
        capsys.readouterr().out.splitlines()
    )
    assert scores == "Scores | last eval_return of each seed, on Pole"
    assert re.split(" {2,}", head.strip()) == ["IQM", "95 % interval", "seeds", "worst seed"]
    # (1, 2, 3, 10) and (-4, 0, 2, 2) without their ends
    assert re.match(r"ppo +2\.50 +\[1\.\d\d, \d+\.\d\d\] +4 +1\.00$", ppo)
    assert re.match(r"dqn +1\.00 +\[-\d\.\d\d, 2\.00\] +4 +-4\.00$", dqn)
    assert re.match(r"other +2\.50 +\[2\.50, 2\.50\] +1 +2\.50$", other)
    assert len({len(line) for line in (head, ppo, dqn, other)}) == 1
    # 1 beats two of dqn's, 2 two and ties with two, 3 and 10 beat four: 13 / 16
    assert re.match(r"P\(ppo > dqn\) \| 0\.81 \[0\.\d\d, 1\.00\], ties as halves$", chance)
    assert chance.startswith("P(ppo > dqn) | 0.81 ")
    assert last.startswith("P(ppo > other) | 0.50 ")  # 3 and 10 beat 2.5, 1 and 2 do not
    assert [caveat[:22] for caveat in caveats] == ["Caveat | fewer than 5 "]
    assert figure == "Figure | ppo/artifacts/compare.png"
    assert (RunDir.open("ppo").artifacts / "compare.png").stat().st_size > 10_000


def test_the_command_says_what_flatters_and_what_is_normalized(capsys):
    for name, score in (("a", 1.0), ("b", 2.0)):
        single("pole", score, base=name)
        single("swing", -score, base=name, env_id="Swing")
    main(["compare", "a", "b", "--best", "--output", "drawn.svg"])
    said = capsys.readouterr().out
    assert "best eval_return of each seed, which flatters, normalized in each env" in said
    assert "(Pole, Swing)" in said
    assert "P(a > b) | 0.50 [0.50, 0.50]" in said
    assert (RunDir.open("a/pole").root.parent.parent / "drawn.svg").exists()
    main(["compare", "a", "b"])
    assert "Figure | a/compare.png" in capsys.readouterr().out


def test_without_matplotlib_the_table_is_there_and_the_remedy_is_a_caveat(capsys, monkeypatch):
    for name in ("matplotlib", "matplotlib.style", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    main(["compare", str(single("a", 1.0)), str(single("b", 2.0))])
    said = capsys.readouterr().out
    assert "P(a > b) | 0.00" in said
    assert said.splitlines()[-1].startswith("Figure | none: plots need matplotlib: pip install")


def test_a_comparison_of_many_runs_repeats_itself(capsys):
    rng = np.random.default_rng(0)
    paths = [str(group(name, *rng.normal(size=6))) for name in "abc"]
    outputs = []
    for _ in range(2):
        main(["compare", *paths])
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
