"""Loading policies: what belongs together, what is observed, what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exported import CASES, agent_of
from vibe_rl.checkpoint.spaces import from_plain, to_plain
from vibe_rl.errors import ConfigError
from vibe_rl.networks.layers import ACTIVATIONS
from vibe_rl.policies import export, load, numpy_runner
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked, MultiBinary, Space
from vibe_rl.types import MaskedObs

MASKED = "ppo, masked choices of many"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    algorithm, state, env = agent_of("ppo, choices")
    path = tmp_path_factory.mktemp("loading") / "p"
    return export(algorithm, state, env, env.default_params(), path, without=("onnx", "stablehlo"))


@pytest.fixture
def copied(folder, tmp_path):
    """A copy that may be spoiled, and a function that changes its description."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def change(**fields):
        path = tmp_path / "policy.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return tmp_path, change


def assert_refused(path, message, **how):
    with pytest.raises(ConfigError, match=message) as refused:
        load(path, **how)
    assert len(str(refused.value).splitlines()) == 1


def test_a_future_format_is_refused(copied):
    path, change = copied
    change(format=2)
    assert_refused(path, r"^the policy has format 2 and this version reads 1: use the version that")


def test_files_that_do_not_belong_together_are_refused(copied):
    path, _ = copied
    with np.load(path / "params.npz") as params:
        np.savez(path / "params.npz", **{name: x + 1 for name, x in params.items()})
    assert_refused(
        path, r"params\.npz is not the file of its policy\.json: copy the folder anew\.$"
    )
    (path / "params.npz").unlink()
    assert_refused(path, r"params\.npz is not the file of its policy\.json")


@pytest.mark.parametrize("text", ["", "[]", '{"format"', "{}"])
def test_a_description_that_is_damaged_is_refused(text, copied):
    path, _ = copied
    (path / "policy.json").write_text(text)
    assert_refused(path, r"is not valid JSON: copy the folder anew|has format None")


def test_what_is_no_policy_is_refused(tmp_path):
    assert_refused(
        tmp_path, r"is no policy: name a folder with policy\.json in it, a run directory"
    )
    assert_refused(tmp_path / "nowhere", r"nowhere is no policy")


def test_a_folder_has_no_best(folder):
    assert_refused(folder, r"^best True: .* is no run directory, leave it out\.$", best=True)


def test_other_spaces_are_refused(folder):
    same = {"obs_space": Box(-1.0, 1.0, (3,)), "action_space": Discrete(3)}
    assert load(folder, **same).action_space == Discrete(3)
    observes = r"observes Box\(-1, 1, \(3,\), float32\), not Box\(-1, 1, \(4,\), float32\): give it"
    assert_refused(folder, observes, obs_space=Box(-1.0, 1.0, (4,)))
    assert_refused(folder, r"acts in Discrete\(3\), not Discrete\(2\)", action_space=Discrete(2))


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (np.zeros(4, np.float32), r"^obs of shape \(4,\): give \(3,\), or a batch of it\.$"),
        (np.zeros((2, 2, 3), np.float32), r"^obs of shape \(2, 2, 3\): give \(3,\), or a batch"),
        (np.zeros(3, complex), r"^obs of type complex128: give float32\.$"),
        ({"a": 1}, r"^obs of shape \(\): give \(3,\)"),
    ],
)
def test_an_observation_of_another_shape_or_type_is_refused(obs, message, folder):
    with pytest.raises(ConfigError, match=message):
        load(folder)(obs)


def test_a_policy_without_stablehlo_is_not_sampled(folder):
    with pytest.raises(ConfigError, match="its folder has no StableHLO: call it instead"):
        load(folder).sample(np.zeros(3, np.float32), jax.random.key(0))


def test_parts_of_observations_that_do_not_fit_are_refused(tmp_path):
    algorithm, state, env = agent_of(MASKED)
    path = export(
        algorithm, state, env, env.default_params(), tmp_path / "p", without=("onnx", "stablehlo")
    )
    policy, obs = load(path), env.first(jax.random.key(0))
    view, legal = jax.tree.map(np.asarray, tuple(obs))
    assert policy(obs).shape == policy((view, legal)).shape == (2,)
    assert policy({"view": view, "legal": legal}).tolist() == policy(obs).tolist()
    batch = MaskedObs(view, np.stack([legal, legal]))
    for wrong, message in (
        (view, r"an observation that is a dict: give the tuple \(view, legal\)\.$"),
        (MaskedObs({"p": view["p"]}, legal), r"give a dictionary that has 'in'\.$"),
        (MaskedObs(view, legal[:3]), r"^obs\.legal of shape \(3,\): give \(5,\)"),
        (MaskedObs(view, legal.astype(int)), r"^obs\.legal of type int64: give bool\.$"),
        (batch, r"give one observation of shapes .* or a batch of them with a first axis\.$"),
    ):
        with pytest.raises(ConfigError, match=message):
            policy(wrong)


@pytest.mark.parametrize("case", CASES)
def test_spaces_survive_json(case):
    *_, obs_space, action_space = CASES[case]
    for space in (obs_space, action_space, Image(3, 4, 1), MultiBinary(3)):
        text = json.dumps(to_plain(space), allow_nan=False)
        again = from_plain(json.loads(text))
        assert json.dumps(to_plain(again)) == text
        assert repr(again) == repr(space)
        assert jax.eval_shape(again.sample, jax.random.key(0)) == jax.eval_shape(
            space.sample, jax.random.key(0)
        )


def test_spaces_that_json_cannot_hold_are_refused():
    class Sphere(Space):
        sample = contains = None  # type: ignore[assignment]

    with pytest.raises(ConfigError, match=r"cannot be written down: use one of vibe_rl\.spaces"):
        to_plain(Dict({"a": Sphere()}))
    with pytest.raises(ConfigError, match=r"^space 'Sphere' does not exist: export the policy"):
        from_plain({"space": "Masked", "view": {"space": "Sphere"}, "n_actions": 2})
    assert from_plain(to_plain(Masked(Discrete(2), 3))) == Masked(Discrete(2), 3)


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_of_numpy_are_those_of_jax(kind):
    x = np.linspace(-100, 100, 4001, dtype=np.float32)
    found = numpy_runner.activate(x, kind)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ACTIVATIONS[kind](jnp.asarray(x)), rtol=2e-5, atol=2e-6)


def test_softplus_does_not_overflow():
    x = np.array([-1e4, -1.0, 0.0, 1.0, 1e4], np.float32)
    expected = [0.0, np.log1p(np.exp(-1.0)), np.log(2.0), np.log1p(np.exp(1.0)), 1e4]
    np.testing.assert_allclose(numpy_runner.softplus(x), expected, rtol=1e-6)


def test_many_pictures_are_convolved_in_pieces_to_the_same_numbers():
    rng = np.random.default_rng(0)
    n = 2 * numpy_runner.AT_ONCE + 3
    x, kernel = rng.normal(size=(n, 6, 7, 2)), rng.normal(size=(3, 3, 2, 4))
    found = numpy_runner.convolve(x, kernel, 2)
    # by hand: rows 0, 2 of 4 and columns 0, 2, 4 of 5 fit
    assert found.shape == (n, 2, 3, 4)
    window = x[n - 1, 2:5, 4:7]
    assert found[n - 1, 1, 2, 3] == pytest.approx((window * kernel[..., 3]).sum())
    assert numpy_runner.convolve(x[:0], kernel, 2).shape == (0, 2, 3, 4)


def test_choices_out_of_range_are_no_choice():
    found = numpy_runner.one_hot(np.array([[1, -1], [5, 0]]), (2, 3))
    assert found.tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
