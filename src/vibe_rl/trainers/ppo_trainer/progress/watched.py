"""What a `PPOTrainer` shows of its training while it runs, under seed 002's names."""

from vibe_rl.trainers.ppo_trainer.progress.progress import Progress


class Watched:
    """The lists and counters of a training, to be read."""

    progress: Progress

    @property
    def episode_count(self) -> int:
        """Episodes that have ended."""
        return self.progress.episode_count

    @property
    def step_count(self) -> int:
        """Env steps of these episodes."""
        return self.progress.step_count

    @property
    def episode_rewards(self) -> list[float]:
        """Their returns."""
        return self.progress.episode_rewards

    @property
    def episode_lengths(self) -> list[int]:
        """Their lengths, env steps."""
        return self.progress.episode_lengths

    @property
    def eval_rewards(self) -> list[float]:
        """The mean returns of evaluations."""
        return self.progress.eval_rewards

    @property
    def losses(self) -> dict[str, list[float]]:
        """The losses of every update."""
        return self.progress.losses

    @property
    def kl_divergences(self) -> list[float]:
        """The divergence of every update, nats."""
        return self.progress.kl_divergences

    @property
    def gradient_norms(self) -> dict[str, list[float]]:
        """The norm of every array's gradient, if `log_gradient_flow`."""
        return self.progress.gradient_norms

    @property
    def best_avg_reward(self) -> float | None:
        """The best mean of a window so far."""
        return self.progress.monitor.best

    @property
    def convergence_count(self) -> int:
        """Checks in a row that speak for stopping."""
        return self.progress.status.count

    @property
    def should_stop(self) -> bool:
        """Whether the monitor has said that the training has done enough."""
        return self.progress.stop

    def check_convergence(self) -> bool:
        """Whether the monitor has said that the training has done enough."""
        return self.should_stop
