"""Scenarios in folders: trained with, held out, and driven one by one, in the simulator itself."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compiling import as_users_do
from straight_roads import straight
from vibe_rl.cli import main
from vibe_rl.configs.env_schedules import scheduled_params
from vibe_rl.env import make
from vibe_rl.env.driving.generate import GENERATED
from vibe_rl.env.driving.io import SplitRule, write_scenarios
from vibe_rl.env.driving.knobs import Knobs
from vibe_rl.env.driving.scenarios.banks import ScenarioDriving, preset_and_weights
from vibe_rl.env.driving.scenarios.codes import FAMILIES
from vibe_rl.env.params.many import entries_of
from vibe_rl.errors import ConfigError
from vibe_rl.experiment.build import build
from vibe_rl.runner.env_params import EnvParamsSchedule
from vibe_rl.trainers.driving.composing import compose
from vibe_rl.trainers.driving.environment import ENV_ID
from vibe_rl.trainers.driving.evaluating import drive, film, last_outcome
from vibe_rl.trainers.driving.plans import plan_of
from vibe_rl.trainers.driving.results import DriveOutcome, episodes_text
from vibe_rl.trainers.driving.scenarios import place_of, scenarios_of, with_scenarios_of
from vibe_rl.trainers.driving.worlds import WantedEvaluation, open_worlds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 12 straight roads, of which some are held out."""
    path = tmp_path_factory.mktemp("sets") / "straight"
    scenes = (straight(speed=6.0 + i % 4, uid=i + 1) for i in range(12))
    families = (scene._replace(family=np.int32(i % 2)) for i, scene in enumerate(scenes))
    write_scenarios(path, families, split=SplitRule(valid_fraction=0.4))
    return path


@pytest.fixture(autouse=True)
def unchecked():
    with as_users_do():
        yield


def plan(*words: str):
    return plan_of(compose(list(words)))


def test_the_environment_is_that_of_the_tree():
    words = ["observation=vec", "observation.agents=3", "reward=safety", "reward.weights.comfort=2"]
    config = plan(*words, "simulator.traffic=replay", "termination_keys=[overlap]").config
    env, env_params = make(config.env_id, **config.env_kwargs)
    assert isinstance(env, ScenarioDriving)
    assert (env.observation.agents, env.observation.map_points) == (3, 200)
    assert env.steering == "lateral"
    assert (env_params.overlap, env_params.comfort, env_params.progress) == (-1, 2, 0)
    ends = env_params.terminate_overlap, env_params.terminate_offroad
    assert (*ends, env_params.terminate_red_light) == (True, False, False)


def test_encoders_of_tokens_fit_the_settings_of_the_algorithms(folder):
    words = [f"path_dataset={folder}", "network/encoder=perceiver", "network.encoder.n_heads=4"]
    made = plan(*words, "num_envs=64", "runner.buffer_size=20000")
    run = build(with_scenarios_of(made.config, made.source, made.keys))
    config = run.algorithm.config
    assert (config.encoder, config.n_heads, config.normalize_obs) == ("lq", 4, False)


def test_settings_of_v_max_steer_by_curvature_and_clone_with_tanh():
    assert make(ENV_ID, **plan("algorithm=sac_vmax").config.env_kwargs)[0].steering == "curvature"
    assert plan("algorithm=bc_vmax").config.algo.activation == "tanh"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["termination_keys=[crash]"], "unknown termination key 'crash'"),
        (["reward.name=fun"], "unknown reward.name 'fun'"),
        (["observation.name=eyes"], "unknown observation.name 'eyes'"),
    ],
)
def test_what_the_environment_has_not_is_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        plan(*words)


def test_a_reward_is_a_preset_and_weights_of_ones_own():
    assert preset_and_weights("safety") == ("safety", {})
    assert preset_and_weights("safety,offroad=-3") == ("safety", {"offroad": -3.0})
    with pytest.raises(ConfigError, match="unknown term of the reward 'fun'"):
        preset_and_weights("safety,fun=1")


