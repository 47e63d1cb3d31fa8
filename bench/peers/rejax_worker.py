"""rejax at the settings of the other contestants, without its evaluation of the run under way.

Differences that its options cannot remove: PPO's gradients are clipped element by element and
Adam's eps is 1e-8; a time limit counts as a death; SAC draws no uniform actions; replay is sampled
without replacement. See README.md for what follows.
"""

import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jax
import rejax
from flax.linen import relu
from rejax.evaluate import evaluate
from rejax.networks import DiscreteQNetwork, EpsilonGreedyPolicy

sys.path.insert(0, str(Path(__file__).parents[1]))
from worker import flat, serve, whole_updates

EVAL_EPISODES = 128


def ppo(s):
    _, steps = whole_updates(s)
    network = {"activation": "tanh", "hidden_layer_sizes": tuple(s.hidden_sizes)}
    options = {
        "num_steps": s.n_steps,
        "num_epochs": s.n_epochs,
        "num_minibatches": s.n_minibatches,
        "learning_rate": s.lr,
        "max_grad_norm": s.max_grad_norm,
        "gae_lambda": s.gae_lambda,
        "clip_eps": s.clip_eps,
        "ent_coef": s.ent_coef,
        "vf_coef": s.vf_coef,
    }
    return create(rejax.PPO, s, steps, agent_kwargs=network, **options)


def dqn(s):
    options = {
        "learning_rate": s.lr,
        "target_update_freq": s.target_update_freq * s.num_envs,  # env steps
        "polyak": 1 - s.tau,
        "eps_start": s.epsilon_start,
        "eps_end": s.epsilon_end,
        "exploration_fraction": s.epsilon_decay_steps / s.total_timesteps,
        "ddqn": s.double,
    }
    algorithm = create(rejax.DQN, s, s.total_timesteps, **replay(s), **options)
    widths = tuple(s.hidden_sizes)  # which no option sets
    network = EpsilonGreedyPolicy(DiscreteQNetwork)
    return algorithm.replace(agent=network(widths, relu, action_dim=algorithm.action_dim))


def sac(s):
    options = {"learning_rate": s.actor_lr, "polyak": 1 - s.tau}
    widths = {"hidden_layer_sizes": tuple(s.hidden_sizes)}
    return create(rejax.SAC, s, s.total_timesteps, **replay(s), **options, **widths)


def replay(s):
    """What both off-policy algorithms want to know; their gradients are not clipped."""
    return {
        "buffer_size": s.buffer_size,
        "fill_buffer": s.warmup_steps,
        "batch_size": s.batch_size,
        "num_epochs": 1,
        "max_grad_norm": float("inf"),
    }


def create(kind, s, steps, **options):
    """The algorithm, with a single evaluation that does nothing."""
    algorithm = kind.create(
        env=s.env_id,
        num_envs=s.num_envs,
        gamma=s.gamma,
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
        **options,
    )
    return algorithm.replace(eval_callback=lambda *_: ())


def mean_return(algorithm, train_state, key):
    """Mean return of `EVAL_EPISODES` episodes of the trained policy; PPO's and SAC's samples."""
    act, env_params = algorithm.make_act(train_state), algorithm.env_params
    _, returns = evaluate(
        act, key, algorithm.env, env_params, EVAL_EPISODES, env_params.max_steps_in_episode
    )
    return returns.mean()


def prepare(settings):
    """Compiles training; the evaluation of a finished run compiles later, off the clock."""
    algorithm = {"ppo": ppo, "dqn": dqn, "sac": sac}[settings["algorithm"]](flat(settings))
    train = jax.jit(algorithm.train).lower(jax.random.key(0)).compile()
    final_return = jax.jit(lambda train_state, key: mean_return(algorithm, train_state, key))

    def run(seed):
        key = jax.random.key(seed)
        train_state, _ = jax.block_until_ready(train(key))
        return lambda: float(final_return(train_state, jax.random.fold_in(key, 1)))

    versions = {name: version(name) for name in ("jax", "numpy", "rejax", "gymnax")}
    return partial(partial, run), algorithm.total_timesteps, versions


if __name__ == "__main__":
    serve(prepare)
