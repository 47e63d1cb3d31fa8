"""Studies that workers share, and the command `vibe-rl search`."""

import re
import shlex
import signal
import subprocess
import sys
from functools import partial

import optuna
import pytest

from compiling import one_device
from processes import environ
from searching import CONFIG, RATES, interrupting
from vibe_rl.checkpoint import saved_steps
from vibe_rl.cli import main
from vibe_rl.experiment.search.optuna import objective
from vibe_rl.experiment.search.study import (
    SurplusError,
    as_storage,
    describe_search,
    open_study,
    run_trials,
    run_within,
    started_trials,
)
from vibe_rl.run_dir import find_runs
from vibe_rl.run_dir.group import members

WORDS = "--algo.hidden_sizes (8,) --algo.n_steps 32 --runner.total_timesteps 512 --seeds 0:2 "
WORDS += "--runner.eval_every 256 --runner.eval_episodes 2 --runner.progress_bar false"
DESCRIPTION = describe_search(CONFIG, RATES, range(2))


@pytest.fixture(scope="module", autouse=True)
def _one_device():
    with one_device():
        yield


STORAGES = ["sqlite:///{}/s.db", "{}/s.journal"]


@pytest.fixture(params=STORAGES)
def storage(request, tmp_path):
    return request.param.format(tmp_path)


def states(study):
    return [trial.state.name for trial in study.trials]


def test_workers_share_a_study_until_all_together_have_started_the_trials(storage):
    first, second = (open_study("s", storage, DESCRIPTION) for _ in range(2))
    first.ask()
    run_trials(second, lambda trial: 1.0, 3)
    run_trials(first, lambda trial: 1.0, 3)
    assert states(first) == states(second) == ["RUNNING", "COMPLETE", "COMPLETE"]


def test_a_trial_started_while_another_worker_starts_the_last_one_is_not_trained(storage):
    study, trained = open_study("s", storage, DESCRIPTION), []
    for _ in range(2):
        study.ask()
    late = partial(run_within, 2, trained.append)
    study.optimize(late, n_trials=1, catch=(SurplusError,))
    assert states(study) == ["RUNNING", "RUNNING", "FAIL"]
    assert trained == []
    assert len(started_trials(study)) == 2


def test_a_journal_stays_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    study = open_study("s", "s.journal", DESCRIPTION)
    monkeypatch.chdir("elsewhere")
    study.ask()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_interrupted_trial_has_failed_and_the_search_can_be_started_again(tmp_path):
    study = open_study("s", f"{tmp_path}/s.journal", DESCRIPTION)
    study.pruner = Interrupting()
    train = objective(CONFIG, RATES, range(2), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, train, 1)
    (run_dir,) = find_runs(tmp_path)
    assert study.trials[0].user_attrs == {"run": str(run_dir)}
    assert [saved_steps(seed.checkpoints)[-1] for seed in members(run_dir)] == [256, 256]
    study = open_study("s", f"{tmp_path}/s.journal", DESCRIPTION)
    run_trials(study, lambda trial: 1.0, 1)
    assert states(study) == ["FAIL", "COMPLETE"]


class Interrupting(optuna.pruners.BasePruner):
    """As if Ctrl-C came when a trial is reported."""

    def prune(self, study, trial):
        return interrupting(trial)


def test_a_sampler_repeats_itself_with_the_same_seed_and_not_with_another(tmp_path):
    def drawn(name, seed, n_trials):
        study = open_study("s", f"{tmp_path}/{name}", DESCRIPTION, sampler_seed=seed)
        run_trials(study, lambda trial: trial.suggest_float("x", 0, 1), n_trials)
        return [trial.value for trial in study.trials]

    assert drawn("a", 7, 2) == drawn("b", 7, 2)
    assert drawn("c", 8, 2) != drawn("a", 7, 2)
    assert len(set(drawn("a", 7, 4))) == 4


@pytest.fixture
def _own_folder(tmp_path, monkeypatch):
    """Where a command writes; what it does to Ctrl-C and to Optuna's voice is undone."""
    monkeypatch.chdir(tmp_path)
    handler, verbosity = signal.getsignal(signal.SIGINT), optuna.logging.get_verbosity()
    yield
    signal.signal(signal.SIGINT, handler)
    optuna.logging.set_verbosity(verbosity)


SEARCH = ["search", "cartpole_ppo", "--algo.lr", "1e-4:1e-2", *WORDS.split()]


