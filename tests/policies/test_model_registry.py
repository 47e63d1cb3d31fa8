"""MLflow's registry: versions, aliases, figures, and the same actions in a process of its own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from exported import agent_of
from processes import environ
from small_run import CONFIG
from vibe_rl import cli
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import train
from vibe_rl.policies import Figures, export, load, publish
from vibe_rl.tracking.mlflow import read_ids

SMALL = replace(CONFIG, runner=replace(CONFIG.runner, total_timesteps=512))
OBS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


pytestmark = pytest.mark.usefixtures("own_mlflow", "trackers_here")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three policies that act differently."""
    made = []
    for scale in (1.0, -1.0, 0.5):
        algorithm, state, env = agent_of("ppo, choices")
        state = jax.tree.map(lambda x, scale=scale: x * scale, state)
        path = tmp_path_factory.mktemp("published") / "p"
        made.append(
            export(algorithm, state, env, env.default_params(), path, without=("onnx", "stablehlo"))
        )
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The address of a database whose tables are made once, and a client."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"
    return uri, MlflowClient(uri, uri)


def figures(value, step=7):
    return Figures({"eval_return": value, "length": 2.0}, by="eval_return", step=step)


def aliases(client, name):
    return {
        alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()
    }


LOAD = """
import sys
import numpy as np
from vibe_rl.policies import load
for alias in ("candidate", "champion"):
    policy = load(f"models:/m1@{alias}", tracking_uri=sys.argv[1])
    np.save(f"{alias}.npy", policy(np.load("obs.npy")))
"""


def test_the_newest_is_the_candidate_and_the_best_the_champion(folders, store):
    uri, client = store
    how = {"name": "m1", "tracking_uri": uri}
    told = []
    (folders[2] / "agent.pkl").write_bytes(b"mine")  # is not sent
    for folder, value in zip(folders, (1.0, 2.0, 1.5), strict=True):
        told.append(publish(folder, figures(value), tags={"converged": True}, **how))
    assert [each.version for each in told] == [1, 2, 3]
    assert [each.aliases for each in told] == [
        ("candidate", "champion"),
        ("candidate", "champion"),
        ("candidate",),
    ]
    assert told[2].champion == 2
    assert aliases(client, "m1") == {"candidate": 3, "champion": 2}
    assert publish(folders[0], figures(2.0), **how).aliases == ("candidate", "champion")

    version = client.get_model_version("m1", "3")
    assert version.tags == {"eval_return": "1.5", "length": "2.0", "converged": "True"}
    model = client.get_logged_model(told[2].model_id)
    assert (model.status, model.model_type) == ("READY", "vibe_rl/ppo")
    found = {metric.key: (metric.value, metric.step) for metric in model.metrics}
    assert found == {"eval_return": (1.5, 7), "length": (2.0, 7)}
    experiment = client.get_experiment_by_name("m1").experiment_id
    (best, *_) = client.search_logged_models(
        [experiment], "metrics.eval_return > 1.8", order_by=[{"field_name": "creation_timestamp"}]
    )
    assert best.model_id == told[1].model_id
    assert client.get_run(model.source_run_id).info.status == "FINISHED"
    kept = Path(model.artifact_location.removeprefix("file://"))
    assert {path.name for path in kept.iterdir()} == {"params.npz", "policy.json", "policy.py"}


def test_another_process_loads_them_by_alias_to_the_same_actions(folders, store, tmp_path):
    uri, _ = store
    for folder, value in zip(folders[:2], (5.0, 4.0), strict=True):
        publish(folder, figures(value), name="m1", tracking_uri=uri)
    np.save("obs.npy", OBS)
    command = [sys.executable, "-W", "error", "-c", LOAD, uri]
    subprocess.run(command, check=True, env=environ())
    first, second = (load(folder)(OBS) for folder in folders[:2])
    assert (first != second).any()
    np.testing.assert_array_equal(np.load("champion.npy"), first)
    np.testing.assert_array_equal(np.load("candidate.npy"), second)
    version = load("models:/m1/1", tracking_uri=uri)
    np.testing.assert_array_equal(version(OBS), first)


