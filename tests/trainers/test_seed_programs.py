"""The three programs that seed 002 publishes, with one import line and fewer episodes."""

import jax
import pytest

from compiling import as_users_do
from vibe_rl.run_dir import RunDir
from vibe_rl.tracking.mlflow import read_ids
from vibe_rl.trainers import CartPoleWrapper, PPOAgent, PPOTrainer

PROGRAMS = {
    "basic training": """
from vibe_rl.trainers import PPOTrainer, PPOAgent, CartPoleWrapper

# Create agent and environment
agent = PPOAgent(observation_dim=4, action_dim=2)
env = CartPoleWrapper()

# Create trainer
trainer = PPOTrainer(
    agent=agent,
    env=env,
    max_episodes=1000,
    target_reward=195.0,
    enable_mlflow=True
)

# Run training
results = trainer.train()
""",
    "custom callback": """
def custom_callback(metrics):
    episode = metrics['episode']
    step_metrics = metrics['step_metrics']

    if episode % 100 == 0:
        print(f"Episode {episode}: Reward = {step_metrics['avg_reward']:.2f}")

results = trainer.train(callback=custom_callback)
""",
    "evaluation only": """
# Load trained agent and evaluate
eval_metrics = trainer.evaluate(num_episodes=100)
print(f"Evaluation reward: {eval_metrics['avg_reward']:.2f} \u00b1 {eval_metrics['std_reward']:.2f}")
""",  # noqa: E501
}


@pytest.mark.slow
@pytest.mark.usefixtures("few_figures", "trackers_here")
def test_the_programs_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("vibe_rl.tracking.background.PATIENCE", 60.0)
    names: dict = {}
    with as_users_do():
        for title, code in PROGRAMS.items():
            few = code.replace("max_episodes=1000", "max_episodes=5")
            exec(compile(few, title, "exec"), names)
    said = capsys.readouterr().out
    assert "\nEpisode 0: Reward = " in said
    assert "\nEvaluation reward: " in said
    results = names["results"]
    assert results["total_episodes"] == len(results["episode_rewards"]) == 5
    assert results["run_id"] == read_ids(RunDir.open(results["run_dir"]))["run_id"]
    assert len(list((tmp_path / "runs").glob("cartpole-ppo_*"))) == 2


@pytest.mark.slow
def test_the_defaults_converge_on_a_seed_that_chose_none(tmp_path):
    # 10 of 10 seeds had by episode 261; see docs/ppo-trainer.md
    agent = PPOAgent(4, 2, key=jax.random.key(2000))
    how = {"eval_frequency": 0, "video_record_frequency": 0, "plot": False, "verbose": False}
    trainer = PPOTrainer(agent, CartPoleWrapper(), seed=2000, base_dir=tmp_path, **how)
    results = trainer.train()
    assert results["converged"]
    assert results["convergence_episode"] <= 460
    assert results["best_avg_reward"] >= 195
    assert results["final_avg_reward"] >= 195
