"""How soon `PPOTrainer` converges on CartPole-v1 with its defaults, over seeds.

    python bench/ppo_trainer.py --seeds 1000:1010 --target 195 --max-episodes 600

Each seed trains until the mean return of 100 episodes has been at the target for ten of them, or to
the end, and is then evaluated greedily. A line per seed, and what they amount to.
"""

import argparse
import tempfile
import time

import jax
import numpy as np

from vibe_rl.trainers import CartPoleWrapper, PPOAgent, PPOTrainer


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1000:1010")
    parser.add_argument("--target", type=float, default=195.0)
    parser.add_argument("--max-episodes", type=int, default=600)
    parser.add_argument("--episodes", type=int, default=100, help="of the last evaluation")
    parser.add_argument("--mode", default="episodic")
    parser.add_argument("--no-early-stop", action="store_true")
    return parser.parse_args()


def train(seed, options):
    """Results and seconds of one training, with nothing but its log and checkpoints written."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = PPOTrainer(
            PPOAgent(4, 2, key=jax.random.key(seed)),
            CartPoleWrapper(),
            seed=seed,
            mode=options.mode,
            max_episodes=options.max_episodes,
            target_reward=options.target,
            final_eval_episodes=options.episodes,
            early_stop=not options.no_early_stop,
            video_record_frequency=0,
            base_dir=folder,
            plot=False,
            verbose=False,
        )
        began = time.perf_counter()
        return trainer.train(), time.perf_counter() - began


def main():
    options = parse()
    first, last = map(int, options.seeds.split(":"))
    ends, returns = [], []
    for seed in range(first, last):
        results, seconds = train(seed, options)
        ends.append(results["convergence_episode"] or np.inf)
        returns.append(results["final_avg_reward"])
        print(
            f"seed {seed} | reached {results['reached_episode']} | converged "
            f"{results['convergence_episode']} | episodes {results['total_episodes']} | steps "
            f"{results['total_steps']} | last 100 {np.mean(results['episode_rewards'][-100:]):.1f}"
            f" | greedy {returns[-1]:.1f} | {seconds:.1f} s",
            flush=True,
        )
    print(
        f"converged {np.isfinite(ends).sum()} of {len(ends)} | after {np.sort(ends)} | greedy "
        f"returns {np.sort(returns)}"
    )


if __name__ == "__main__":
    main()
