"""A game of MinAtar for the hand-written programs, as gymnax has it, and networks for its pictures.

gymnax resets by itself. A trunk is convolutions, by XLA's own, or none, and dense layers over what
they leave; actor and critic have one each, or share one.
"""

from functools import partial

import gymnax
import jax
import jax.numpy as jnp
from plain import EnvState, Step, Task, init_mlp, mlp

LAYOUT = ("NHWC", "HWIO", "NHWC")
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def begin(env, params, key):
    """A fresh env, and its picture."""
    return EnvState(env.reset(key, params), jnp.int32(0), jnp.float32(0))


def advance(env, params, key, state, action):
    """The next state, fresh where an episode ended, and the step."""
    stepped = env.step(key, state.physics[1], action, params)
    obs, inner, reward, terminated, truncated, info = stepped
    done = terminated | truncated
    so_far = state.episode_return + reward
    after = EnvState((obs, inner), state.time + 1, jnp.where(done, 0.0, so_far))
    return after, Step(reward, terminated, done, info["final_observation"], so_far)


def convolutions(s):
    """Channels, kernel and stride of each; none where pictures are flattened."""
    return () if s.encoder == "mlp" else s.conv_layers


def init_trunk(s, shape, key):
    """Orthogonal kernels and dense layers."""
    orthogonal = jax.nn.initializers.orthogonal(2**0.5)
    height, width, channels = shape
    keys, kernels = iter(jax.random.split(key, 9)), []
    for n_out, side, stride in convolutions(s):
        kernels.append(orthogonal(next(keys), (side, side, channels, n_out)))
        height, width, channels = (height - side) // stride + 1, (width - side) // stride + 1, n_out
    sizes = (height * width * channels, *s.hidden_sizes)
    return kernels, init_mlp(next(keys), sizes, [orthogonal] * len(s.hidden_sizes))


def features(s, trunk, obs):
    """What a trunk makes of pictures [B, 10, 10, C]."""
    kernels, dense = trunk
    x, activation = obs.astype(jnp.float32), ACTIVATIONS[s.activation]
    for kernel, (_, _, stride) in zip(kernels, convolutions(s), strict=True):
        convolved = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), "VALID", dimension_numbers=LAYOUT
        )
        x = jax.nn.relu(convolved)
    x = x.reshape(len(x), -1)
    for weight, bias in dense:
        x = activation(x @ weight + bias)
    return x


def init(shape, n_actions, s, key):
    """Trunks and heads."""
    keys = jax.random.split(key, 4)
    trunks = [init_trunk(s, shape, k) for k in keys[2 : 3 if s.shared_backbone else 4]]
    orthogonal, width = jax.nn.initializers.orthogonal, s.hidden_sizes[-1]
    actor = init_mlp(keys[0], (width, n_actions), [orthogonal(0.01)])
    critic = init_mlp(keys[1], (width, 1), [orthogonal(1.0)])
    return {"trunks": trunks, "actor": actor, "critic": critic}


def actor_critic(s, params, obs):
    """Log-probabilities [B, A] and values [B]."""
    seen = [features(s, trunk, obs) for trunk in params["trunks"]]
    log_probs = jax.nn.log_softmax(mlp(params["actor"], seen[0]))
    return log_probs, mlp(params["critic"], seen[-1])[..., 0]


def game(s):
    """The game that the settings name."""
    env, params = gymnax.make(s.env_id.removeprefix("gymnax:"))
    shape, n_actions = env.observation_space(params).shape, env.action_space(params).n
    return Task(
        partial(begin, env, params),
        partial(advance, env, params),
        lambda state: state.physics[0],
        partial(init, shape, n_actions),
        partial(actor_critic, s),
    )
