"""The published names: where each is imported from, as far as the library has its like."""

from importlib import import_module

import pytest

NAMES = {
    "vibe_rl": """CheckpointManager MetricsLogger TrainingProgress RunDir log_step_progress
        setup_logging Transition initialize_checkpoint_dir linear_schedule load_checkpoint load_eqx
        make save_checkpoint save_eqx""",
    "vibe_rl.algorithms.ppo": "PPO PPOConfig PPOMetrics PPOState compute_gae",
    "vibe_rl.algorithms.dqn": "DQN DQNConfig DQNState DQNMetrics QNetwork",
    "vibe_rl.algorithms.sac": "SAC SACConfig SACMetrics SACState GaussianActor",
    "vibe_rl.checkpoint": """CheckpointManager initialize_checkpoint_dir load_checkpoint load_eqx
        load_metadata save_checkpoint save_eqx""",
    "vibe_rl.configs": "PRESETS TrainConfig cli",
    "vibe_rl.env": """Environment EnvState EnvParams Box Discrete Image MultiBinary CartPole
        CartPoleParams CartPoleState GridWorld GridWorldParams GridWorldState Pendulum
        PendulumParams PendulumState PixelGridWorld PixelGridWorldParams AutoResetWrapper
        RewardScaleWrapper ObsNormWrapper ImageResizeWrapper FrameStackWrapper GrayscaleWrapper
        ImageNormWrapper GymnasiumWrapper make register""",
    "vibe_rl.metrics": """MetricsLogger TrainingProgress log_step_progress read_metrics
        setup_logging""",
    "vibe_rl.networks": "Encoder",
    "vibe_rl.plotting": """DEEPMIND PlotConfig color_for get_colors plot_reward_curve reset_palette
        set_palette smooth_ema smooth_window""",
    "vibe_rl.run_dir": "RunDir find_runs",
    "vibe_rl.runner": """RunnerConfig train_ppo train_ppo_multigpu train_dqn train_sac PPOTrainState
        PPOMetricsHistory DQNTrainResult SACTrainResult evaluate jit_evaluate EvalMetrics
        get_num_devices replicate unreplicate shard_pytree replicate_on_mesh
        split_key_across_devices""",
    "vibe_rl.schedule": "linear_schedule",
    "vibe_rl.sharding": """BATCH_AXIS FSDP_AXIS DATA_AXIS make_mesh set_mesh data_sharding
        replicate_sharding fsdp_sharding activation_sharding_constraint""",
    "vibe_rl.types": "Transition",
}


@pytest.mark.parametrize("module", NAMES)
def test_a_published_name_is_found_where_it_is_published(module):
    found = import_module(module)
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []
