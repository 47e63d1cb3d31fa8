"""Stable-Baselines3 or SBX, as the only argument says, at the settings of the other contestants.

Both loop in Python over Gymnasium's envs. Differences that options cannot remove: the loss of their
DQN is Huber's; SBX has one width for both hidden layers of its DQN and takes the first, and does
not clip gradients.
"""

import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sbx
import stable_baselines3 as sb3
from stable_baselines3.common.env_util import make_vec_env

sys.path.insert(0, str(Path(__file__).parents[1]))
from worker import flat, serve

LIBRARY = sys.argv[1]
KINDS = {
    ("sb3", "dqn"): sb3.DQN,
    ("sb3", "sac"): sb3.SAC,
    ("sbx", "dqn"): sbx.DQN,
    ("sbx", "sac"): sbx.SAC,
}
VERSIONS = {
    "sb3": ("stable-baselines3", "torch", "gymnasium", "numpy"),
    "sbx": ("sbx-rl", "stable-baselines3", "jax", "gymnasium", "numpy"),
}
TRIAL_STEPS = 4  # of all envs: enough to compile
LAST_EPISODES = 20


def dqn(s):
    clipping = {"max_grad_norm": s.max_grad_norm} if LIBRARY == "sb3" else {}
    return clipping | {
        "learning_rate": s.lr,
        "tau": s.tau,
        "target_update_interval": s.target_update_freq * s.num_envs,  # env steps
        "exploration_initial_eps": s.epsilon_start,
        "exploration_final_eps": s.epsilon_end,
        "exploration_fraction": s.epsilon_decay_steps / s.total_timesteps,
    }


def sac(s):
    return {"learning_rate": s.actor_lr, "tau": s.tau}  # of all three


def create(algorithm, s, seed):
    """A model that learns once per step of all envs."""
    return KINDS[LIBRARY, algorithm](
        "MlpPolicy",
        make_vec_env(s.env_id, s.num_envs, seed),
        gamma=s.gamma,
        batch_size=s.batch_size,
        buffer_size=s.buffer_size,
        learning_starts=0,
        train_freq=1,
        gradient_steps=1,
        policy_kwargs={"net_arch": list(s.hidden_sizes)},
        device="cpu",
        seed=seed,
        **{"dqn": dqn, "sac": sac}[algorithm](s),
    )


def prepare(settings):
    s, algorithm = flat(settings), settings["algorithm"]

    def start(seed):
        """A model that has compiled, which SBX does anew for each, and forgotten what it saw."""
        model = create(algorithm, s, seed)
        model.learn(TRIAL_STEPS * s.num_envs)
        model.replay_buffer.reset()
        model.learning_starts = s.warmup_steps
        return partial(train, model, s.total_timesteps)

    start(0)
    return start, s.total_timesteps, {name: version(name) for name in VERSIONS[LIBRARY]}


def train(model, total_timesteps):
    """Mean return of the last episodes."""
    model.learn(total_timesteps)
    returns = [episode["r"] for episode in list(model.ep_info_buffer)[-LAST_EPISODES:]]
    return float(np.mean(returns)) if returns else None


if __name__ == "__main__":
    serve(prepare)