@pytest.mark.usefixtures("_own_folder")
def test_the_command_prints_the_trials_and_the_best_with_its_command(capsys):
    main([*SEARCH, "--trials", "2", "--sampler_seed", "1"])
    said = dict(line.split(" | ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(said) == [
        *("Trial 0", "Trial 1", "Search complete", "Best", "Values", "Run"),
        "Train with other seeds",
    ]
    assert re.fullmatch(
        r"lr=\S+ \| IQM .* at 512 env steps \| runs/cartpole_ppo_trial_0_\w+", said["Trial 0"]
    )
    assert said["Search complete"] == "2 of 2 trials started, 0 pruned, 0 running"
    study = optuna.load_study(study_name="cartpole_ppo", storage=as_storage("runs/search.journal"))
    assert said["Best"].startswith(f"trial {study.best_trial.number}, IQM ")
    assert said["Run"] == study.best_trial.user_attrs["run"]
    lr = study.best_params["algo.lr"]
    assert said["Values"] == f"--algo.lr {lr}"

    _, *words = shlex.split(said["Train with other seeds"])
    assert words[-2:] == ["--seeds", "2:4"]
    main([*words, "--runner.plot", "false"])
    (again,) = find_runs("runs", "CartPole-v1_ppo")
    assert again.load_config()["algo"]["lr"] == lr
    assert [seed.load_config()["runner"]["seed"] for seed in members(again)] == [2, 3]

    capsys.readouterr()
    main([*SEARCH, "--trials", "2"])
    assert "Trial" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*SEARCH, "--algo.gamma", "0.9:0.999"])
    sentence = "study 'cartpole_ppo' has another space: give the same again, or this study"
    assert sentence in capsys.readouterr().err


SEARCHES = """
import sys
from vibe_rl.cli import main

storages, search = sys.argv[1:3], sys.argv[3:]
for storage in storages:
    print(storage, flush=True)
    main([*search, "--storage", storage])
"""


@pytest.fixture(scope="module")
def shared_searches(tmp_path_factory):
    """By storage: the trials that each of two processes reports, and the study."""
    folder = tmp_path_factory.mktemp("shared")
    storages = [storage.format(folder) for storage in STORAGES]
    command = [sys.executable, "-c", SEARCHES, *storages, *SEARCH, "--trials", "5"]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, cwd=folder, env=environ(), **how) for _ in range(2)]
    said = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    found = {}
    for storage, first, second in zip(STORAGES, storages, [*storages[1:], None], strict=True):
        parts = [out.partition(first)[2].partition(second or "\0")[0] for out, _ in said]
        told = [re.findall(r"^Trial (\d+)", part, re.MULTILINE) for part in parts]
        study = optuna.load_study(study_name="cartpole_ppo", storage=as_storage(first))
        found[storage] = told, study
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORAGES)
def test_two_processes_share_a_search(kind, shared_searches):
    told, study = shared_searches[kind]
    done = [trial.number for trial in study.trials if trial.state.name != "FAIL"]
    assert len(done) == 5
    assert sorted(int(number) for each in told for number in each) == done
    assert all(told), "one of them did nothing"
    runs = [trial.user_attrs["run"] for trial in study.trials if trial.number in done]
    assert len(set(runs)) == 5


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "no field has a range: name some, as in --algo.lr 1e-4:1e-2, or use train"),
        ("--algo.lrr 1:2", "unknown field 'algo.lrr': did you mean algo.lr"),
        ("--runner.eval_every 1:2", "runner.eval_every has several values, and only fields of"),
        ("--algo.lr 2:1", "algo.lr 2.0:1.0: give the lower end first"),
        ("--algo.lr 1:1", "algo.lr 1.0 is given twice"),
        (
            "--algo.lr 1:2 --algo.lr 3:4",
            "algo.lr is given twice: give all its values at once",
        ),
        ("--algo.hidden_sizes 8:9", "algo.hidden_sizes from (8,) to (9,): a range needs finite"),
        ("--algo.lr -1:1", "lr -1.0: give at least 0"),
        ("--algo.n_minibatches 4,7", "n_minibatches 7 does not divide the batch"),
        ("--algo.lr 1:2 --runner.eval_episodes 0", "runner.eval_episodes 0: trials are ranked"),
        ("--algo.lr 1:2 --runner.seed 1", "runner.seed is each of --seeds in turn"),
        ("--algo.lr 1:2 --runner.resume true", "runner.resume True: each run of a group"),
        ("--algo.lr 1:2 --trials 0", "--trials 0: give a whole number of at least 1"),
        ("--algo.lr 1:2 --trials", "--trials needs a number"),
        ("--algo.lr 1:2 --sampler_seed x", "--sampler_seed x: give a whole number of at least 0"),
        ("--algo.lr 1:2 --pruner meadian", "unknown pruner 'meadian': did you mean median?"),
        ("--algo.lr 1:2 --seeds 0,0", "seeds [0] are given twice"),
        (
            "--algo.lr 1:2 --storage sqlite:////none/s.db",
            "storage 'sqlite:////none/s.db' cannot be",
        ),
        ("--algo.lr 1:2 --storage nothing://s", "storage 'nothing://s' cannot be opened"),
        ("--algo.lr 1:2 --storage .", "storage '.' cannot be opened"),
    ],
)
@pytest.mark.usefixtures("_own_folder")
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["search", "cartpole_ppo", *words.split()])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_own_folder")
def test_without_optuna_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "optuna"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit):
        main(SEARCH)
    assert "searches need optuna: pip install 'vibe-rl[optuna]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_says_how_a_space_is_written(capsys):
    main(["search", "--help"])
    assert "--algo.FIELD LOW:HIGH" in capsys.readouterr().out