def test_a_folder_is_trained_with_and_its_held_out_part_evaluated_once_each(folder):
    words = [f"path_dataset={folder}", "num_scenario_per_eval=99"]
    made = plan(*words)
    config = with_scenarios_of(made.config, made.source, made.keys)
    env, env_params = make(config.env_id, **config.env_kwargs)
    assert isinstance(env, ScenarioDriving)
    valid = env.held_out(env_params)
    assert valid is not None
    uids = [set(np.asarray(x.scenarios.scenario_uid).tolist()) for x in (env_params, valid)]
    assert uids[0] | uids[1] == set(range(1, 13))
    assert not uids[0] & uids[1]
    assert config.runner.eval_episodes == len(uids[1]) == entries_of(env, valid)
    assert valid.scenario.tolist() == list(range(len(uids[1])))


def test_a_second_folder_is_held_out_whole(folder, tmp_path):
    write_scenarios(tmp_path / "other", (straight(uid=100 + i) for i in range(3)))
    made = plan(f"path_dataset={folder}", f"path_dataset_eval={tmp_path / 'other'}")
    config = with_scenarios_of(made.config, made.source, made.keys)
    assert config.runner.eval_episodes == 3
    assert config.env_kwargs["held_out_scenarios"] == str(tmp_path / "other")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scenarios=files"], "path_dataset null: these scenarios need it"),
        (["path_dataset=nowhere"], "nowhere has no manifest.json"),
        (["path_dataset=FOLDER", "scenario_length=50"], "have 80 decisions, give that"),
        (["path_dataset=FOLDER", "scenarios=procedural"], "not read where scenarios are generated"),
        (["scenarios.count=1000000000"], "scenarios.count 1,000,000,000: they take 228 TB and"),
        (["path_dataset=FOLDER", "scenarios.stream=-1"], "scenarios.stream -1: give at least 0"),
        (["scenarios.families=[highways]"], "unknown family 'highways': did you mean highway?"),
    ],
)
def test_scenarios_that_are_not_there_are_refused(folder, words, said):
    def with_those() -> None:
        made = plan(*(word.replace("FOLDER", str(folder)) for word in words))
        with_scenarios_of(made.config, made.source, made.keys)

    with pytest.raises(ConfigError) as refused:
        with_those()
    assert said in str(refused.value)


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a random driver on all scenarios of the folder."""
    out = tmp_path_factory.mktemp("results")
    with as_users_do():
        words = ["--actor", "random", "--dataset", str(folder), "--split", "all", "--out", str(out)]
        main(["driving", "evaluate", *words, "--batch-size", "6"])
    return out


def test_every_scenario_has_a_row_and_is_driven_once(results):
    rows = list(csv.DictReader((results / "evaluation_episodes.csv").read_text().splitlines()))
    assert [int(row["uid"]) for row in rows] == list(range(1, 13))
    assert [int(row["scenario"]) for row in rows] == list(range(12))
    assert {row["ended_by"] for row in rows} <= {"overlap", "offroad", "red_light", "time"}


def test_the_results_are_means_of_the_rows(results):
    rows = list(csv.DictReader((results / "evaluation_episodes.csv").read_text().splitlines()))
    found = json.loads((results / "evaluation_results.json").read_text())
    assert found["actor"] == "random"
    assert set(found["families"]) == {"highway", "merge"}
    for name in ("success", "progress", "accuracy", "vmax_aggregate_score", "offroad", "return"):
        values = [float(row[name]) for row in rows]
        assert found[name] == pytest.approx(np.mean(values), abs=1e-6)
        low, high = found[f"{name}_ci"]
        assert low <= found[name] <= high
        merges = [x for x, row in zip(values, rows, strict=True) if row["family"] == "merge"]
        assert found["families"]["merge"][name] == pytest.approx(np.mean(merges), abs=1e-6)
    assert sum(found["ended_by"].values()) == len(rows) == found["scenarios"]


ENDINGS = ("overlap", "offroad", "red_light", "time")
ORDER = (3, 7, 1, 2, 5, 9, 0, 4, 6, 8, 10, 11)


@pytest.fixture(scope="module")
def reordered(folder, results):
    """All scenarios in another order, by a random driver; the program is that of `results`."""
    with as_users_do():
        wanted = WantedEvaluation(dataset=str(folder), split="all", indexes=ORDER)
        (actor,), world = open_worlds(wanted, ["random"])
        return actor, world, drive(actor, world, lanes=6)


def test_without_a_run_one_drives_as_the_environment_does_by_default(reordered):
    _, world, _ = reordered
    assert world.env.steering == make(ENV_ID)[0].steering == "curvature"


def test_scenarios_can_be_named_by_their_numbers(reordered, results):
    rows = list(csv.DictReader((results / "evaluation_episodes.csv").read_text().splitlines()))
    outcome = reordered[2]
    assert tuple(outcome.numbers) == ORDER
    assert outcome.uids == [rows[i]["uid"] for i in ORDER]
    assert outcome.families == [rows[i]["family"] for i in ORDER]


def test_what_a_run_keeps_of_its_last_evaluation_is_what_an_evaluation_writes(reordered):
    _, world, outcome = reordered
    labels = [FAMILIES.index(name) for name in outcome.families]
    told = {**outcome.figures, "scenario": np.asarray(ORDER, np.float32), "family": labels}
    told |= {f"ended_by_{name}": np.equal(outcome.ended_by, name) for name in ENDINGS}
    own = {name: told.pop(name) for name in ("progress", "return", "length")}
    scores = SimpleNamespace(
        episode_metrics=told, episode_returns=own["return"], episode_lengths=own["length"]
    )
    kept = last_outcome(world.env_params, scores)
    assert episodes_text(kept) == episodes_text(outcome)
    assert last_outcome(world.env_params, None) is None


def test_who_or_what_is_not_there_is_refused_before_anything_is_driven(folder, results, capsys):
    dataset = ["--dataset", str(folder)]
    for words, said in {
        ("--out", "new"): "--actor ai is an agent: name its --run",
        ("--actor", "random", "--out", "new"): "name a --dataset",
        ("--actor", "random", *dataset, "--out", str(results)): "name another folder",
        ("--actor", "random", *dataset, "--indexes", "99", "--out", "new"): "scenario [99]",
        ("--actor", "random", *dataset, "--indexes", "1", "--limit", "2", "--out", "new"): (
            "--indexes and --limit"
        ),
        ("--actor", "random", *dataset, "--limit", "0", "--out", "new"): "--limit 0: give at least",
        (
            "--actor",
            "expert,idn",
            *dataset,
            "--out",
            "new",
        ): "unknown --actor 'idn': did you mean idm",
        ("--actor", "idm,idm", *dataset, "--out", "new"): "name each driver once",
        ("--actor", "brake", *dataset, "--factor", "1", "--out", "new"): "leave it out for brake",
        ("--actor", "lane", *dataset, "--factor", "-1", "--out", "new"): "--factor -1.0: give",
        ("--actor", "lane", *dataset, "--factor", "nan", "--out", "new"): "--factor nan: give",
        ("--actor", "idm", *dataset, "--out", str(results / "evaluation_results.json")): (
            "evaluation_results.json is a file, name a folder"
        ),
    }.items():
        with pytest.raises(SystemExit):
            main(["driving", "evaluate", *words])
        assert said in capsys.readouterr().err, words
    assert not Path("new").exists()


def test_several_drivers_have_a_folder_each_and_one_table(folder, tmp_path, monkeypatch, results):
    """The drives themselves are those of the random driver."""
    driven = []

    def drive_once(actor, world, seed, lanes):
        driven.append(type(actor).__name__)
        worse = np.float32(len(driven) > 1)
        figures = {"success": np.ones(12, np.float32) - worse}
        return DriveOutcome(world.numbers, world.uids, world.families, figures, ["time"] * 12)

    monkeypatch.setattr("vibe_rl.cli.driving.evaluate.drive", drive_once)
    words = ["--actor", "expert,random", "--dataset", str(folder), "--split", "all"]
    main(["driving", "evaluate", *words, "--out", str(tmp_path / "both")])
    assert len(set(driven)) == 2
    both = tmp_path / "both"
    for name in ("expert", "random"):
        assert json.loads((both / name / "evaluation_results.json").read_text())["actor"] == name
    rows = list(csv.DictReader((both / "evaluation_actors.csv").read_text().splitlines()))
    found = {(row["actor"], row["family"]): float(row["success"]) for row in rows}
    families = ("all", "highway", "merge")
    assert found == {
        (name, family): success
        for name, success in (("expert", 1.0), ("random", 0.0))
        for family in families
    }
    with pytest.raises(SystemExit):
        main(["driving", "evaluate", *words, "--out", str(both)])


def test_a_lane_follower_drives_at_the_share_of_the_limit_that_is_asked_for(folder):
    wanted = [
        WantedEvaluation(dataset=str(folder), split="all", factor=factor) for factor in (None, 0.5)
    ]
    found = [open_worlds(each, ["lane"])[0][0] for each in wanted]
    assert [getattr(actor, "factor", None) for actor in found] == [0.7, 0.5]


def test_a_film_shows_the_drive_that_was_evaluated(reordered, monkeypatch):
    monkeypatch.setattr(
        "vibe_rl.trainers.driving.evaluating.draw",
        lambda env, state, params: np.full((1, 1, 3), env.inner_state(state).frame, np.uint8),
    )
    actor, world, outcome = reordered
    pictures = list(film(actor, world, seed=0, index=1))
    assert len(pictures) == 1 + outcome.figures["length"][1]
    assert [int(picture[0, 0, 0]) for picture in pictures] == list(range(10, 10 + len(pictures)))


def test_the_folder_of_generated_scenarios_belongs_to_their_settings(tmp_path, monkeypatch):
    made = plan(f"scenarios.folder={tmp_path}", "scenarios.count=12")
    calls = []

    def generated(source, path):
        calls.append(source)
        return (straight(uid=i + 1 + 100 * source.seed) for i in range(source.count))

    monkeypatch.setattr("vibe_rl.trainers.driving.scenarios.scenarios_of", generated)
    first = with_scenarios_of(made.config, made.source, made.keys)
    again = with_scenarios_of(made.config, made.source, made.keys)
    assert first.env_kwargs == again.env_kwargs
    assert len(calls) == 1
    other = with_scenarios_of(made.config, replace(made.source, seed=1), made.keys)
    assert other.env_kwargs["scenarios"] != first.env_kwargs["scenarios"]


def test_knobs_of_the_generator_make_other_scenarios_and_processes_do_not(monkeypatch):
    asked = []
    monkeypatch.setattr("vibe_rl.env.driving.generate.generate", lambda *args: asked.append(args))
    words = ["scenarios.count=9", "scenarios.pedestrian_rate=0.5", "scenarios.processes=2"]
    source = plan(*words).source
    scenarios_of(source, None)
    assert asked == [(0, 9, GENERATED, Knobs(pedestrian_rate=0.5), 2)]
    places = [place_of(plan(*words[:n]).source, None)[0] for n in (1, 2, 3)]
    assert places[0] != places[1] == places[2]
    with pytest.raises(ConfigError, match=r"scenarios\.yellow 9\.0: give a number from 1 to 6"):
        plan("scenarios.yellow=9")


def test_a_stream_brings_other_scenarios_in_every_iteration(folder):
    made = plan(f"path_dataset={folder}", "scenarios.stream=3", "num_episode_per_epoch=2", "seed=5")
    config = with_scenarios_of(made.config, made.source, made.keys)
    assert config.env_schedule == f"scenarios:160:5:train:{folder}"  # 2 scenarios of 80 steps each
    env, env_params = make(config.env_id, **config.env_kwargs)
    schedule = scheduled_params(config.env_schedule, env_params)
    assert isinstance(schedule, EnvParamsSchedule)
    assert schedule.restarts
    seen = [schedule.at(update).scenarios.scenario_uid.tolist() for update in (0, 160, 0)]
    assert len(seen[0]) == 3
    assert seen[0] != seen[1]
    assert seen[0] == seen[2]
    assert isinstance(env, ScenarioDriving)
    held_out = env.held_out(env_params)
    assert held_out is not None
    assert not set(seen[0] + seen[1]) & set(held_out.scenarios.scenario_uid.tolist())


def test_a_stream_has_all_of_a_folder_where_another_is_held_out(folder, tmp_path):
    write_scenarios(tmp_path / "other", (straight(uid=100 + i) for i in range(3)))
    paths = f"path_dataset={folder}", f"path_dataset_eval={tmp_path / 'other'}"
    made = plan(*paths, "scenarios.stream=3", "num_episode_per_epoch=2")
    config = with_scenarios_of(made.config, made.source, made.keys)
    assert config.env_schedule == f"scenarios:160:0:all:{folder}"


def test_a_stream_of_another_form_or_of_another_environment_is_refused(folder):
    with pytest.raises(ConfigError, match="write scenarios:EVERY:SEED:SPLIT:FOLDER"):
        scheduled_params("scenarios:3", make("Driving-v0")[1])
    with pytest.raises(ConfigError, match="env_params is a"):
        scheduled_params(f"scenarios:3:0:train:{folder}", make("Pendulum-v1")[1])
