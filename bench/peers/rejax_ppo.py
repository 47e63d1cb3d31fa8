"""rejax's PPO on CartPole-v1, at the settings of the other contestants and without evaluation.

Differences that its options cannot remove: gradients are clipped element by element, Adam's eps is
1e-8, weights start from lecun_normal. Each changes what is learned, none changes the speed.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import jax
import rejax
from rejax.evaluate import evaluate

sys.path.insert(0, str(Path(__file__).parents[1]))
from worker import serve

N_STEPS, EVAL_EPISODES = 128, 128


def create(num_envs, steps):
    """The algorithm, with a single evaluation that does nothing."""
    algorithm = rejax.PPO.create(
        env="CartPole-v1",
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)},
        num_envs=num_envs,
        num_steps=N_STEPS,
        num_epochs=4,
        num_minibatches=4,
        learning_rate=2.5e-4,
        max_grad_norm=0.5,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.01,
        vf_coef=0.5,
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
    )
    return algorithm.replace(eval_callback=lambda *_: ())


def mean_return(algorithm, train_state, key):
    """Mean return of `EVAL_EPISODES` episodes of the trained, sampling policy."""
    act, env_params = algorithm.make_act(train_state), algorithm.env_params
    _, returns = evaluate(
        act, key, algorithm.env, env_params, EVAL_EPISODES, env_params.max_steps_in_episode
    )
    return returns.mean()


def prepare(num_envs, total_timesteps):
    """Compiles training; the evaluation of a finished run compiles later, off the clock."""
    steps = total_timesteps // (N_STEPS * num_envs) * N_STEPS * num_envs
    algorithm = create(num_envs, steps)
    train = jax.jit(algorithm.train).lower(jax.random.key(0)).compile()
    final_return = jax.jit(lambda train_state, key: mean_return(algorithm, train_state, key))

    def run(seed):
        key = jax.random.key(seed)
        train_state, _ = jax.block_until_ready(train(key))
        return lambda: float(final_return(train_state, jax.random.fold_in(key, 1)))

    return run, steps, {name: version(name) for name in ("jax", "numpy", "rejax", "gymnax")}


if __name__ == "__main__":
    serve(prepare)
