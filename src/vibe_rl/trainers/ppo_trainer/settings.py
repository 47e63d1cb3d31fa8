"""The settings of a `PPOTrainer`, and the run of the library that they describe."""

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from vibe_rl.configs.train_config import TrainConfig
from vibe_rl.errors import ConfigError, Typed, check_bounds, unknown
from vibe_rl.runner.config import RunnerConfig, is_given
from vibe_rl.system.notices import say_once
from vibe_rl.trainers.ppo_trainer.agent_config import AgentConfig
from vibe_rl.types import choice, number


@dataclass(frozen=True, kw_only=True)
class TrainerSettings(Typed):
    """What a `PPOTrainer` is constructed with, apart from agent, env and what it reports to."""

    section: ClassVar[str] = "PPOTrainer "

    max_episodes: int = number(1000, least=1)
    """Episodes after which the training ends."""
    max_steps_per_episode: int = number(500, least=1)
    """Steps after which an episode is truncated; the env's own limit may be less."""
    target_reward: float = 195.0
    """Mean return at which the training has converged: 195 of CartPole-v0; v1's is 475."""
    convergence_window: int = number(100, least=1)
    """Episodes in that mean."""
    early_stopping_patience: int = 10
    """Episodes in a row with the mean at the target, after which the training ends."""
    eval_frequency: int = number(50, least=0)
    """Episodes between evaluations, in vectorized mode updates; 0 never evaluates meanwhile."""
    eval_episodes: int = number(10, least=1)
    """Episodes of an evaluation."""
    save_frequency: int = number(100, least=1)
    """Episodes between checkpoints, in vectorized mode updates."""
    log_frequency: int = number(10, least=1)
    """Updates between lines on the console, and between rows of trackers."""
    video_record_frequency: int = number(200, least=0)
    """Episodes after which the next evaluation leaves a GIF; 0 makes none."""
    log_gradient_flow: bool = False
    """Whether the norm of every array's gradient is kept."""
    mode: str = choice("episodic", "vectorized")
    """`episodic` updates from whole episodes, `vectorized` from steps of envs side by side."""
    episodes_per_update: int = number(1, least=1)
    """Episodic: whole episodes that an update learns from."""
    num_envs: int = number(8, least=1)
    """Vectorized: envs side by side."""
    rollout_steps: int = number(128, least=1)
    """Vectorized: steps of each env in an update."""
    early_stop: bool = True
    """Whether convergence ends the training."""
    legacy_convergence: bool = False
    """Whether convergence is seed 002's; see `ConvergenceMonitor`."""
    restore_best: bool = True
    """Whether the agent is the best evaluated one after training, and not the last."""
    final_eval_episodes: int | None = number(None, least=1)
    """Episodes of the evaluation at the end; None: `eval_episodes`."""
    eval_at_start: bool = False
    """Whether the agent is evaluated before it learns, too."""
    seed: int = number(42, least=0, most=2**64 - 1)
    """Seed of everything random but the agent's first parameters."""

    @classmethod
    def of(cls, **given: Any) -> "TrainerSettings":
        """The settings of these names; ConfigError for a name that there is not."""
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                raise unknown("argument of PPOTrainer", name, names)
        return cls(**given)

    def __post_init__(self):
        super().__post_init__()
        check_bounds(self, self.section)
        self._check_mode()
        if math.isnan(self.target_reward):
            raise ConfigError("PPOTrainer target_reward nan: give a number.")

    def _check_mode(self) -> None:
        """Raises ConfigError for what the mode would ignore."""
        names = {"episodic": ("num_envs", "rollout_steps"), "vectorized": ("episodes_per_update",)}
        other = {"episodic": "vectorized", "vectorized": "episodic"}[self.mode]
        for name in names[self.mode]:
            if is_given(self, name):
                raise ConfigError(
                    f"PPOTrainer {name} {getattr(self, name)} is of mode {other}: leave it out, or "
                    f'give mode="{other}".'
                )
        if self.max_episodes % self.episodes_per_update:
            raise ConfigError(
                f"PPOTrainer episodes_per_update {self.episodes_per_update} does not divide "
                f"max_episodes {self.max_episodes}: choose a divisor."
            )

    def check_window(self) -> None:
        """Raises ConfigError for a window that no training fills; the default is only named."""
        if self.convergence_window <= self.max_episodes:
            return
        if is_given(self, "convergence_window"):
            raise ConfigError(
                f"PPOTrainer convergence_window {self.convergence_window} is longer than "
                f"max_episodes {self.max_episodes}: give at most that."
            )
        say_once(
            f"convergence_window {self.convergence_window} is longer than max_episodes "
            f"{self.max_episodes}: the training cannot converge."
        )

    def rollout(self, minibatch_size: int) -> tuple[int, int]:
        """Steps and envs of an update's rollout; ConfigError if its minibatches do not divide it.

        Of an episode there are more than its steps: whole minibatches, of which some may be empty.
        """
        if self.mode == "episodic":
            whole = -(-self.max_steps_per_episode // minibatch_size) * minibatch_size
            return whole, self.episodes_per_update
        if self.rollout_steps * self.num_envs % minibatch_size:
            raise ConfigError(
                f"PPOAgent minibatch_size {minibatch_size} does not divide num_envs "
                f"{self.num_envs} x rollout_steps {self.rollout_steps}: choose a divisor."
            )
        return self.rollout_steps, self.num_envs


def train_config(
    settings: TrainerSettings,
    agent: AgentConfig,
    env: tuple[str, dict[str, Any]],
    normalize_obs: bool,
) -> TrainConfig:
    """The run of the library that a trainer's is.

    Args:
        settings: the trainer's.
        agent: the agent's.
        env: a name that `make` knows, and its arguments, with the limit of steps.
        normalize_obs: whether the agent standardises what it observes.
    """
    n_steps, num_envs = settings.rollout(agent.minibatch_size)
    episodic = settings.mode == "episodic"
    algo = agent.ppo_config(
        n_steps=n_steps,
        num_envs=num_envs,
        whole_episodes=episodic,
        normalize_obs=normalize_obs,
        layer_grad_norms=settings.log_gradient_flow,
    )
    steps, unit = n_steps * num_envs, n_steps if episodic else n_steps * num_envs
    n_updates = settings.max_episodes // num_envs
    if not episodic:  # all that so many episodes can be long
        n_updates = -(-settings.max_episodes * settings.max_steps_per_episode // steps)
    runner = RunnerConfig(
        total_timesteps=n_updates * steps,
        eval_every=settings.eval_frequency * unit,
        eval_episodes=settings.eval_episodes if settings.eval_frequency else 0,
        eval_max_steps=settings.max_steps_per_episode,
        log_interval=0,
        log_episodes=not episodic or num_envs > 1,
        checkpoint_interval=settings.save_frequency * unit,
        checkpoint_share=1.0,
        seed=settings.seed,
        progress_bar=False,
        plot=False,
    )
    env_id, env_kwargs = env
    return TrainConfig(env_id=env_id, env_kwargs=env_kwargs, algo=algo, runner=runner)
