"""Writing policies: of runs, by the command, on top of others; what is refused leaves nothing."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from exported import agent_of
from small_run import CONFIG
from vibe_rl import cli
from vibe_rl.algorithms.base import Algorithm
from vibe_rl.env import AutoResetWrapper, ObservationWrapper, make
from vibe_rl.errors import ConfigError
from vibe_rl.experiment import load_run, train
from vibe_rl.metrics import read_metrics
from vibe_rl.policies import export, export_run, folder, load
from vibe_rl.policies.network import network_of
from vibe_rl.policies.observations import observations

NUMPY_ONLY = ("onnx", "stablehlo")
SMALL = replace(CONFIG, runner=replace(CONFIG.runner, total_timesteps=512))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(SMALL, tmp_path_factory.mktemp("runs"))[0]


@pytest.fixture
def agent():
    algorithm, state, env = agent_of("ppo, choices")
    return algorithm, state, env, env.default_params()


class Halved(ObservationWrapper):
    def observation(self, obs, params):
        return obs / 2


def files(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def test_the_command_writes_the_policy_of_a_run_and_says_how_equal_it_is(run, capsys):
    cli.main(["export", str(run.root)])
    said = capsys.readouterr().out.splitlines()
    written = run.artifacts / "policy"
    assert said[0] == f"Policy | {written}"
    assert [line.partition(" |")[0] for line in said[1:]] == [
        *("numpy", "onnx", "greedy.stablehlo", "sampled.stablehlo")
    ]
    assert "of 0.0001 on 1000 observations, 0 other choices" in said[1]
    description = json.loads((written / "policy.json").read_text())
    assert (description["run"]["step"], description["run"]["env_id"]) == (512, "CartPole-v1")
    evaluated = {
        row["step"]: row["eval_return"] for row in read_metrics(run) if "eval_return" in row
    }
    assert description["run"]["eval_return"] == evaluated[512]
    obs = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    from_folder, from_run = load(written), load(run.root)
    np.testing.assert_array_equal(from_folder(obs), from_run(obs))
    key = jax.random.key(1)
    np.testing.assert_array_equal(from_folder.sample(obs, key), from_run.sample(obs, key))
    assert from_run.metadata["run"] == from_folder.metadata["run"]
    assert from_run.metadata["algorithm"] == from_folder.metadata["algorithm"] == "PPO"


def test_the_best_policy_has_a_folder_of_its_own(run):
    written = export_run(run, best=True, without=NUMPY_ONLY)
    assert written == run.artifacts / "policy_best"
    assert {path.name for path in written.iterdir()} == {"policy.json", "params.npz", "policy.py"}
    step = json.loads((written / "policy.json").read_text())["run"]["step"]
    assert step == int(run.best_checkpoint.name.removeprefix("step_"))
    _, state, _ = load_run(run, best=True)
    assert load(run, best=True).metadata["run"]["step"] == step
    first = state.params.actor.mlp.layers[0].weight
    with np.load(written / "params.npz") as params:
        np.testing.assert_array_equal(params["0_dense.weight"], np.asarray(first).T)


def test_a_policy_is_only_replaced_where_that_is_asked_for(agent, tmp_path):
    path = export(*agent, tmp_path / "p", without=NUMPY_ONLY)
    before = files(path)
    algorithm, state, *env = agent
    other = algorithm, jax.tree.map(lambda x: x * 2, state), *env
    with pytest.raises(ConfigError, match=r"^p exists: replace it by overwrite, or name another"):
        export(*other, path, without=NUMPY_ONLY)
    assert files(path) == before
    export(*other, path, without=NUMPY_ONLY, overwrite=True)
    assert files(path)["params.npz"] != before["params.npz"]
    assert [each.name for each in tmp_path.iterdir()] == ["p"]


def test_a_folder_that_is_no_policy_is_never_replaced(agent, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    with pytest.raises(ConfigError, match=r"^mine exists: it is no policy, name another place\.$"):
        export(*agent, mine, without=NUMPY_ONLY, overwrite=True)
    assert (mine / "thesis.txt").read_text() == "years"


def test_a_folder_that_appears_meanwhile_is_kept(agent, tmp_path, monkeypatch):
    path = tmp_path / "p"

    def slow(*how):
        path.mkdir()
        (path / "thesis.txt").write_text("years")
        return observations(*how)

    monkeypatch.setattr(folder, "observations", slow)
    with pytest.raises(ConfigError, match=r"^p cannot be written \(Directory not empty\): free it"):
        export(*agent, path, without=NUMPY_ONLY)
    assert [each.name for each in tmp_path.rglob("*")] == ["p", "thesis.txt"]


@pytest.mark.parametrize("before", [True, False])
def test_what_fails_half_way_leaves_what_was_there(before, agent, tmp_path, monkeypatch):
    path = tmp_path / "new" / "p"
    found = files(export(*agent, path, without=NUMPY_ONLY)) if before else None

    def fails(draft):
        assert len(list(draft.folder.iterdir())) == 2
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder, "write_onnx", fails)
    with pytest.raises(ConfigError, match=r"new/p cannot be written \(No space left on device\)"):
        export(*agent, path, without=["stablehlo"], overwrite=True)
    assert [each.name for each in tmp_path.rglob("*") if each.is_dir()] == (
        ["new", "p"] if before else []
    )
    assert not before or files(path) == found


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("ppo, choices", "2_dense.bias"),
        ("sac, numbers", "4_dense.bias"),
        ("ppo, whole numbers", "4_dense.weight"),
    ],
)
@pytest.mark.parametrize("error", [0.01, np.nan])
def test_a_policy_that_acts_differently_is_not_written(case, name, error, tmp_path, monkeypatch):
    algorithm, state, env = agent_of(case)

    def wrong(*agent):
        network = network_of(*agent)
        network.params[name] = network.params[name] + np.float32(error)
        return network

    monkeypatch.setattr(folder, "network_of", wrong)
    output = "logits" if case == "ppo, choices" else "mean"
    with pytest.raises(
        ConfigError, match=f"the NumPy policy differs from the policy by .* {output}"
    ):
        export(algorithm, state, env, env.default_params(), tmp_path / "p", without=NUMPY_ONLY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("case", ["dqn, no layers", "sac, numbers"])
def test_an_agent_that_diverged_is_not_written(case, tmp_path):
    algorithm, state, env = agent_of(case)
    lost = jax.tree.map(lambda x: x * np.nan if x.dtype == np.float32 else x, state)
    with pytest.raises(ConfigError, match=r"^the policy's \w+ is NaN or infinite: export an earl"):
        export(algorithm, lost, env, env.default_params(), tmp_path / "p", without=NUMPY_ONLY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("package", "file"), [("onnx", "onnx"), ("flatbuffers", "stablehlo")])
def test_a_package_that_is_missing_is_named_with_what_can_be_left_out(
    package, file, agent, tmp_path, monkeypatch
):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ConfigError,
        match=rf"need {package}: pip install 'vibe-rl\[export\]', or leave {file} out\.$",
    ):
        export(*agent, tmp_path / "p")
    assert not list(tmp_path.iterdir())
    export(*agent, tmp_path / "p", without=[file])


def test_what_cannot_be_exported_is_one_sentence(run, agent, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export", str(run.root), "--to", "p", "--without", "onx"])
    assert capsys.readouterr().err == "vibe-rl: unknown format 'onx': did you mean onnx?\n"
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export", "nowhere"])
    assert "nowhere is not a run directory" in capsys.readouterr().err
    (tmp_path / "group" / "members").mkdir(parents=True)
    with pytest.raises(ConfigError, match="group is a group of runs: name one of its members"):
        export_run("group")

    class Other(Algorithm):
        __init__ = object.__init__
        rollout_length = check = init = act = greedy = update = None  # type: ignore[assignment]

    with pytest.raises(
        ConfigError, match=r"^Other cannot be exported: use one of PPO, DQN, SAC, BC\.$"
    ):
        network_of(Other(), None)
    assert not (Path("p")).exists()


def test_wrappers_are_named_and_said_to_be_outside(agent, tmp_path):
    algorithm, state, env, params = agent
    path = export(
        algorithm, state, AutoResetWrapper(Halved(env)), params, tmp_path / "p", without=NUMPY_ONLY
    )
    said = json.loads((path / "policy.json").read_text())["env"]
    assert said == {"name": "Drawn", "wrappers": ["Halved"], "wrappers_are_inside": False}


def test_observations_come_from_environments_in_python_too():
    gym, params = make("gymnasium:CartPole-v1")
    algorithm, state, _ = agent_of("ppo, choices")
    space = gym.observation_space(params)
    algorithm = replace(algorithm, obs_space=space, action_space=gym.action_space(params))
    state = algorithm.init(jax.random.key(0))
    obs = observations(algorithm, state, gym, params, 60)
    assert obs.shape == (60, 4)
    assert obs.dtype == np.float32
    assert len(np.unique(obs, axis=0)) == 60
