"""A corridor for Gymnasium, with masks: a tiny environment that MaskablePPO learns at once."""

import gymnasium
import numpy as np

ID = "masked_env:vibe_rl_tests/Corridor-v0"
"""With the module, which then is imported wherever the environment is made."""
DIES, UNMASKED = ID.replace("Corridor", "Dying"), ID.replace("Corridor", "Unmasked")
LENGTH = 6


class Corridor(gymnasium.Env):
    """Left or right; stepping off the left end is illegal, the right end pays 1 and ends.

    A third action is never legal. With `dies_after`, the process of the game ends then.
    """

    observation_space = gymnasium.spaces.Dict(
        {"place": gymnasium.spaces.Box(0.0, 1.0, (2,)), "seen": gymnasium.spaces.Box(0, 9, (3,))}
    )
    action_space = gymnasium.spaces.Discrete(3)

    def __init__(self, dies_after: int | None = None):
        self.left = dies_after

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at, self.steps = int(self.np_random.integers(LENGTH - 1)), 0
        return self._obs(), {"action_mask": self._mask()}

    def step(self, action):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise EOFError("the game has left")
        assert self._mask()[action], f"{action} is illegal at {self.at}"
        self.at, self.steps = self.at + (1 if action == 1 else -1), self.steps + 1
        won = self.at == LENGTH - 1
        info = {"episode_stats": self._stats(won)} if won else {"action_mask": self._mask()}
        return self._obs(), float(won) - 0.01, won, False, info

    def _mask(self):
        return np.array([self.at > 0, True, False])

    def _obs(self):
        place = np.array([self.at / LENGTH, 1 - self.at / LENGTH], np.float32)
        return {"place": place, "seen": np.zeros(3, np.float32)}

    def _stats(self, won):
        return {
            "reward_breakdown": {"victory": 500.0 * won, "dataSiphon": 0.5},
            "programs_used": 2,
            "highest_stage": 3,
            "action_counts": {"move": self.steps, "siphon": 1, "program": 2},
            "steps": self.steps,
        }


class Unmasked(Corridor):
    """Says nothing of masks."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed, options=options)[0], {}


gymnasium.register(ID.partition(":")[2], Corridor)
gymnasium.register(DIES.partition(":")[2], Corridor, kwargs={"dies_after": 300})
gymnasium.register(UNMASKED.partition(":")[2], Unmasked)
