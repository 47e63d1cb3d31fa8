"""`PPOAgent` and `CartPoleWrapper` on their own: acting, saving, stepping."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_trainer import small_agent, small_trainer

from compiling import as_users_do
from vibe_rl.errors import ConfigError
from vibe_rl.trainers import ActorNetwork, CartPoleWrapper, CriticNetwork, PPOAgent, PPONetwork
from vibe_rl.trainers.ppo_trainer import evaluate_action, get_entropy
from vibe_rl.trainers.ppo_trainer.agent import first_state

OBS = jnp.array([0.01, -0.02, 0.03, 0.04])


def test_an_agent_has_the_parts_that_seed_002_names():
    agent = small_agent()
    assert isinstance(agent.network, PPONetwork)
    assert agent.network is agent.network_params
    assert isinstance(agent.actor, ActorNetwork)
    assert isinstance(agent.critic, CriticNetwork)
    logits, value = agent.actor(OBS), agent.critic(OBS)
    assert logits.shape == (2,)
    assert value.shape == ()
    np.testing.assert_allclose(agent.network.policy(OBS).logits, logits)
    assert agent.network.value(OBS) == value


def test_the_optimizer_is_the_one_that_its_state_is_of():
    agent = small_agent()
    fresh = agent.optimizer.init(agent.network_params)
    assert jax.tree.structure(fresh) == jax.tree.structure(agent.optimizer_state)


def test_an_action_is_drawn_with_its_log_probability_and_value():
    agent = small_agent()
    action, log_prob, extras = agent.select_action(agent.network, OBS, jax.random.PRNGKey(0))
    logits = agent.network.policy(agent_view(agent, OBS)).logits
    np.testing.assert_allclose(log_prob, evaluate_action(logits, action), rtol=1e-6)
    assert set(extras) == {"value"}
    assert int(action) in (0, 1)
    assert agent.act_greedy(agent.network, OBS) == jnp.argmax(logits)


def agent_view(agent, obs):
    stats = agent.observation_stats
    return jnp.clip((obs - stats["mean"]) / jnp.sqrt(stats["var"] + 1e-8), -10, 10)


def test_entropy_of_two_equal_choices_is_ln_2():
    np.testing.assert_allclose(get_entropy(jnp.zeros(2)), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(evaluate_action(jnp.zeros(2), jnp.int32(1)), -np.log(2), rtol=1e-6)


def test_a_saved_agent_is_loaded_bit_for_bit_without_pickle(tmp_path):
    agent = small_agent(key=jax.random.key(3), target_kl=0.02)
    folder = agent.save(tmp_path / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["agent.json", "agent.npz"]
    loaded = PPOAgent.load(folder)
    assert loaded.config == agent.config
    jax.tree.map(np.testing.assert_array_equal, loaded.state, agent.state)
    with np.load(folder / "agent.npz", allow_pickle=False) as arrays:
        assert "params.policy_head.linear.weight" in arrays.files
    with pytest.raises(ConfigError, match="holds an agent already: name another folder"):
        agent.save(folder)


def test_what_is_no_saved_agent_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="is no saved agent: name a folder of save"):
        PPOAgent.load(tmp_path)
    folder = small_agent().save(tmp_path / "model")
    about = json.loads((folder / "agent.json").read_text())
    (folder / "agent.json").write_text(json.dumps({**about, "version": 2}))
    with pytest.raises(ConfigError, match="upgrade vibe_rl, or save it again"):
        PPOAgent.load(folder)
    about["config"]["more"]["hidden_sizes"] = [9]
    (folder / "agent.json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match=r"agent.npz is not of agent.json"):
        PPOAgent.load(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 128}, "batch_size 128: an update learns from whole episodes"),
        ({"lr": 1e-3}, "PPOAgent lr: give learning_rate."),
        ({"vf_coef": 1.0}, "PPOAgent vf_coef: give value_coef."),
        ({"num_envs": 2}, "PPOAgent num_envs: give num_envs of PPOTrainer."),
        ({"learning_rat": 1e-3}, "unknown argument of PPOAgent 'learning_rat': did you mean"),
        ({"gamma": 1.5}, "PPOAgent gamma 1.5: give a number from 0 to 1."),
        ({"minibatch_size": 1}, "PPOAgent minibatch_size 1: give at least 2."),
    ],
)
def test_arguments_that_would_do_nothing_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        PPOAgent(4, 2, **arguments)


@pytest.mark.parametrize("arguments", [{}, {"minibatch_size": 32, "batch_size": 32}])
def test_a_batch_size_that_says_nothing_new_is_taken(arguments):
    assert PPOAgent(4, 2, **arguments).config.observation_dim == 4


def test_the_wrapper_steps_as_gymnasium_does():
    env = CartPoleWrapper(max_episode_steps=3)
    obs, info = env.reset(seed=0)
    assert obs.shape == (4,)
    assert info == {}
    ends = []
    for _ in range(3):
        obs, reward, terminated, truncated, info = env.step(1)
        assert isinstance(reward, float)
        ends.append((terminated, truncated))
    assert ends == [(False, False), (False, False), (False, True)]
    again, _ = env.reset(seed=0)
    np.testing.assert_array_equal(again, env.reset(seed=0)[0])
    assert not np.array_equal(again, env.reset()[0])
    assert (env.observation_dim, env.action_dim) == (4, 2)
    env.close()
    with pytest.raises(ConfigError, match="step of CartPoleWrapper comes before reset"):
        env.step(0)


def test_the_wrapper_standardises_by_what_it_is_given():
    env = CartPoleWrapper()
    raw, _ = env.reset(seed=1)
    assert env.get_observation_stats() is None
    env.set_normalization_stats({"count": 9, "mean": raw, "var": np.full(4, 4.0)})
    np.testing.assert_allclose(env.reset(seed=1)[0], np.zeros(4), atol=1e-6)
    assert env.get_observation_stats()["count"] == 9
    with pytest.raises(ConfigError, match="stats have no var: give count, mean, var"):
        env.set_normalization_stats({"count": 9, "mean": raw})
    env.set_normalization_stats(None)
    np.testing.assert_array_equal(env.reset(seed=1)[0], raw)


def test_the_wrapper_draws_and_films(tmp_path):
    env = CartPoleWrapper(render_mode="rgb_array", max_episode_steps=5)
    env.reset(seed=0)
    assert env.render().ndim == 3
    path = env.record_episode_gif(small_agent(), tmp_path / "films" / "one.gif")
    assert path.read_bytes().startswith(b"GIF89a")
    assert env.get_recorded_gifs() == [path]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: CartPoleWrapper(render_mode="human"), "render_mode 'human': no window is opened"),
        (
            lambda: CartPoleWrapper(max_episode_steps=0),
            "max_episode_steps 0: give at least 1.",
        ),
        (lambda: CartPoleWrapper().render(), "render_mode None draws nothing"),
    ],
)
def test_what_the_wrapper_cannot_do_is_refused_in_one_sentence(act, message):
    with pytest.raises(ConfigError, match=message):
        act()
    env = CartPoleWrapper()
    env.reset()
    for action in (2, "a", np.zeros(2)):
        with as_users_do(), pytest.raises(ConfigError, match=r"action .*: give one of 0 to 1"):
            env.step(action)
    for seed in (-1, 2**64):
        with pytest.raises(ConfigError, match=r"seed .*: give a whole number from 0 to"):
            env.reset(seed=seed)
    assert not np.array_equal(env.reset(seed=3)[0], env.reset(seed=2**32 + 3)[0])


def test_arrays_are_told_apart_by_their_names(tmp_path):
    agent = small_agent(key=jax.random.key(3))
    folder = agent.save(tmp_path / "model")
    with np.load(folder / "agent.npz") as file:
        arrays = {name: file[name] for name in reversed(file.files)}
    np.savez(folder / "agent.npz", **arrays)
    jax.tree.map(np.testing.assert_array_equal, PPOAgent.load(folder).state, agent.state)


@pytest.mark.parametrize("content", [None, b"junk"])
def test_damaged_files_are_refused_in_one_sentence(tmp_path, content):
    folder = small_agent().save(tmp_path / "model")
    (folder / "agent.npz").unlink()
    if content:
        (folder / "agent.npz").write_bytes(content)
    with pytest.raises(
        ConfigError, match=r"agent\.npz is missing or damaged: save the agent again"
    ):
        PPOAgent.load(folder)
    (folder / "agent.json").write_text("[]")
    with pytest.raises(ConfigError, match="is no saved agent"):
        PPOAgent.load(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        small_agent().save(tmp_path / "file")


def test_a_number_is_no_key():
    with as_users_do(), pytest.raises(ConfigError, match="key 42: give one key, such as"):
        PPOAgent(4, 2, key=42)


def test_an_agent_trained_on_raw_observations_forgets_its_statistics(tmp_path):
    agent = small_agent()
    small_trainer(tmp_path, agent=agent, max_episodes=3).train()
    assert agent.observation_stats["count"] > 0
    raw = CartPoleWrapper(normalize_observations=False)
    small_trainer(tmp_path, agent=agent, env=raw, max_episodes=3).train()
    assert agent.observation_stats["count"] == 0
    np.testing.assert_allclose(agent.actor(OBS), agent.actor(agent_view(agent, OBS)), atol=1e-6)


def test_agents_of_equal_shapes_begin_by_one_program():
    PPOAgent(observation_dim=4, action_dim=2)
    compiled = first_state._cache_size()
    other = PPOAgent(4, 2, learning_rate=0.1, gamma=0.5, key=jax.random.PRNGKey(1))
    assert first_state._cache_size() == compiled
    alone = jax.jit(other.algorithm.init)(jax.random.key(1))
    assert all(
        map(np.array_equal, jax.tree.leaves(other.state.params), jax.tree.leaves(alone.params))
    )


def test_hidden_is_another_name_of_the_sizes_and_what_has_none_here_names_what_does():
    assert PPOAgent(4, 2, hidden=(8,)).config == PPOAgent(4, 2, hidden_sizes=(8,)).config
    with pytest.raises(ConfigError, match="hidden and hidden_sizes are the same: give one"):
        PPOAgent(4, 2, hidden=(8,), hidden_sizes=(8,))
    for name, remedy in (("clip_value_loss", "value_clip_eps"), ("lr_schedule", "lr_end")):
        with pytest.raises(ConfigError, match=f"PPOAgent {name}: give {remedy}"):
            PPOAgent(4, 2, **{name: True})


@pytest.mark.parametrize("key", [3, np.int64(5), np.zeros(3, np.uint32), np.zeros((2, 2)), "a"])
def test_what_is_no_key_is_refused_in_one_sentence(key):
    with as_users_do(), pytest.raises(ConfigError, match=r"PPOAgent key .*: give one key"):
        small_agent(key=key)
    agent = small_agent()
    with as_users_do(), pytest.raises(ConfigError, match=": give one key"):
        agent.select_action(agent.network, [0.0] * 4, key)


def test_an_observation_may_be_a_list():
    agent = small_agent()
    obs = [0.1, 0.2, -0.1, 0.0]
    with as_users_do():
        greedy = agent.act_greedy(agent.network, obs)
    assert greedy == agent.act_greedy(agent.network, np.array(obs))


@pytest.mark.parametrize("bad", ["x", [], {}, 1.5, object])
@pytest.mark.parametrize("name", ["max_episode_steps", "video_record_freq", "video_dir"])
def test_arguments_of_the_wrapper_of_another_kind_are_one_sentence(name, bad):
    if name != "video_dir" or bad != "x":
        with as_users_do(), pytest.raises(ConfigError, match=rf"{name} .*: give "):
            CartPoleWrapper(**{name: bad})
