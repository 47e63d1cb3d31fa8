"""Policies and values: the right distribution, actions within bounds, masks, shared encoders."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vibe_rl.errors import ConfigError
from vibe_rl.networks import Encoder
from vibe_rl.networks.actor_critic import ActorCritic, PolicyHead, choices, rescale, to_unit
from vibe_rl.networks.distributions import Categorical, MultiCategorical, Normal, TanhNormal
from vibe_rl.spaces import Box, Dict, Discrete, Image, Masked, MultiBinary, MultiDiscrete
from vibe_rl.types import MaskedObs

INF = np.inf
KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 512)
OBS_SPACE = Box(-1.0, 1.0, (3,))
BOUNDED = Box([-2.0, 0.0], [2.0, 10.0])
UNBOUNDED = Box(-INF, INF, (2,))
MIXED = Box([-1.0, -INF, 0.0, -INF], [3.0, INF, INF, 0.0])
ACTION_SPACES = [Discrete(5), MultiDiscrete((2, 3)), MultiBinary(4), BOUNDED, UNBOUNDED, MIXED]


make_head = jax.jit(PolicyHead, static_argnums=(1, 2, 3))


def filled(make, scale=0.5):
    """What `make` returns for a key, with normal numbers in it, without compiling."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(make, KEY)
    return jax.tree.map(
        lambda x: jnp.asarray(np.asarray(scale * rng.normal(size=x.shape), x.dtype)), shapes
    )


def head(space, squash=False):
    return filled(lambda key: PolicyHead(key, 3, space, squash))


def make_agent(key, action_space, shared=False, obs_space=OBS_SPACE):
    return ActorCritic(
        key,
        lambda key: Encoder(key, obs_space, (4,)),
        lambda key, width: PolicyHead(key, width, action_space),
        shared,
    )


def agent(*args, **kwargs):
    return filled(lambda key: make_agent(key, *args, **kwargs))


@jax.jit
def act(policy_head, features):
    policy = policy_head(features, None)
    return jax.vmap(lambda key: policy_head.action(policy.sample(key)))(KEYS)


def actions(policy_head, features):
    """The actions of 512 samples, for NumPy to look at."""
    return np.asarray(act(policy_head, jnp.asarray(features, jnp.float32)))


@jax.jit
def policy_at(params, obs):
    return params.policy(obs)


def around_zero(squash, log_std):
    """512 actions of a policy whose mean is the middle of `BOUNDED`."""
    policy_head = filled(lambda key: PolicyHead(key, 3, BOUNDED, squash), scale=0.0)
    spread = jnp.asarray(np.full(2, log_std, np.float32))
    return actions(eqx.tree_at(lambda head: head.log_std, policy_head, spread), [0.0] * 3)


@pytest.mark.parametrize(
    ("space", "squash"),
    [*((space, False) for space in ACTION_SPACES), (BOUNDED, True), (UNBOUNDED, True)],
    ids=str,
)
def test_every_action_is_a_member_of_its_space(space, squash):
    drawn = actions(head(space, squash), [1.0, -2.0, 3.0])
    assert jax.jit(jax.vmap(space.contains))(drawn).all()


@pytest.mark.parametrize("squash", [False, True])
def test_bounded_actions_fill_their_bounds(squash):
    drawn = around_zero(squash, 0.5)
    assert (drawn.min(0) < np.array([-1.8, 0.5])).all()
    assert (drawn.max(0) > np.array([1.8, 9.5])).all()
    np.testing.assert_allclose(drawn.mean(0), [0.0, 5.0], atol=0.5)


def test_clipped_samples_pile_up_at_the_bounds_and_squashed_ones_do_not():
    # P(N(0, 1) > 1) = 0.16 at either bound
    clipped, squashed = (around_zero(squash, 0.0) for squash in (False, True))
    assert 0.1 < (clipped[:, 0] == 2.0).mean() < 0.22
    assert (squashed[:, 0] == 2.0).mean() < 0.01


