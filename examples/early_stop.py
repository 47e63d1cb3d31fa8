"""A callback that stops: trains until three evaluations in a row solve CartPole."""

import sys

from vibe_rl.algorithms.ppo import PPOConfig
from vibe_rl.env import AutoResetWrapper, CartPole
from vibe_rl.runner import RunnerConfig, train_ppo

SOLVED = 475.0


def main(steps: int = 200_000) -> None:
    returns = []

    def until_solved(step, agent_state, metrics):
        if "eval_return" in metrics:
            returns.append(metrics["eval_return"])
            print(f"{step:,} env steps: {returns[-1]:.1f}")
        return not (len(returns) >= 3 and min(returns[-3:]) >= SOLVED)  # False ends the run

    env = AutoResetWrapper(CartPole())
    _, history = train_ppo(
        env,
        env.default_params(),
        ppo_config=PPOConfig(num_envs=4, lr=2.5e-3),
        runner_config=RunnerConfig(total_timesteps=steps, eval_every=steps // 40),
        callback=until_solved,
    )
    print(f"Ended after {len(history.total_loss):,} updates.")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
