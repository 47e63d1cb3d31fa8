"""What the hand-written loops share: Gymnasium's envs, and the returns of finished episodes.

Nothing of vibe_rl. With `sync` envs are stepped one by one; otherwise by their own vector env,
where Gymnasium has one.
"""

import sys

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode


class Envs:
    """`num_envs` envs, stepped at once, as `gymnasium.make_vec` makes them."""

    def __init__(self, s, seed):
        sync = "sync" in sys.argv[1:]
        how = {"vector_kwargs": {"autoreset_mode": AutoresetMode.SAME_STEP}} if sync else {}
        mode = "sync" if sync else None
        name = s.env_id.removeprefix("gymnasium:")
        self.envs = gymnasium.make_vec(name, s.num_envs, vectorization_mode=mode, **how)
        self.obs, _ = self.envs.reset(seed=seed)
        self.returns, self.finished = np.zeros(s.num_envs, np.float32), []

    def step(self, action):
        """The true next observations, rewards, terminations and ends."""
        obs, reward, terminated, truncated, info = self.envs.step(action)
        done = terminated | truncated
        next_obs = obs
        if "final_obs" in info:
            next_obs = obs.copy()
            next_obs[done] = np.stack(info["final_obs"][done])
        self.obs = obs
        self.returns += reward
        self.finished.append((done.sum(), self.returns[done].sum()))
        self.returns[done] = 0
        return next_obs, reward, terminated, done


def mean_return(envs):
    """Over the episodes of the last tenth of the steps; None for none."""
    episodes, returns = np.array(envs.finished[-len(envs.finished) // 10 :]).sum(0)
    return float(returns / episodes) if episodes else None
