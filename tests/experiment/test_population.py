"""Populations: which members exploit which, how they explore, and how a population is resumed."""

import csv
import shutil
import signal
from dataclasses import replace
from math import inf, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compiling import one_device
from small_run import CONFIG as SMALL
from small_run import of_its_own
from vibe_rl.checkpoint import load_metadata, saved_steps
from vibe_rl.cli import main
from vibe_rl.configs import PRESETS, from_dict
from vibe_rl.configs.command_line import update_config
from vibe_rl.errors import ConfigError, NonFiniteLossError, TrainingInterrupted
from vibe_rl.experiment.build import build
from vibe_rl.experiment.config_files import read_config
from vibe_rl.experiment.population import (
    evolve,
    hyperparameter_schedules,
    rank_members,
    read_exchanges,
    resume_population,
    training,
)
from vibe_rl.experiment.population.exploit import (
    Exchange,
    PopulationSnapshot,
    ancestry,
    decide_exchanges,
    truncation_selection,
)
from vibe_rl.experiment.population.explore import explore, sample, sample_value
from vibe_rl.experiment.population.members import first_hyperparameters
from vibe_rl.experiment.population.schedules import make_schedule
from vibe_rl.metrics import read_metrics
from vibe_rl.plotting import plot_hyperparameters
from vibe_rl.run_dir import find_runs
from vibe_rl.run_dir.divergence import divergence_of
from vibe_rl.run_dir.group import members
from vibe_rl.runner.loop import TrainState
from vibe_rl.runner.many.exchange import states_of
from vibe_rl.runner.many.fit import fit_many
from vibe_rl.runner.many.runs import side_by_side
from vibe_rl.system.signals import StopRequest

CONFIG = replace(
    SMALL,
    runner=replace(
        SMALL.runner,
        total_timesteps=768,
        checkpoint_interval=128,
        checkpoint_share=1.0,
        max_checkpoints=9,
    ),
)
RANGES = {"algo.lr": (1e-4, 1e-2), "algo.ent_coef": (0, 0.05)}
WORDS = "--algo.hidden_sizes (8,) --algo.n_steps 32 --runner.total_timesteps 768 "
WORDS += "--runner.eval_every 256 --runner.eval_episodes 2 --runner.progress_bar false"


@pytest.fixture(scope="module", autouse=True)
def _one_device():
    with one_device():
        yield


def rng():
    return np.random.default_rng(0)


def test_hyperparameters_are_sampled_log_uniformly_above_zero_and_else_uniformly():
    generator = rng()
    rates = [sample_value(1e-4, 1e-2, generator) for _ in range(2000)]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1e-2
    assert np.mean(np.log(rates)) == pytest.approx(log(1e-3), abs=0.1)
    shares = [sample_value(0.0, 0.5, generator) for _ in range(2000)]
    assert np.mean(shares) == pytest.approx(0.25, abs=0.02)
    assert -1 <= sample_value(-1.0, 1.0, generator) <= 1
    assert sample({"a": (1.0, 2.0)}, rng()) == {"a": sample_value(1.0, 2.0, rng())}


def test_a_hyperparameter_is_perturbed_within_its_range_or_resampled():
    generator, ranges = rng(), {"a": (1.0, 10.0), "b": (1.0, 9.0)}
    found = [explore({"a": 5.0, "b": 8.0}, ranges, generator) for _ in range(2000)]
    kinds = {4.0: 0, 6.25: 0}
    for new in found:
        kinds[new["a"]] = kinds.get(new["a"], 0) + 1
        assert 1.0 <= new["b"] <= 9.0
    assert kinds[4.0] == pytest.approx(750, abs=60)
    assert kinds[6.25] == pytest.approx(750, abs=60)
    assert sum(new["b"] == 9.0 for new in found) == pytest.approx(750, abs=60)  # 8 * 1.25 is above
    both = sum(new["a"] == 4.0 and new["b"] == 9.0 for new in found)
    assert both == pytest.approx(2000 * 0.375**2, abs=60)  # each number by itself


