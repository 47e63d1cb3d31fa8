"""Episodes outside of a training: what an agent sees, does and gets, and single updates."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from vibe_rl.algorithms.ppo import PPO, PPOState
from vibe_rl.env.params.many import reset_all
from vibe_rl.ops.normalization import standardize_obs
from vibe_rl.runner.loop import Experience, TrainState, collect, iteration
from vibe_rl.runner.run import Run
from vibe_rl.trainers.ppo_trainer.progress.progress import Episode
from vibe_rl.types import Key

EpisodeData = dict[str, Array]
"""`observations` float32 [L, 4], `actions` int32 [L], `rewards` float32 [L], `next_observations`
float32 [L, 4], `dones`, `terminated` and `truncated` bool [L], `log_probs` float32 [L], nats, and
`values` float32 [L]."""


@partial(jax.jit, static_argnames=("env", "num_envs"))
def _begin(env: Any, env_params: Any, agent_state: PPOState, key: Key, num_envs: int) -> TrainState:
    """An agent before `num_envs` fresh envs."""
    env_key, key = jax.random.split(key)
    obs, env_state = reset_all(env, env_params, env_key, num_envs=num_envs)
    return TrainState(agent_state, env_state, obs, key)


@partial(jax.jit, static_argnames="env")
def collected(
    algorithm: PPO, env: Any, env_params: Any, state: TrainState
) -> tuple[Experience, jax.Array]:
    """A rollout `[T, N]`, and the values of its observations."""
    experience = collect(algorithm, env, env_params, state, state.key)[1]
    agent = state.agent_state

    def value(obs: Any) -> jax.Array:
        return agent.params.value(standardize_obs(agent.obs_statistics, obs))

    return experience, jax.vmap(jax.vmap(value))(experience.transition.obs)


jit_iteration = jax.jit(iteration, static_argnames="env")
"""One update of an agent, compiled."""


def play_agent(run: Run, agent_state: PPOState, key: Key, num_envs: int) -> list[EpisodeData]:
    """Whole episodes, sampled from the policy, with all that PPO learns from."""
    env, params = run.env, run.first_params  # which plays whole episodes
    state = _begin(env, params, agent_state, key, num_envs)
    experience, values = jax.device_get(collected(run.algorithm, env, params, state))  # type: ignore[arg-type]
    return [episode_data(experience, values, i) for i in range(num_envs)]


def episode_data(experience: Experience, values: np.ndarray, which: int) -> EpisodeData:
    """The first episode of one of the envs, up to its end."""
    steps: Any = jax.tree.map(lambda x: x[:, which], experience.transition)
    done = steps.terminated | steps.truncated
    length = int(np.argmax(done)) + 1 if done.any() else len(done)
    data = {
        "observations": steps.obs,
        "actions": steps.action,
        "rewards": steps.reward,
        "next_observations": steps.next_obs,
        "dones": done,
        "terminated": steps.terminated,
        "truncated": steps.truncated,
        "log_probs": steps.extras.log_prob,
        "values": values[:, which],
    }
    return {name: jnp.asarray(x[:length]) for name, x in data.items()}


def update_once(
    run: Run, agent_state: PPOState, key: Key
) -> tuple[PPOState, dict[str, float], list[Episode]]:
    """An agent after one update on fresh envs, the library's metrics of it, and its episodes."""
    state = _begin(run.env, run.first_params, agent_state, key, run.num_envs)
    state, measured = jit_iteration(run.algorithm, run.env, run.first_params, state)
    metrics = {name: float(x) for name, x in measured.metrics.items()}
    ended = np.asarray(measured.episodes)[:2].T
    return state.agent_state, metrics, [Episode(float(r), int(n)) for r, n in ended if n]