@pytest.mark.parametrize(
    "method", ["create_model_version", "set_registered_model_alias", "log_batch"]
)
def test_what_fails_looks_like_no_success(method, folders, store, monkeypatch):
    uri, client = store
    how = {"name": f"failing {method}", "tracking_uri": uri}
    publish(folders[0], figures(1.0), **how)
    experiment = client.get_experiment_by_name(how["name"]).experiment_id
    before = aliases(client, how["name"])

    def fails(*args, **kwargs):
        raise MlflowException("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, method, fails)
        with pytest.raises(ConfigError, match=r"^mlflow: the disk is full: see that it can be"):
            publish(folders[1], figures(9.0), **how)
        with pytest.raises(ConfigError, match="the disk is full"):
            publish(folders[1], figures(9.0), name=f"new {method}", tracking_uri=uri)
    assert aliases(client, how["name"]) == before == {"candidate": 1, "champion": 1}
    assert len(client.search_model_versions(f"name='{how['name']}'")) == 1
    models = client.search_logged_models([experiment])
    assert sorted(model.status for model in models) == ["FAILED", "READY"]
    runs = client.search_runs([experiment])
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
    assert f"new {method}" not in {each.name for each in client.search_registered_models()}


def test_names_that_do_not_exist_are_one_sentence(folders, store, monkeypatch):
    uri, client = store
    publish(folders[0], figures(1.0), name="cart", tracking_uri=uri)
    client.create_registered_model("empty")
    for address, said in {
        "models:/cart@champoin": "unknown alias of model cart 'champoin': did you mean champion?",
        "models:/carts@champion": "unknown model 'carts': did you mean cart?",
        "models:/cart/7": "unknown version of model cart '7': choose from 1.",
        "models:/empty@champion": (
            "unknown alias of model empty 'champion': there are none, publish one first."
        ),
        "models:/cart": "models:/cart: write models:/NAME@ALIAS or models:/NAME/VERSION.",
    }.items():
        with pytest.raises(ConfigError) as refused:
            load(address, tracking_uri=uri)
        assert str(refused.value) == said
    with pytest.raises(ConfigError, match=r"there is no runs/mlflow.db: set MLFLOW_TRACKING_URI"):
        load("models:/cart@champion")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert load("models:/cart@champion")(OBS).shape == (40,)


def test_a_model_of_somebody_else_is_refused(store, tmp_path):
    uri, client = store
    (tmp_path / "MLmodel").write_text("flavors: {}")
    run = client.create_run(client.create_experiment("theirs", (tmp_path / "a").as_uri()))
    client.log_artifact(run.info.run_id, str(tmp_path / "MLmodel"), "model")
    client.create_registered_model("theirs")
    client.create_model_version("theirs", f"{run.info.artifact_uri}/model", run.info.run_id)
    with pytest.raises(
        ConfigError, match=r"^models:/theirs/1 is no policy of vibe_rl: name another"
    ):
        load("models:/theirs/1", tracking_uri=uri)


def test_what_cannot_be_published_is_refused_before_anything_is_made(folders, store, tmp_path):
    uri, client = store
    how = {"name": "refused", "tracking_uri": uri}
    with pytest.raises(ConfigError, match=r"^eval_return nan of a model: give a finite number"):
        publish(folders[0], figures(np.nan), **how)
    with pytest.raises(ConfigError, match="unknown metric 'return': did you mean eval_return"):
        publish(folders[0], figures(1.0)._replace(by="return"), **how)
    with pytest.raises(ConfigError, match=r"^model name 'a/b': give one without"):
        publish(folders[0], figures(1.0), name="a/b", tracking_uri=uri)
    for alias in ("latest", "v7", "champion", "a b", ""):
        with pytest.raises(ConfigError, match="of a model: give letters, digits"):
            publish(folders[0], figures(1.0), alias=alias, **how)
    with pytest.raises(ConfigError, match="holds no policy: name a folder with policy"):
        publish(tmp_path, figures(1.0), **how)
    for path in folders[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "policy.py").write_bytes(b"import this")
    with pytest.raises(ConfigError, match=r"policy\.py is not the file of its policy\.json: copy"):
        publish(tmp_path, figures(1.0), **how)
    with pytest.raises(ConfigError, match=r"^mlflow: .*Run with id=nope not found: see that"):
        publish(folders[0], figures(1.0), run_id="nope", **how)
    with pytest.raises(ConfigError, match="MLflow no longer writes to folders"):
        publish(folders[0], figures(1.0), name="refused", tracking_uri="file:./mlruns")
    assert "refused" not in {each.name for each in client.search_registered_models()}
    assert client.get_experiment_by_name("refused") is None


@pytest.mark.parametrize("track", [(), ("mlflow",)], ids=["untracked", "tracked"])
def test_the_command_publishes_a_run_as_a_model_of_its_mlflow_run(track, capsys, monkeypatch):
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)
    run_dir, _ = train(replace(SMALL, runner=replace(SMALL.runner, track=track)), "runs")
    assert bool(read_ids(run_dir)) == bool(track)
    capsys.readouterr()
    cli.main(["publish", str(run_dir.root), "--without", "onnx,stablehlo"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Published | CartPole-v1_ppo version 1 | eval_return ")
    assert said[1:] == [
        f"Load with | models:/CartPole-v1_ppo@{a}" for a in ("candidate", "champion")
    ]
    ids = read_ids(run_dir)
    client = MlflowClient(ids["tracking_uri"], ids["tracking_uri"])
    version = client.get_model_version("CartPole-v1_ppo", "1")
    assert version.run_id == ids["run_id"]
    run = client.get_run(ids["run_id"])
    assert run.info.status == "FINISHED"
    assert float(version.tags["eval_return"]) == run.data.metrics["eval_return"]
    assert version.tags["run"] == run_dir.root.name
    history = client.get_metric_history(ids["run_id"], "eval_return")
    assert [each.step for each in history] == sorted({each.step for each in history})
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert [(each.key, each.step) for each in model.metrics] == [("eval_return", 512)]
    obs = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    np.testing.assert_array_equal(load("models:/CartPole-v1_ppo@champion")(obs), load(run_dir)(obs))
    cli.main(
        ["publish", str(run_dir.root), "--without", "onnx,stablehlo", "--name", "mine", "--best"]
    )
    assert "Published | mine version 1 | " in capsys.readouterr().out