@pytest.mark.parametrize(
    ("returns", "best", "worst"),
    [
        ([3.0, 1.0, 4.0, 2.0], [2], [1]),
        ([5.0] * 8, [0, 1], [6, 7]),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [6], [0]),
        ([1.0, -inf, 3.0, 2.0], [2], [1]),
        ([1.0, -inf, -inf, -inf], [0], [1, 2, 3]),
        ([-inf, 2.0, -inf, 3.0, -inf, 4.0, 5.0, 6.0], [7, 6], [0, 2, 4]),
        ([-inf, -inf, 7.0, -inf, -inf, -inf, -inf, -inf], [2], [0, 1, 3, 4, 5, 6, 7]),
    ],
)
def test_the_outer_quarters_are_selected_and_all_that_diverged_are_replaced(returns, best, worst):
    assert truncation_selection(returns) == (best, worst)


def test_an_exchange_depends_on_seed_and_interval_only():
    ranges = {"algo.lr": (1e-4, 1e-2)}
    values = [{"algo.lr": 1e-3 * (i + 1)} for i in range(8)]
    snapshot = PopulationSnapshot(2000, 2, [float(i) for i in range(8)], values)
    first = decide_exchanges(snapshot, ranges, seed=3)
    assert first == decide_exchanges(snapshot, ranges, seed=3)
    assert first != decide_exchanges(snapshot, ranges, seed=4)
    assert first != decide_exchanges(snapshot._replace(interval=3), ranges, seed=3)
    assert [x.loser for x in first] == [1, 0]
    assert {x.winner for x in first} <= {6, 7}
    for x in first:
        assert x.before == values[x.loser]
        assert (x.loser_return, x.winner_return) == (float(x.loser), float(x.winner))


