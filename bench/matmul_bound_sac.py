"""The bound that matrix products set: those of one SAC update and nothing else.

No sampling, no activation, no loss, no Adam, no env: float32 products in one jitted loop, with
nothing between them. Counted, for B examples, H units, O observations and A actions:

    target    actor forward at next_obs, both target critics forward
    critics   both forward; for each the gradients of three weights and of two activations
    actor     actor forward at obs, both critics forward; through each critic the gradients of two
              activations and of the action; the actor's of three weights and of two activations

That is 16 products of [B, H] and [H, H], and the thin ones. Whatever could be left out by algebra
is: no gradient of an observation, none of a critic's weights in the actor's loss.
Every product depends on the loop's index through the observations, and every gradient of a weight
is carried out of the loop, so that XLA can neither hoist nor drop one.
"""

from functools import partial
from importlib.metadata import version

import jax
import jax.numpy as jnp
from single_file_sac import ACTION, OBS, init_network
from worker import flat, serve


def forward(weights, x):
    """Inputs of all three layers, and the output."""
    inputs = [x]
    for weight in weights:
        inputs.append(inputs[-1] @ weight)
    return inputs


def weight_gradients(inputs, deltas):
    return [x.T @ delta for x, delta in zip(inputs, deltas, strict=True)]


def backward(weights, delta):
    """Gradients of the outputs of all three layers."""
    second = delta @ weights[2].T
    return [second @ weights[1].T, second, delta]


def products(actor, critics, target_critics, obs, next_obs):
    """Gradients of the weights of actor and critics, were every activation the identity."""
    next_action = forward(actor, next_obs)[-1][:, :ACTION]
    x = jnp.concatenate([next_obs, next_action], 1)
    targets = [forward(weights, x)[-1] for weights in target_critics]
    critic_gradients = [
        critic_products(weights, x, target)
        for weights, target in zip(critics, targets, strict=True)
    ]
    inputs = forward(actor, obs)
    x = jnp.concatenate([obs, inputs[-1][:, :ACTION]], 1)
    first, second = (action_gradient(weights, x) for weights in critics)
    deltas = backward(actor, jnp.concatenate([first, second], 1))  # [B, 2 A], one for each output
    return weight_gradients(inputs[:-1], deltas), critic_gradients


def critic_products(weights, x, target):
    """Gradients of a critic's weights; the target is used, as it is in the loss."""
    *inputs, q = forward(weights, x)
    return weight_gradients(inputs, backward(weights, q - target))


def action_gradient(weights, x):
    """How one critic's value changes with the action, [B, A]."""
    q = forward(weights, x)[-1]
    return backward(weights, q)[0] @ weights[0][OBS:].T


def update_flops(s):
    """Multiplications and additions of the products of one update, dots only."""
    b, (h, k) = 2 * s.batch_size, s.hidden_sizes
    inputs = {"actor": OBS, "critic": OBS + ACTION}
    outputs = {"actor": 2 * ACTION, "critic": 1}
    layers = {name: (inputs[name] * h, h * k, k * outputs[name]) for name in inputs}
    forwards = 2 * sum(layers["actor"]) + 6 * sum(layers["critic"])
    of_weights = sum(layers["actor"]) + 2 * sum(layers["critic"])
    of_activations = sum(layers["actor"][1:]) + 4 * sum(layers["critic"][1:]) + 2 * h * ACTION
    return b * (forwards + of_weights + of_activations)


def init(s, key):
    """Weights of actor, critics and target critics, and observations enough to differ."""
    *keys, obs_key = jax.random.split(key, 6)
    shapes = [(OBS, 2 * ACTION)] + [(OBS + ACTION, 1)] * 4
    weights = [
        [weight for weight, _ in init_network(k, s, *shape)]
        for k, shape in zip(keys, shapes, strict=True)
    ]
    obs = jax.random.normal(obs_key, (64, s.batch_size, OBS))
    return weights[0], weights[1:3], weights[3:], obs


def prepare(settings):
    s = flat(settings)
    n_updates = (s.total_timesteps - s.warmup_steps) // s.num_envs

    @jax.jit
    def train(actor, critics, target_critics, obs):
        once = partial(products, actor, critics, target_critics)
        body = lambda i, _: once(obs[i % len(obs)], obs[(i + 1) % len(obs)])  # noqa: E731
        return jax.lax.fori_loop(0, n_updates, body, once(obs[0], obs[1]))

    inputs = init(s, jax.random.key(0))
    compiled = train.lower(*inputs).compile()

    def run(seed):
        jax.block_until_ready(compiled(*inputs))

    notes = {"jax": version("jax"), "MFLOP/update": f"{update_flops(s) / 1e6:.1f}"}
    return partial(partial, run), s.total_timesteps, notes


if __name__ == "__main__":
    serve(prepare)
