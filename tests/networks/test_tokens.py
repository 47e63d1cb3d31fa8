"""Encoders of tokens: what is missing has no part in them, near is near, gates begin at nothing."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from exported import filled
from vibe_rl.algorithms import DQN, PPO, SAC, DQNConfig, PPOConfig, SACConfig
from vibe_rl.algorithms.base import Setup
from vibe_rl.checkpoint.spaces import from_plain, to_plain
from vibe_rl.errors import ConfigError
from vibe_rl.networks import Encoder
from vibe_rl.networks.attention import KeysAndValues, attend
from vibe_rl.networks.encoder import ENCODERS, OF_TOKENS
from vibe_rl.networks.neighbours import nearest_neighbours
from vibe_rl.networks.token_fields import TokenFields
from vibe_rl.networks.tokens import TokenGroup, mean_of
from vibe_rl.policies.network import network_of
from vibe_rl.spaces import Board, Box, Dict, Discrete, Flat, Tokens

KEY = jax.random.key(0)
SMALL = {"token_hidden_sizes": (6,), "token_width": 8, "n_latents": 3, "latent_width": 10}
SMALL |= {"head_width": 4, "n_neighbours": 2, "token_layers": 2}
PARTS = {
    "others": Tokens(-1.0, 1.0, (4, 2, 4), agents=True),
    "map": Tokens(-1.0, 1.0, (5, 3)),
    "speed": Box(0.0, 1.0, (2,)),
    "route": Box(-1.0, 1.0, (3, 2)),
}
SPACE = Dict(PARTS)
MAP, OTHERS = [1, 2, 4], [0, 1, 3]
"""The rows that an observation has, where some are missing."""
KINDS = {
    **{name: (name, {}) for name in ("lq", "lqh", "mtr", "wayformer")},
    "embedded": ("embedded", {}),
    "wayformer, early": ("wayformer", {"fusion": "early"}),
    "wayformer, hierarchical": ("wayformer", {"fusion": "hierarchical"}),
}
ALL_PARTS = ["lq", "lqh", "mtr", "wayformer, hierarchical"]
every_kind = pytest.mark.parametrize("kind", ALL_PARTS)
embedded_too = pytest.mark.parametrize("kind", [*ALL_PARTS, "embedded"])


def encoder(kind, space=SPACE, hidden_sizes=(), **changes):
    """One with random numbers for parameters, gates too."""
    name, fields = KINDS[kind]
    fields = TokenFields(**(SMALL | fields | changes))
    make = partial(Encoder, space=space, hidden_sizes=hidden_sizes, look=(name, 1), fields=fields)
    return random_numbers(jax.eval_shape(make, KEY))


def random_numbers(shapes):
    rng = np.random.default_rng(0)
    draw = lambda x: jnp.asarray(0.5 * rng.normal(size=x.shape), jnp.float32)  # noqa: E731
    return jax.tree.map(draw, shapes)


def observation(seed=0, missing=("others", "map")):
    """Random rows; of those named some are missing, one agent at one time only."""
    rng = np.random.default_rng(seed)
    obs = {name: rng.uniform(-1, 1, space.shape).astype(np.float32) for name, space in SPACE.items}
    for name in ("others", "map"):
        obs[name][..., -1] = 1.0
    if "others" in missing:
        obs["others"][2, :, -1] = obs["others"][1, 0, -1] = 0.0
    if "map" in missing:
        obs["map"][[0, 3], -1] = 0.0
    return obs


features = jax.jit(lambda network, obs: network(obs))


@embedded_too
def test_what_a_missing_row_holds_changes_nothing_bit_for_bit(kind):
    network, obs = encoder(kind), observation()
    before = np.asarray(features(network, obs))
    for rubbish in (7.0, -1e30, np.nan, np.inf):
        changed = {name: x.copy() for name, x in obs.items()}
        for name in ("others", "map"):
            gone = changed[name][..., -1] == 0.0
            changed[name][..., :-1][gone] = rubbish
        np.testing.assert_array_equal(features(network, changed), before)
    obs["map"][1, 0] += 0.5  # which is there
    assert np.abs(features(network, obs) - before).max() > 1e-6


def with_places(network, i, rows):
    """The network in which the places of the i-th set are these ones of its own."""
    place = lambda n: n.over_sets.embed[i].place  # noqa: E731
    return eqx.tree_at(place, network, place(network)[np.array(rows)])


@every_kind
def test_a_missing_row_is_as_if_there_were_no_such_place(kind):
    obs = observation()
    smaller = Dict(
        PARTS
        | {
            "map": Tokens(-1.0, 1.0, (3, 3)),
            "others": Tokens(-1.0, 1.0, (3, 2, 4), agents=True),
        }
    )
    whole, rest = encoder(kind), obs | {"map": obs["map"][MAP], "others": obs["others"][OTHERS]}
    network = with_places(with_places(whole, 0, MAP), 1, [0, 1, 2, 3, 6, 7])  # two times each
    same = jax.tree.unflatten(jax.tree.structure(encoder(kind, smaller)), jax.tree.leaves(network))
    expected = np.asarray(features(same, rest))
    np.testing.assert_allclose(features(whole, obs), expected, rtol=1e-4, atol=1e-5)


@every_kind
def test_rows_may_change_places_if_their_vectors_of_places_go_with_them(kind):
    network, obs, order = encoder(kind), observation(), [3, 1, 0, 4, 2]
    turned, before = obs | {"map": obs["map"][order]}, np.asarray(features(network, obs))
    moved = features(with_places(network, 0, order), turned)
    np.testing.assert_allclose(moved, before, rtol=1e-4, atol=1e-5)
    assert np.abs(features(network, turned) - before).max() > 1e-4


@embedded_too
def test_gradients_reach_every_parameter_and_stay_finite_where_nothing_is_there(kind):
    network = encoder(kind, hidden_sizes=(5,))
    empty = observation()
    empty["others"][..., -1] = empty["map"][..., -1] = 0.0
    both = jax.tree.map(lambda *x: jnp.stack(x), observation(), observation(1), empty)
    weights = jax.random.normal(KEY, (3, 5))
    loss = lambda n, obs, w: jnp.sum(w * jax.vmap(n)(obs))  # noqa: E731
    slope = jax.jit(jax.grad(loss, argnums=(0, 1)))
    of_all, of_obs = slope(network, both, weights)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((of_all, of_obs)))
    assert [
        jax.tree_util.keystr(p) for p, x in jax.tree.leaves_with_path(of_all) if not x.any()
    ] == []
    of_empty, of_obs = slope(network, both, weights.at[:2].set(0.0))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((of_empty, of_obs)))
    assert not of_obs["map"].any()
    assert of_obs["route"].any()


@every_kind
def test_a_batch_is_seen_as_single_observations_are(kind):
    network, obs = encoder(kind), [observation(i) for i in range(3)]
    single = np.stack([features(network, one) for one in obs])
    together = jax.jit(jax.vmap(network))(jax.tree.map(lambda *x: np.stack(x), *obs))
    np.testing.assert_allclose(together, single, rtol=1e-4, atol=1e-5)


def test_a_flat_observation_has_the_sets_of_its_parts():
    flat, obs = Flat(dict(SPACE.items)), observation()
    network = encoder("lq")
    same = jax.tree.unflatten(jax.tree.structure(encoder("lq", flat)), jax.tree.leaves(network))
    np.testing.assert_array_equal(
        features(same, flat.join(jax.tree.map(jnp.asarray, obs))), features(network, obs)
    )


def test_fresh_gates_are_closed_and_their_gradients_open_them():
    how = {"look": ("lq", 1), "fields": TokenFields(**SMALL)}
    fresh = jax.jit(partial(Encoder, space=SPACE, hidden_sizes=(), **how))
    network, obs = fresh(KEY), [observation(i) for i in range(2)]
    seen = [np.asarray(features(network, one)) for one in obs]
    np.testing.assert_array_equal(seen[0][2:], seen[1][2:])  # past the speed
    weights = jax.random.normal(KEY, (12,))
    slope = jax.jit(jax.grad(lambda n, obs: jnp.sum(weights * n(obs))))(network, obs[0])
    gates = [x for p, x in jax.tree.leaves_with_path(slope) if "gate" in jax.tree_util.keystr(p)]
    assert len(gates) > 3
    assert all(np.any(x) for x in gates)


def test_the_documented_sizes_are_the_defaults():
    # of lq and lqh 16 latents of 128; a token is 64 wide, and mtr's mean of them; the speed is 2
    widths = {}
    for name in ("lq", "lqh", "mtr", "wayformer"):
        make = partial(Encoder, space=SPACE, hidden_sizes=(), look=(name, 1))
        network = jax.eval_shape(make, KEY)
        widths[name] = network.width
        shapes = [x.weight.shape for x in network.over_sets.embed[0].mlp.layers]
        assert shapes == [(3, 256), (256, 256)]
        assert network.over_sets.embed[0].place.shape == (5, 64)
    assert widths == {"lq": 130, "lqh": 130, "mtr": 66, "wayformer": 130}
    lq = jax.eval_shape(partial(Encoder, space=SPACE, hidden_sizes=(), look=("lq", 1)), KEY)
    assert lq.over_sets.latents.shape == (16, 128)
    assert lq.over_sets.cross[0].queries.weight.shape == (128, 2 * 16)
    assert lq.over_sets.rounds == 4


def n_arrays(kind, **changes):
    return len(jax.tree.leaves(encoder(kind, **changes)))


def test_rounds_share_their_weights_and_layers_do_not():
    for kind in ("lq", "lqh"):
        assert n_arrays(kind, token_layers=1) == n_arrays(kind, token_layers=4)
    for kind, default in (("mtr", 4), ("wayformer", 2)):
        assert n_arrays(kind, token_layers=default) == n_arrays(kind, token_layers=None)
        assert n_arrays(kind, token_layers=1) < n_arrays(kind, token_layers=2)
    seen = [features(encoder("lq", token_layers=n), observation()) for n in (1, 2)]
    assert np.abs(seen[0] - seen[1]).max() > 1e-3


def interaction(kind):
    """How far the effects of the map and of the route are from adding up."""
    network, obs, other = encoder(kind), observation(), observation(1)
    see = lambda **parts: np.asarray(features(network, obs | parts))  # noqa: E731
    both = see(map=other["map"], route=other["route"])
    return np.abs(both - see(map=other["map"]) - see(route=other["route"]) + see()).max()


def test_parts_meet_where_the_fusion_says():
    # of late fusion each part has latents of its own, whose mean is the sum of what each says
    assert interaction("wayformer") < 1e-5
    assert interaction("wayformer, early") > 1e-3
    assert interaction("wayformer, hierarchical") > 1e-3


def test_attention_is_the_mean_of_what_is_there_weighted_by_the_keys():
    # d = 1: scores q k are 0, log 3 and one that is missing: weights 1/4, 3/4: 10/4 + 60/4
    keys = jnp.array([0.0, np.log(3.0), 50.0])[:, None, None]
    values = jnp.array([10.0, 20.0, 1e6])[:, None, None]
    there = jnp.array([True, True, False])
    found = attend(jnp.ones((1, 1, 1)), KeysAndValues(keys, values, there))
    np.testing.assert_allclose(found.ravel(), [17.5], rtol=1e-6)
    nothing = attend(jnp.ones((1, 1, 1)), KeysAndValues(keys, values, jnp.zeros(3, bool)))
    np.testing.assert_array_equal(nothing.ravel(), [0.0])


def test_a_mean_is_over_the_tokens_that_are_there():
    group = TokenGroup(jnp.array([[1.0], [3.0], [100.0]]), jnp.array([True, True, False]))
    np.testing.assert_array_equal(mean_of(group), [2.0])
    np.testing.assert_array_equal(mean_of(group._replace(there=jnp.zeros(3, bool))), [0.0])


def test_the_nearest_are_those_at_the_least_distance_that_are_there():
    # things at 0, 1, 3 and 10; from 0.9 the order is 1, 0, 3, 10, and 1 is missing
    seen = TokenGroup(
        jnp.array([[0.0], [1.0], [3.0], [10.0]]), jnp.array([True, False, True, True])
    )
    tokens = jnp.array([[0.9], [8.0]])
    np.testing.assert_array_equal(nearest_neighbours(tokens, seen, 1), [[1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_array_equal(nearest_neighbours(tokens, seen, 2), [[1, 0, 1, 0], [0, 0, 1, 1]])
    for k in (3, 4, 9):
        np.testing.assert_array_equal(nearest_neighbours(tokens, seen, k), [[1, 0, 1, 1]] * 2)


def test_things_attend_to_agents_alone_where_some_are():
    # neither map nor route are agents: what one of them is changes no token but its own
    network, obs = encoder("mtr").over_sets, observation(missing=())
    arrays = lambda obs: [jnp.asarray(obs[name]) for name in ("map", "others", "route")]  # noqa: E731
    other, see = observation(1, missing=()), jax.jit(lambda network, sets: network(sets))

    def by(*names):
        return np.asarray(see(network, arrays(obs | {name: other[name] for name in names})))

    apart = by("map", "route") - by("map") - by("route") + by()
    assert np.abs(apart).max() < 1e-5
    assert np.abs(by("others", "route") - by("others") - by("route") + by()).max() > 1e-4


@pytest.mark.parametrize("name", OF_TOKENS)
def test_an_encoder_of_tokens_refuses_a_space_that_has_none(name):
    with pytest.raises(ConfigError, match=f"encoder {name} needs Tokens, and .* use auto or mlp"):
        Encoder(
            KEY, Dict({"b": Board(0, 1, (2, 2, 1)), "v": Box(0, 1, (2, 2))}), (), look=(name, 1)
        )


def test_the_published_names_are_those_of_the_same_encoders():
    assert OF_TOKENS["perceiver"] is OF_TOKENS["lq"]
    assert OF_TOKENS["mgail"] is OF_TOKENS["lqh"]
    assert ENCODERS["none"] is ENCODERS["mlp"]


@pytest.mark.parametrize("name", ["auto", "mlp", "none"])
def test_encoders_of_any_space_see_tokens_as_the_numbers_they_are(name):
    network = Encoder(KEY, SPACE, (), look=(name, 1))
    obs = observation()
    assert network.width == sum(np.prod(space.shape) for space in PARTS.values())
    expected = np.concatenate([obs[key].ravel() for key, _ in SPACE.items])
    np.testing.assert_array_equal(features(network, obs), expected)


def test_embedded_parts_are_end_to_end_and_see_only_themselves():
    network, obs = encoder("embedded"), observation()
    before = np.asarray(features(network, obs))
    assert before.shape == (2 + 3 * SMALL["token_width"],)  # what is no set, and three sets
    obs["map"][1, 0] += 0.5
    assert np.count_nonzero(features(network, obs) != before) <= SMALL["token_width"]


def test_widths_of_dense_layers_are_at_least_one():
    with pytest.raises(ConfigError, match=r"token_hidden_sizes \(0,\): give widths of at least 1"):
        encoder("lq", token_hidden_sizes=(0,))


@pytest.mark.parametrize(
    ("shape", "remedy"), [((3,), "give rows"), ((3, 1), "give rows"), ((2, 2, 2, 2), "give rows")]
)
def test_tokens_are_rows_of_several_features(shape, remedy):
    with pytest.raises(ConfigError, match=rf"Tokens of shape \({shape[0]},.*{remedy}"):
        Tokens(0.0, 1.0, shape)


def test_tokens_are_written_down_and_read_back():
    for space in (SPACE, Flat({"t": Tokens([0.0, -1.0], 1.0, (3, 2))})):
        assert from_plain(to_plain(space)) == space
    assert from_plain(to_plain(PARTS["others"])).agents
    assert not from_plain(to_plain(PARTS["map"])).agents


greedy = jax.jit(lambda algorithm, *args: algorithm.greedy(*args))
SETUP = Setup(1000, 4, 1, 100, 64, "device")
TINY = SMALL | {"hidden_sizes": (4,)}


@pytest.mark.parametrize("name", ["lq", "mtr"])
@pytest.mark.parametrize(
    ("kind", "config", "actions", "changes"),
    [
        (PPO, PPOConfig, Box(-1, 1, (2,)), {}),
        (DQN, DQNConfig, Discrete(3), {}),
        (SAC, SACConfig, Box(-1, 1, (2,)), {"batch_size": 64}),
    ],
)
def test_every_algorithm_sees_with_them_and_export_refuses_them_by_name(
    name, kind, config, actions, changes
):
    algorithm = kind.from_config(config(encoder=name, **TINY, **changes), SPACE, actions, SETUP)
    algorithm.check(config().num_envs if kind is PPO else SETUP.num_envs)
    state = filled(jax.eval_shape(algorithm.init, KEY))
    assert np.isfinite(greedy(algorithm, state, observation())).all()
    with pytest.raises(ConfigError, match=f"encoder {name} cannot be exported: use another"):
        network_of(algorithm, algorithm.portable(state))


def test_sets_are_not_standardised():
    algorithm = PPO(PPOConfig(encoder="lq", normalize_obs=True), SPACE, Discrete(2))
    with pytest.raises(ConfigError, match="encoder lq reads boards and sets as they are"):
        algorithm.check(4)
