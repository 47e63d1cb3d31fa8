"""rejax's PPO on CartPole with the settings of the other contestants; evaluation reduced to one."""

from importlib.metadata import version

import jax
import rejax

from worker import serve


def prepare(num_envs, total_timesteps):
    steps = total_timesteps // (128 * num_envs) * 128 * num_envs
    algorithm = rejax.PPO.create(
        env="CartPole-v1",
        num_envs=num_envs,
        num_steps=128,
        num_epochs=4,
        num_minibatches=4,
        learning_rate=2.5e-4,
        max_grad_norm=0.5,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        ent_coef=0.01,
        vf_coef=0.5,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)},
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
    )
    algorithm = algorithm.replace(eval_callback=lambda *_: ())  # ours does not evaluate here either
    train = jax.jit(algorithm.train).lower(jax.random.key(0)).compile()

    def run(seed):
        jax.block_until_ready(train(jax.random.key(seed)))

    return run, steps, {name: version(name) for name in ("jax", "rejax", "gymnax")}


if __name__ == "__main__":
    serve(prepare)
