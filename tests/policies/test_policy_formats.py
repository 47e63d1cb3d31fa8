"""Every policy acts the same in every format, and without vibe_rl."""

import json
import subprocess
import sys

import jax
import numpy as np
import onnxruntime
import pytest

from exported import CASES, agent_of, filled, plain_obs
from vibe_rl.algorithms import PPO, PPOConfig
from vibe_rl.errors import ConfigError
from vibe_rl.policies import export, load
from vibe_rl.policies.folder import FILES, GREEDY, SAMPLED
from vibe_rl.policies.network import network_of
from vibe_rl.policies.onnx import load_onnx
from vibe_rl.policies.parts import raw_outputs
from vibe_rl.policies.stablehlo import deserialise
from vibe_rl.spaces import Board, Box, Discrete

N = 50


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder of each case that is asked for, with the agent and some observations."""
    made = {}

    def of(case):
        if case not in made:
            algorithm, state, env = agent_of(case)
            folder = tmp_path_factory.mktemp("policies") / str(len(made))
            export(algorithm, state, env, env.default_params(), folder)
            obs = jax.jit(jax.vmap(env.first))(jax.random.split(jax.random.key(9), N))
            made[case] = folder, algorithm, state, jax.tree.map(np.asarray, obs)
        return made[case]

    return of


def assert_alike(found, expected, algorithm):
    assert found.dtype == expected.dtype
    if isinstance(algorithm.action_space, Box) and not algorithm.action_space.whole:
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("case", CASES)
def test_a_policy_acts_the_same_in_every_format(case, exported):
    folder, algorithm, state, obs = exported(case)

    @jax.jit
    @jax.vmap
    def own(obs):
        return algorithm.greedy(state, obs), raw_outputs(algorithm, state, obs)

    expected, outputs = jax.device_get(own(obs))
    policy = load(folder)
    found = policy.outputs(obs)
    assert_alike(found["action"], expected, algorithm)
    assert found.keys() == {"action", *outputs}
    for name, x in outputs.items():
        np.testing.assert_allclose(found[name], x, rtol=1e-4, atol=1e-4)

    leaves = dict(zip(input_names(folder), jax.tree.leaves(obs), strict=True))
    session = onnxruntime.InferenceSession(folder / "policy.onnx")
    assert_alike(session.run(["action"], leaves)[0], expected, algorithm)
    assert_alike(
        np.asarray(deserialise((folder / GREEDY).read_bytes())(*leaves.values())),
        expected,
        algorithm,
    )
    single = jax.tree.map(lambda x: x[3], obs)
    assert_alike(policy(single), expected[3], algorithm)


def input_names(folder):
    return [spec["name"] for spec in json.loads((folder / "policy.json").read_text())["inputs"]]


@pytest.mark.parametrize("case", CASES)
def test_a_policy_draws_what_the_agent_draws(case, exported):
    folder, algorithm, state, obs = exported(case)
    key = jax.random.key(5)
    if case.startswith("dqn"):
        assert not (folder / SAMPLED).exists()
        with pytest.raises(ValueError, match="it draws nothing: call it instead"):
            load(folder).sample(obs, key)
        return
    some = [jax.tree.map(lambda x, i=i: x[i], obs) for i in range(4)]
    act = jax.jit(lambda obs, i: algorithm.act(state, obs, jax.random.fold_in(key, i))[0])
    expected = np.stack([act(one, np.int32(i)) for i, one in enumerate(some)])
    policy = load(folder)
    drawn = policy.sample(jax.tree.map(lambda x: x[:4], obs), key)
    assert_alike(drawn, expected, algorithm)
    old_kind = jax.random.key_data(key)
    assert_alike(policy.sample(some[0], old_kind), expected[0], algorithm)
    others = policy.sample(obs, jax.random.key(6))
    assert (others != policy.sample(obs, key)).any()


WITHOUT = """
import sys


class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("vibe_rl", "jax", "jaxlib", "equinox", "onnx", "ml_dtypes"):
            raise ImportError(f"{name} is not to be imported")


sys.meta_path.insert(0, Refused())
import importlib.util
import numpy as np

