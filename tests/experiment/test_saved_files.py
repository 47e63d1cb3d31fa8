"""Files of groups that version 0.1 saved are read, and plans are written as they were then."""

import json
from dataclasses import replace

import pytest

from small_run import CONFIG
from vibe_rl.configs import Range, to_dict
from vibe_rl.experiment.config_files import read_config, write_config
from vibe_rl.experiment.population import read_exchanges
from vibe_rl.experiment.population.members import FILE, PBTPlan, read_pbt_plan
from vibe_rl.experiment.search.study import ATTRIBUTE, check_same_search, describe_search
from vibe_rl.experiment.sweep import SweepPlan, read_sweep_plan
from vibe_rl.run_dir import RunDir

SWEEP = {
    "axes": {"algo.lr": [0.01, 0.001], "algo.hidden_sizes": [[8], [4]]},
    "seeds": [0, 1],
    "halving": 2,
    "rungs": [256, 512],
}
POPULATION = {"ranges": {"algo.lr": [0.0001, 0.01]}, "n_members": 8, "every": 256, "seed": 5}
EXCHANGE = (
    '{"step": 256, "interval": 1, "loser": 3, "winner": 1, "loser_return": "-inf", '
    '"winner_return": 73.0, "before": {"algo.lr": 0.0007}, "after": {"algo.lr": 0.0013}}\n'
)


@pytest.fixture
def run_dir(tmp_path):
    return RunDir("group", tmp_path)


def test_the_plan_of_a_sweep_is_the_same_file(run_dir):
    plan = SweepPlan(
        {"algo.lr": [1e-2, 1e-3], "algo.hidden_sizes": [(8,), (4,)]}, [0, 1], 2, [256, 512]
    )
    run_dir.save_config(plan, "sweep.json")
    assert run_dir.load_config("sweep.json") == SWEEP
    assert read_sweep_plan(run_dir).rungs == [256, 512]


def test_the_plan_of_a_population_is_the_same_file(run_dir):
    run_dir.save_config(PBTPlan({"algo.lr": (1e-4, 1e-2)}, 8, 256, 5), FILE)
    assert run_dir.load_config("population.json") == POPULATION
    assert read_pbt_plan(run_dir).ranges == {"algo.lr": (1e-4, 1e-2)}


def test_the_exchanges_of_a_population_are_read(run_dir):
    (run_dir.root / "exchanges.jsonl").write_text(EXCHANGE)
    (exchange,) = read_exchanges(run_dir)
    assert (exchange.loser, exchange.winner, exchange.loser_return) == (3, 1, "-inf")
    assert json.dumps(exchange._asdict()) + "\n" == EXCHANGE


class Study:
    """A study whose search was described before the runner had all its settings."""

    study_name = "s"

    def __init__(self, description):
        self.user_attrs = {ATTRIBUTE: description}


def test_a_study_goes_with_the_same_search_though_settings_were_added_since():
    space = {"algo.lr": Range(1e-4, 1e-2)}
    saved = describe_search(CONFIG, space, range(2))
    assert saved["space"] == {"algo.lr": {"low": 1e-4, "high": 1e-2}}
    del saved["config"]["runner"]["checkpoint_share"]
    check_same_search(Study(saved), describe_search(CONFIG, space, range(2)))


def test_a_config_is_written_again_only_if_it_is_another(run_dir):
    fields = to_dict(CONFIG)
    del fields["runner"]["checkpoint_share"]  # as if that setting had been added since
    run_dir.save_config(fields)
    write_config(run_dir, CONFIG)
    assert not (run_dir.root / "config_2.json").exists()
    other = replace(CONFIG, runner=replace(CONFIG.runner, seed=7))
    write_config(run_dir, other)
    assert read_config(run_dir) == other
    assert json.loads((run_dir.root / "config_2.json").read_text())["runner"]["seed"] == 7