def test_the_ancestry_of_a_state_leads_back_through_the_winners():
    def exchange(step, loser, winner, lr):
        return Exchange(step, step // 10, loser, winner, 0.0, 1.0, {"lr": 0.0}, {"lr": lr})

    history = [exchange(10, 1, 3, 1.0), exchange(20, 0, 1, 2.0), exchange(30, 1, 2, 3.0)]
    assert ancestry(history, 0) == (3, [history[0], history[1]])
    assert ancestry(history, 1) == (2, [history[2]])
    assert ancestry(history, 3) == (3, [])
    line = make_schedule("best", {"lr": 5.0}, ancestry(history, 0)[1], 40)
    assert line.steps == [0, 10, 20, 40]
    assert [x["lr"] for x in line.values] == [5.0, 1.0, 2.0, 2.0]


def test_a_state_is_taken_over_without_its_keys():
    keys = jax.random.split(jax.random.key(0), 4)
    agent = {"params": jnp.arange(8.0).reshape(4, 2), "held": keys}
    state = TrainState(agent, {"x": jnp.arange(4), "key": keys}, jnp.arange(4.0), keys)
    new = jax.jit(states_of)(state, jnp.array([0, 3, 2, 3]))
    assert new.agent_state["params"][:, 0].tolist() == [0.0, 6.0, 4.0, 6.0]
    assert new.env_state["x"].tolist() == new.obs.tolist() == [0, 3, 2, 3]
    assert (new.key == keys).all()
    assert (new.agent_state["held"] == keys).all()  # they are the stream's, too
    assert (new.env_state["key"] == keys[jnp.array([0, 3, 2, 3])]).all()  # an env's own


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A population that was never interrupted."""
    return evolve(CONFIG, RANGES, 4, 256, seed=5, base_dir=tmp_path_factory.mktemp("whole"))


def rows_of(run):
    clocks = ("wall_time", "steps_per_second")
    return [{k: v for k, v in row.items() if k not in clocks} for row in read_metrics(run)]


def check_same(path, group):
    """Members, hyperparameters and exchanges are those of the other population, bit for bit."""
    assert read_exchanges(path) == read_exchanges(group)
    assert rank_members(path) == rank_members(group)
    for run, other in zip(members(path), members(group), strict=True):
        notes = [load_metadata(x.checkpoints) for x in (run, other)]
        assert notes[0]["digests"] == notes[1]["digests"]
        assert notes[0]["settings"]["algo"] == notes[1]["settings"]["algo"]
        assert read_config(run) == read_config(other)
        assert rows_of(run) == rows_of(other)
        assert divergence_of(run) == divergence_of(other)


def test_the_worst_quarter_exploits_the_best_at_each_interval(whole):
    group, found = whole
    history = read_exchanges(group)
    assert [x.step for x in history] == [256, 512]
    assert [x.interval for x in history] == [1, 2]
    values = [first_hyperparameters(run, RANGES) for run in members(group)]
    for x in history:
        scores = [
            next(row["eval_return"] for row in rows_of(run) if row["step"] == x.step)
            for run in members(group)
        ]
        assert x.winner == np.argmax(scores)
        assert x.loser_return == scores[x.loser]
        assert x.before == values[x.loser]
        values[x.loser] = x.after
    assert {x.member: x.values for x in found} == {
        f"member_{i}": value for i, value in enumerate(values)
    }
    assert [x.last_return for x in found] == sorted([x.last_return for x in found], reverse=True)
    for i, run in enumerate(members(group)):
        assert read_config(run).runner.seed == 20 + i
        algo = load_metadata(run.checkpoints)["settings"]["algo"]
        assert algo["lr"] == values[i]["algo.lr"]  # what the checkpoint was trained with


def test_a_loser_continues_from_the_state_of_its_winner_on_another_device(tmp_path, monkeypatch):
    """With no step, an agent stays what it became."""
    monkeypatch.setattr(jax, "local_device_count", lambda *_: 4)
    runner = replace(CONFIG.runner, total_timesteps=384)
    still = replace(CONFIG, algo=replace(CONFIG.algo, lr=0.0), runner=runner)
    group, _ = evolve(still, {"algo.gamma": (0.9, 0.99)}, 4, 256, base_dir=tmp_path)
    before, after = (
        [load_metadata(run.checkpoints, step=step)["digests"] for run in members(group)]
        for step in (256, 384)
    )
    (x,) = read_exchanges(group)
    sources = [x.winner if i == x.loser else i for i in range(4)]
    assert before[x.loser] != before[x.winner]
    names = [name for name in before[0] if name.startswith(".agent_state.params")]
    for i, source in enumerate(sources):
        assert [after[i][name] for name in names] == [before[source][name] for name in names]
    assert len({digests[".key"] for digests in after}) == 4


def test_exchanges_compile_nothing(tmp_path, caplog):
    config = of_its_own(CONFIG)
    config = replace(config, runner=replace(config.runner, checkpoint_interval=0, plot=True))
    with jax.log_compiles():
        group, _ = evolve(config, RANGES, 4, 256, base_dir=tmp_path)
    assert group.artifact_path("reward_curve.png").exists()
    for program in ("run_chunk", "states_of", "continue_evaluations"):
        done = f"Finished XLA compilation of jit({program})"
        assert len([r for r in caplog.records if done in r.getMessage()]) == 1


@pytest.mark.parametrize(
    "last",
    [
        [384] * 4,  # between two exchanges
        [640] + [512] * 3,  # at one, before it took place
        [768] + [0] * 3,  # nothing that all have
    ],
)
def test_a_killed_population_is_resumed_to_the_same_bits(whole, last, tmp_path):
    group, found = whole
    lost = shutil.copytree(group.root, tmp_path / "lost", symlinks=True)
    forget(lost, last)
    with (lost / "exchanges.jsonl").open("a") as file:
        file.write('{"step": 10')  # as if it had been killed while it wrote
    assert resume_population(lost)[1] == found
    check_same(lost, group)


def test_a_population_is_not_recorded_with_a_budget_that_it_is_past(whole):
    group, _ = whole
    before = set(group.root.rglob("*"))
    with pytest.raises(ConfigError, match="total_timesteps 512 is less than the"):
        resume_population(group, lambda c: update_config(c, ["--runner.total_timesteps", "512"]))
    assert set(group.root.rglob("*")) == before


def forget(path, last):
    """Removes what each member saved after a step."""
    for run, step in zip(members(path), last, strict=True):
        for later in saved_steps(run.checkpoints):
            if later > step:
                shutil.rmtree(run.checkpoints / f"step_{later}")


class Later(StopRequest):
    """Asks to stop after some questions."""

    def __init__(self, questions):
        super().__init__()
        self.left = questions

    @property
    def requested(self):
        self.left -= 1
        self.signal = signal.SIGINT if self.left < 0 else 0
        return self.left < 0

    @requested.setter
    def requested(self, value):
        pass


def test_a_stopped_population_is_resumed_to_the_same_bits(whole, tmp_path, monkeypatch):
    run_many = training.run_many

    def stopping(run, run_dirs, record, stop, fit):
        later = Later(3)
        results = run_many(run, run_dirs, record, later, fit)
        stop.signal = later.signal
        return results

    monkeypatch.setattr(training, "run_many", stopping)
    with pytest.raises(TrainingInterrupted) as interrupted:
        evolve(CONFIG, RANGES, 4, 256, seed=5, base_dir=tmp_path)
    group, found = interrupted.value.result
    assert found == []
    assert 0 < saved_steps(members(group)[0].checkpoints)[-1] < 768
    monkeypatch.setattr(training, "run_many", run_many)
    assert resume_population(group)[1] == whole[1]
    check_same(group, whole[0])


@pytest.mark.parametrize(
    ("seed", "replaced", "last"),
    [
        (8, {256: 2, 512: 2}, 384),  # more than a quarter, and two of them again
        (3, {256: 2}, 640),  # one at the end
    ],
)
def test_members_that_diverge_are_replaced_and_live_again_in_a_resumed_run_too(
    seed, replaced, last, tmp_path
):
    ranges = {"algo.lr": (1e-3, 1e34)}
    group, found = evolve(CONFIG, ranges, 4, 256, seed=seed, base_dir=tmp_path)
    dead = [x.step for x in read_exchanges(group) if x.loser_return == "-inf"]
    assert {step: dead.count(step) for step in dead} == replaced
    assert all(x.winner_return != "-inf" for x in read_exchanges(group))
    returns = {x.member: x.last_return for x in found}
    for run in members(group):
        assert (returns[run.root.name] == -inf) == (divergence_of(run) is not None)
        assert saved_steps(run.checkpoints)[-1] == 768  # as it is
    assert sum(figure > -inf for figure in returns.values()) == (4 if seed == 8 else 3)
    lost = shutil.copytree(group.root, tmp_path / "lost", symlinks=True)
    forget(lost, [last] * 4)
    assert any("diverged" in load_metadata(run.checkpoints) for run in members(lost))
    assert resume_population(lost)[1] == found
    check_same(lost, group)


def test_a_population_of_which_all_diverge_is_an_error(tmp_path):
    with pytest.raises(NonFiniteLossError, match="no agent is left"):
        evolve(CONFIG, {"algo.lr": (1e29, 1e30)}, 4, 256, base_dir=tmp_path)


def test_exchange_rescues_members_with_bad_learning_rates(tmp_path):
    """CartPole in 6,144 env steps, too few for most learning rates between 1e-7 and 1e-2."""
    runner = replace(CONFIG.runner, total_timesteps=6144, eval_every=1024, checkpoint_interval=0)
    config = replace(CONFIG, runner=runner)
    group, found = evolve(config, {"algo.lr": (1e-7, 1e-2)}, 4, 1024, base_dir=tmp_path)
    first = [from_dict(run.load_config()) for run in members(group)]
    alone = fit_many(side_by_side([build(config) for config in first]))
    without = np.median([float(result.evaluation.mean_return) for result in alone])
    assert np.median([x.last_return for x in found]) > 2 * without


@pytest.fixture
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_own_folder")
def test_the_command_prints_writes_draws_and_resumes(capsys):
    words = "--algo.lr 1e-3:1e30 --algo.ent-coef=0:0.05 --members 4 --every 256 --runner.seed 1"
    main(["evolve", "cartpole_ppo", *words.split(), *WORDS.split()])
    said = capsys.readouterr().out
    (group,) = find_runs("runs", "CartPole-v1_ppo_population")
    assert "Training complete" in said
    assert (group.artifacts / "population.png").stat().st_size > 10_000
    assert (group.artifacts / "reward_curve.png").stat().st_size > 10_000
    with open(group.artifacts / "population.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ["member", "algo.lr", "algo.ent_coef", "last_return", "exploits"]
    assert list(rows[0]) == columns
    table = [line.split() for line in said.splitlines() if line.startswith("member_")]
    assert [line[0] for line in table] == [row["member"] for row in rows]
    assert [line[-1] for line in table] == [row["exploits"] for row in rows]

    main(["evaluate", str(group)])
    said = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in said.splitlines()] == [f"member_{i}" for i in range(4)]
    main(["plot", str(group)])
    main(["train", "--resume", str(group), "--runner.total_timesteps", "1024"])
    assert {saved_steps(run.checkpoints)[-1] for run in members(group)} == {1024}
    for words, sentence in (
        ("--algo.lr 1e-2", "algo.lr evolves in this population: leave it out"),
        ("--runner.eval_every 100", "is not a multiple of runner.eval_every 100"),
        ("--seeds 0:4", "a group keeps its seeds"),
    ):
        with pytest.raises(SystemExit):
            main(["train", "--resume", str(group), *words.split()])
        assert sentence in capsys.readouterr().err


def test_the_schedules_of_members_and_of_the_best_members_ancestors_are_drawn(whole):
    group, found = whole
    each, best = hyperparameter_schedules(group)
    assert [line.name for line in each] == [f"member_{i}" for i in range(4)]
    assert best.name == f"ancestors of {found[0].member}"
    assert best.values[-1] == found[0].values
    assert all(line.steps[-1] == 768 for line in (*each, best))
    upper, lower = plot_hyperparameters(each, best).axes
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("algo.lr", "algo.ent_coef")
    assert upper.get_yscale() == "log"
    assert len(upper.lines) == len(lower.lines) == 5
    with pytest.raises(ConfigError, match="no hyperparameter to draw"):
        plot_hyperparameters([], best._replace(values=[]))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "no hyperparameter evolves: give one a range, as in --algo.lr 1e-4:1e-2"),
        ("--algo.lr 1e-2:1e-4", "algo.lr (0.01, 0.0001): give the lower and then the higher end"),
        ("--algo.lr 1:inf", "algo.lr (1.0, inf): give the lower and then the higher end"),
        (
            "--algo.lr 1:2 --algo.lr 1:3",
            "algo.lr is given twice: give all its values",
        ),
        ("1:2", "'1:2' does not follow a field: write values as --algo.lr 1e-4,3e-4"),
        ("--algo.lrr 1:2", "unknown field 'algo.lrr': did you mean algo.lr"),
        ("--algo.lr a:2", "a:2"),
        ("--runner.eval_every 1:2", "runner.eval_every has a range, and only fields of algo may"),
        ("--algo.n_steps 16:32", "algo.n_steps is static, part of the program: sweep over it"),
        ("--algo.activation 1:2", "algo.activation is static"),
        ("--algo.gamma 0.9:1.1", "gamma 1.1: give a number from 0 to 1"),
        ("--algo.lr -1:1", "lr -1.0: give at least 0"),
        ("--algo.lr 1:2 --members 3", "3 members: give at least 4"),
        ("--algo.lr 1:2 --members x", "--members x: give a whole number"),
        ("--algo.lr 1:2 --members", "--members needs a number"),
        ("--algo.lr 1:2 --every", "--every needs env steps"),
        ("--algo.lr 1:2 --every 128", "every 128 env steps is not above one update of 128"),
        ("--algo.lr 1:2 --every 768", "every 768 env steps never happens within 768"),
        ("--algo.lr 1:2 --every 300", "every 300 env steps is not a multiple of runner.eval_every"),
        ("--algo.lr 1:2 --runner.eval_episodes 0", "runner.eval_episodes 0: members are ranked"),
        ("--algo.lr 1:2 --runner.eval_every 0", "runner.eval_every 0: members are ranked"),
        ("--algo.lr 1:2 --runner.seed -1", "seed -1: give at least 0"),
        ("--algo.lr 1:2 --runner.resume", "runner.resume True: each run of a group has"),
    ],
)
@pytest.mark.usefixtures("_own_folder")
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, capsys):
    every = [] if "--every" in words else ["--every", "256"]
    with pytest.raises(SystemExit):
        main(["evolve", "cartpole_ppo", *WORDS.split(), *words.split(), *every])
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_exchange_within_the_warm_up_and_whole_numbers_are_refused(tmp_path):
    config = PRESETS["cartpole_dqn"][1]
    runner = replace(config.runner, eval_every=500, warmup_steps=1000)
    config = replace(config, runner=runner)
    with pytest.raises(ConfigError, match="every 500 env steps is within the warm-up of 1000"):
        evolve(config, {"algo.lr": (1e-4, 1e-2)}, 4, 500, base_dir=tmp_path)
    with pytest.raises(ConfigError, match="target_update_freq has a range and is a whole number"):
        evolve(config, {"algo.target_update_freq": (1, 10)}, 4, 5000, base_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_help_says_how_a_range_is_written(capsys):
    main(["evolve", "--help"])
    assert "--algo.FIELD LOW:HIGH" in capsys.readouterr().out