for folder in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location("policy", f"{folder}/policy.py")
    policy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(policy)
    loaded = policy.load()
    with np.load(f"{folder}/../obs_{folder.rpartition('/')[2]}.npz") as file:
        obs = dict(file)

    def nested(inputs):
        if [spec["path"] for spec in inputs] == [[]]:
            return obs[inputs[0]["name"]]
        heads = {spec["path"][0] for spec in inputs}
        tree = {}
        for head in heads:
            below = [
                {**spec, "path": spec["path"][1:]} for spec in inputs if spec["path"][0] == head
            ]
            tree[head] = nested(below)
        return (tree["view"], tree["legal"]) if heads == {"view", "legal"} else tree

    np.save(f"{folder}.npy", loaded(nested(loaded.description["inputs"])))
"""


def test_a_folder_acts_the_same_where_neither_vibe_rl_nor_jax_can_be_imported(exported):
    folders = []
    for case in CASES:
        folder, _, _, obs = exported(case)
        arrays = dict(zip(input_names(folder), jax.tree.leaves(plain_obs(obs)), strict=True))
        np.savez(folder.with_name(f"obs_{folder.name}.npz"), **arrays)
        folders.append(folder)
    subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", WITHOUT, *map(str, folders)], check=True
    )
    for folder, case in zip(folders, CASES, strict=True):
        _, algorithm, _, obs = exported(case)
        assert_alike(np.load(f"{folder}.npy"), load(folder)(obs), algorithm)


REFUSES = """
import sys
sys.modules["vibe_rl"] = sys.modules["equinox"] = sys.modules["onnx"] = None
import jax.export
import numpy as np

folder = sys.argv[1]
with open(f"{folder}/greedy.stablehlo", "rb") as file:
    policy = jax.export.deserialize(bytearray(file.read()))
assert set(policy.platforms) == {"cpu", "cuda", "tpu"}
np.save(f"{folder}.hlo.npy", policy.call(np.load(f"{folder}.obs.npy")))
"""


def test_stablehlo_needs_nothing_but_jax(exported):
    folder, algorithm, _, obs = exported("ppo, choices")
    np.save(f"{folder}.obs.npy", obs)
    subprocess.run([sys.executable, "-I", "-c", REFUSES, str(folder)], check=True)
    assert_alike(np.load(f"{folder}.hlo.npy"), load(folder)(obs), algorithm)


@pytest.mark.parametrize("case", ["ppo, masked choices of many", "ppo, clipped numbers"])
def test_onnx_models_run_by_the_packages_own_numpy_too(case, exported):
    folder, algorithm, _, obs = exported(case)
    load_onnx()
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 - slow to import

    leaves = dict(zip(input_names(folder), jax.tree.leaves(obs), strict=True))
    (found,) = ReferenceEvaluator(str(folder / "policy.onnx")).run(["action"], leaves)
    assert_alike(found, load(folder)(obs), algorithm)


def test_a_folder_holds_the_listed_files_and_says_how_equal_they_are(exported):
    folder, *_ = exported("sac, numbers")
    assert {path.name for path in folder.iterdir() if path.is_file()} == set(FILES)
    description = json.loads((folder / "policy.json").read_text())
    check = description["check"]
    assert check["observations"] == 1000
    formats = {"numpy", "onnx", GREEDY, SAMPLED}
    assert check["largest_difference"].keys() == formats == check["different_choices"].keys()
    assert 0 < check["largest_difference"]["numpy"] <= check["tolerance"]
    assert description["versions"].keys() >= {"vibe_rl", "jax", "onnx"}
    assert description["onnx_opset"] == 17
    assert not description["env"]["wrappers_are_inside"]


def test_an_encoder_that_cannot_be_written_down_is_refused_by_its_name():
    config = PPOConfig(encoder="attention", hidden_sizes=())
    algorithm = PPO(config, Board(0.0, 1.0, (2, 2, 1)), Discrete(2))
    state = filled(jax.eval_shape(algorithm.init, jax.random.key(0)))
    with pytest.raises(ConfigError, match="encoder attention cannot be exported"):
        network_of(algorithm, state)