@pytest.mark.parametrize(
    ("unit", "expected"),
    # -2 .. 2 and 0 .. 10 in the middle, at the ends, half way up and beyond
    [
        ([0.0, 0.0], [0.0, 5.0]),
        ([-1.0, 1.0], [-2.0, 10.0]),
        ([0.5, 0.5], [1.0, 7.5]),
        ([-3.0, 3.0], [-2.0, 10.0]),
    ],
)
def test_unit_actions_are_scaled_to_the_bounds(unit, expected):
    np.testing.assert_allclose(rescale(BOUNDED, jnp.array(unit)), expected)


def test_entries_without_bounds_pass_unscaled_and_those_with_one_lie_on_its_side():
    # 0.5 in -1 .. 3 is 2; no bounds: 7; above 0: log(1 + e^-7); below 0: -log(1 + e^7)
    unit = jnp.array([0.5, 7.0, -7.0, -7.0])
    expected = [2.0, 7.0, np.log1p(np.exp(-7.0)), -np.log1p(np.exp(7.0))]
    np.testing.assert_allclose(rescale(MIXED, unit), expected, rtol=1e-5)


@pytest.mark.parametrize("space", [Box(20.0, np.inf, (1,)), Box(-np.inf, 20.0, (1,))])
def test_a_policy_over_a_single_bound_can_say_anything_beyond_it(space):
    said = jax.vmap(partial(rescale, space))(jnp.linspace(-5.0, 5.0, 11)[:, None])
    assert jnp.all(jnp.diff(said.ravel()) > 0.0)
    assert np.all((np.asarray(said) > space.low) & (np.asarray(said) < space.high))


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 3, jnp.int32),
        (-1, 1, jnp.int32),
        (-3, -1, jnp.int8),
        (-128, 127, jnp.int8),
        (0, 1, jnp.uint8),
        (0, 255, jnp.uint8),
    ],
)
def test_every_integer_of_a_box_is_as_likely(low, high, dtype):
    space, n = Box(low, high, (1,), dtype), high - low + 1
    unit = (2.0 * (jnp.arange(100 * n) + 0.5) / (100 * n) - 1.0)[:, None]
    acted = jax.vmap(head(space).action)(unit)
    assert acted.dtype == dtype
    numbers, counts = np.unique(acted, return_counts=True)
    np.testing.assert_array_equal(numbers, np.arange(low, high + 1))
    np.testing.assert_allclose(counts, 100, atol=1)
    again = jax.vmap(partial(rescale, space))(to_unit(space, jnp.asarray(numbers)[:, None]))
    np.testing.assert_array_equal(again[:, 0], numbers)


def test_an_entry_of_one_possible_value_is_that_value_and_no_nan():
    space = Box([2.0, -1.0], [2.0, 1.0])
    np.testing.assert_allclose(rescale(space, jnp.array([0.7, 0.5])), [2.0, 0.5])
    np.testing.assert_allclose(to_unit(space, jnp.array([2.0, 0.5])), [0.0, 0.5])


def test_unbounded_actions_are_the_samples_themselves():
    sample = jnp.array([123.5, -0.25])
    np.testing.assert_allclose(head(UNBOUNDED).action(sample), sample, rtol=1e-6)


def test_huge_bounds_make_no_nan():
    scaled = rescale(Box(-3e38, 3e38, (3,)), jnp.array([-1.0, 0.0, 1.0]))
    np.testing.assert_allclose(scaled, [-3e38, 0.0, 3e38])


def test_squashed_samples_pass_through_tanh():
    # tanh(0.5493) = 0.5 -> 1 in -2 .. 2; tanh(0) = 0 -> 5 in 0 .. 10
    action = head(BOUNDED, squash=True).action(jnp.array([0.54930614, 0.0]))
    np.testing.assert_allclose(action, [1.0, 5.0], rtol=1e-6)


