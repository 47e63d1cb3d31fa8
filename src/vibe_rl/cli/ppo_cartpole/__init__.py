"""The command of `PPOTrainer`."""
