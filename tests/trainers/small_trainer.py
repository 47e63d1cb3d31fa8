"""One small `PPOTrainer`, whose programs all tests of a process share."""

from vibe_rl.trainers import CartPoleWrapper, PPOAgent, PPOTrainer

AGENT = {"minibatch_size": 16, "hidden_sizes": (8,), "epochs_per_update": 2, "learning_rate": 3e-3}
SETTINGS = {
    "max_episodes": 12,
    "max_steps_per_episode": 20,
    "eval_frequency": 4,
    "eval_episodes": 3,
    "save_frequency": 3,
    "log_frequency": 2,
    "target_reward": 1000.0,
    "video_record_frequency": 0,
    "plot": False,
    "verbose": False,
}


def small_agent(**changes):
    return PPOAgent(observation_dim=4, action_dim=2, **{**AGENT, **changes})


def small_trainer(folder, agent=None, env=None, **changes):
    """A trainer whose run directories are in `folder`."""
    window = {"convergence_window": 100} if changes.get("monitor") else {"convergence_window": 3}
    settings = {"base_dir": folder, **window, **SETTINGS, **changes}
    return PPOTrainer(agent or small_agent(), env or CartPoleWrapper(), **settings)