def test_integer_actions_of_a_box_have_its_dtype():
    space = Box(0, 10, (2,), jnp.int32)
    action = head(space).action(jnp.array([-0.6, 0.6]))  # -1 .. 1 to -0.5 .. 10.5: 1.7 and 8.3
    assert action.dtype == jnp.int32
    np.testing.assert_array_equal(action, [2, 8])


@pytest.mark.parametrize(
    ("space", "kind", "n_out"),
    [
        (Discrete(5), Categorical, 5),
        (MultiDiscrete((2, 3)), MultiCategorical, 5),
        (MultiBinary(4), MultiCategorical, 8),
        (BOUNDED, Normal, 2),
    ],
)
def test_each_space_gets_its_distribution(space, kind, n_out):
    policy_head = head(space)
    assert policy_head.linear.bias.shape == (n_out,)
    assert isinstance(policy_head(jnp.ones(3), None), kind)


def test_squashing_makes_a_tanh_normal():
    assert isinstance(head(BOUNDED, squash=True)(jnp.ones(3), None), TanhNormal)


def test_each_choice_gets_its_own_logits():
    policy_head = head(MultiDiscrete((2, 3)))
    features = jnp.array([1.0, -2.0, 3.0])
    logits = np.asarray(policy_head.linear(features))
    first, second = policy_head(features, None).choices
    np.testing.assert_array_equal(first.logits, logits[:2])
    np.testing.assert_array_equal(second.logits, logits[2:])


@pytest.mark.parametrize("log_std", [0.0, -1.5])
def test_the_spread_starts_where_the_config_says_and_only_continuous_policies_have_one(log_std):
    np.testing.assert_array_equal(make_head(KEY, 3, BOUNDED, False, log_std).log_std, log_std)
    assert make_head(KEY, 3, Discrete(5), False, log_std).log_std is None


def test_a_fresh_policy_is_nearly_uniform():
    # outputs of order 0.01 at features of length 1: ln 5 to second order
    policy_head = make_head(KEY, 3, Discrete(5), False, 0.0)
    np.testing.assert_allclose(jnp.linalg.norm(policy_head.linear.weight), 0.01 * 3**0.5, rtol=1e-5)
    entropy = policy_head(jnp.array([0.6, 0.0, 0.8]), None).entropy()
    np.testing.assert_allclose(entropy, np.log(5), atol=1e-4)


def test_a_masked_policy_samples_only_what_is_legal():
    legal = jnp.array([False, True, False, True, False])
    policy_head = head(Discrete(5))
    policy = policy_head(jnp.ones(3), MaskedObs(jnp.ones(3), legal))
    drawn = jax.jit(jax.vmap(policy.sample))(KEYS)
    assert set(np.unique(drawn)) == {1, 3}
    assert 0.0 < policy.entropy() <= np.log(2)
    assert legal[policy.mode()]


def test_a_mask_covers_several_choices_one_after_another():
    # 2 + 3 options: the first choice must be 1, the second 0 or 2
    legal = jnp.array([False, True, True, False, True])
    policy = head(MultiDiscrete((2, 3)))(jnp.ones(3), MaskedObs(jnp.ones(3), legal))
    drawn = np.asarray(jax.jit(jax.vmap(policy.sample))(KEYS))
    assert (drawn[:, 0] == 1).all()
    assert set(drawn[:, 1]) == {0, 2}


@pytest.mark.parametrize(
    ("space", "options"),
    [
        (Discrete(5), (5,)),
        (MultiDiscrete((2, 3)), (2, 3)),
        (MultiBinary(3), (2, 2, 2)),
        (BOUNDED, ()),
    ],
)
def test_the_options_of_each_choice_are_known(space, options):
    assert choices(space) == options


@pytest.mark.parametrize(
    "space", [Box(-1.0, 1.0, (2, 2)), Box(-1.0, 1.0, ()), Image(2, 2, 1), Dict({"a": Discrete(2)})]
)
def test_an_unsupported_action_space_is_refused(space):
    message = f"action space {type(space).__name__}.* is not supported: use Discrete, Multi"
    with pytest.raises(ConfigError, match=message):
        choices(space)
    with pytest.raises(ConfigError, match=message):
        head(space)


def test_a_fresh_actor_critic_holds_nothing_but_arrays():
    leaves = jax.tree.leaves(make_agent(KEY, BOUNDED))  # not jitted: that would hide plain numbers
    assert len(leaves) == 9  # weight and bias of two encoders and two heads, and log_std
    assert all(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float32 for leaf in leaves)


def numbers(network):
    return sum(leaf.size for leaf in jax.tree.leaves(network))


def test_a_shared_backbone_has_fewer_parameters():
    # encoder 3 * 4 + 4 = 16, policy head 4 * 5 + 5 = 25, value head 4 + 1 = 5
    assert numbers(agent(Discrete(5), shared=False)) == 2 * 16 + 25 + 5
    assert numbers(agent(Discrete(5), shared=True)) == 16 + 25 + 5


@pytest.mark.parametrize("shared", [False, True])
def test_the_critic_moves_the_actor_only_through_a_shared_backbone(shared):
    params, obs = agent(Discrete(5), shared), jnp.array([0.1, -0.2, 0.3])
    grads = jax.jit(jax.grad(lambda params: params.value(obs)))(params)
    moved = any(np.any(leaf) for leaf in jax.tree.leaves(grads.actor))
    assert moved == shared
    np.testing.assert_array_equal(grads.policy_head.linear.weight, 0.0)
    assert np.any(grads.value_head.weight)


def test_policy_and_value_are_the_heads_on_their_encoders():
    params, obs = agent(Discrete(5)), jnp.array([0.1, -0.2, 0.3])
    expected = params.value_head(params.critic(obs))[0]
    np.testing.assert_allclose(params.value(obs), expected)
    assert params.value(obs).shape == ()
    np.testing.assert_allclose(
        params.policy(obs).logits, params.policy_head.linear(params.actor(obs))
    )


@pytest.mark.parametrize("shared", [False, True])
def test_compilation_and_vmap_change_neither_policy_nor_value(shared):
    params = agent(BOUNDED, shared)
    obs = jax.vmap(OBS_SPACE.sample)(KEYS[:3])

    def both(params, obs):
        return params.policy(obs).mean, params.value(obs)

    means, values = jax.jit(jax.vmap(both, in_axes=(None, 0)))(params, obs)
    for i in range(3):
        mean, value = both(params, obs[i])
        np.testing.assert_allclose(means[i], mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(values[i], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_policy_and_value_together_are_those_apart_and_a_shared_encoder_is_passed_once(shared):
    params, obs = agent(Discrete(5), shared), jnp.array([0.1, -0.2, 0.3])
    policy, value = params.policy_and_value(obs)
    np.testing.assert_array_equal(policy.logits, params.policy(obs).logits)
    np.testing.assert_array_equal(value, params.value(obs))
    both = str(jax.make_jaxpr(lambda p: p.policy_and_value(obs))(params))
    assert both.count("dot_general") == (3 if shared else 4)  # two heads, one encoder or two


def test_actor_and_critic_start_apart_and_differ_by_seed():
    agents = jax.jit(jax.vmap(lambda key: make_agent(key, Discrete(5))))(KEYS[:2])
    weights = agents.actor.mlp.layers[0].weight, agents.critic.mlp.layers[0].weight
    actor, critic = map(np.asarray, weights)
    assert np.abs(actor - critic).max() > 0.1
    assert np.abs(actor[0] - actor[1]).max() > 0.1


def test_the_policy_sees_the_view_and_the_mask_of_a_masked_observation():
    params = agent(Discrete(3), obs_space=Masked(OBS_SPACE, 3))
    legal = jnp.array([True, False, True])
    policy = params.policy(MaskedObs(jnp.ones(3), legal))
    np.testing.assert_array_equal(jax.nn.softmax(policy.logits)[1], 0.0)
    other_view = params.policy(MaskedObs(-jnp.ones(3), legal))
    assert (policy.logits[legal] != other_view.logits[legal]).any()
