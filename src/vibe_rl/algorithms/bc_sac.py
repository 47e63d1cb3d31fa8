"""SAC that imitates an expert now and then (after Lu et al. 2023, arXiv:2212.11419).

The expert drives some of the envs, whose experience has a replay of its own; SAC samples its policy
in the others. Every so many updates the policy is fitted to what the expert says, by an optimiser
of its own, in place of the steps of SAC. Unlike the paper, whose losses are added: a step is of one
or of the other, as in V-Max.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array
from typing_extensions import override

from vibe_rl.algorithms.base import Setup, with_schedule_steps
from vibe_rl.algorithms.bc import BC, BCConfig, BCState
from vibe_rl.algorithms.expert import Expert
from vibe_rl.algorithms.off_policy import make_replay
from vibe_rl.algorithms.sac import SAC, SACConfig, SACMetrics, SACState
from vibe_rl.errors import ConfigError
from vibe_rl.replay.paired import PairedReplay
from vibe_rl.replay.ring import Batch
from vibe_rl.spaces import Space
from vibe_rl.types import Key, PyTree, Transition, description, number, static

OF_IMITATION = ("imitation_loss", "action_error", "imitation_steps")


@description
@dataclass(frozen=True, kw_only=True)
class BCSACConfig(SACConfig, BCConfig):
    """Hyperparameters of both. Those that fix a shape or a program are static."""

    hidden_sizes: tuple[int, ...] = static((256, 64, 32))
    """Widths of the dense layers."""
    batch_size: int = static(64, least=1)
    """Examples in a gradient step, of SAC and of imitation."""
    num_envs: int = static(8, least=1)
    """N, environments stepped side by side; expert_one_in divides it."""
    actor_lr: float = number(1e-4, least=0)
    """Adam's learning rate for the policy."""
    critic_lr: float = number(1e-4, least=0)
    """Adam's learning rate for the critics."""
    init_alpha: float = number(0.2, least=1e-6, finite=True)
    """Temperature at first: what a nat of entropy is worth."""
    autotune_alpha: bool = static(False)
    """Whether the temperature is learned, so that the entropy approaches its target."""
    lr: float = number(5e-5, least=0)
    """Adam's learning rate of imitation."""
    imitation_every: int = static(8, least=2)
    """Of so many updates the first imitates, and SAC learns in the others."""
    expert_one_in: int = static(8, least=2)
    """Of so many envs the expert drives the first, and the policy the others."""


class Imitation(NamedTuple):
    """What is kept beside SAC."""

    opt_state: PyTree
    step: Array  # int32, gradient steps made
    figures: dict[str, Array]  # what was measured last: an update measures one half only


@description
@dataclass(frozen=True)
class BCSAC(SAC):
    """SAC and behaviour cloning of one policy."""

    replay: PairedReplay = static()
    config_class: ClassVar[type] = BCSACConfig
    metrics: ClassVar[tuple[str, ...]] = (*SAC.metrics, *OF_IMITATION)
    losses: ClassVar[tuple[str, ...]] = (*SAC.losses, "imitation_loss")

    @override
    @classmethod
    def from_config(cls, config: Any, obs_space: Space, action_space: Space, setup: Setup) -> Any:
        config = with_schedule_steps(config, setup.total_timesteps)
        replay = paired_replay(config, setup)
        return cls(config, obs_space, action_space, replay, setup.warmup_steps)

    @property
    @override
    def expert(self) -> Expert:
        """Drives some of the envs."""
        config = self.config
        how = config.expert_noise, config.expert_one_in
        return Expert(config.expert, self.action_space, *how)

    @property
    def imitator(self) -> BC:
        """What learns from the expert."""
        return BC(self.config, self.obs_space, self.action_space, self.replay, self.warmup_steps)

    @override
    def check(self, num_envs: int) -> None:
        """Raises ConfigError for unsupported actions and settings that cannot work."""
        if self.config.prioritized:
            raise ConfigError("prioritized True is of a single replay, not of two: turn it off.")
        super().check(num_envs)

    @override
    def init(self, key: Key) -> SACState:
        """Fresh networks and optimisers, and empty rings."""
        state = super().init(key)
        opt_state = self.imitator.optimizer(self.config.lr).init(state.actor_params)
        names = [*SACMetrics._fields, "gradient_steps", *OF_IMITATION]
        names += ["lr"] if self.config.lr_end_factor is not None else []
        names += ["actor_grad_norm", "critic_grad_norm"] if self.measures_norms else []
        figures = {name: jnp.float32(0.0) for name in names}
        return state._replace(beside=Imitation(opt_state, jnp.int32(0), figures))

    @override
    def kept(self, rollout: Transition) -> Transition:
        """With what the expert says in place of what it did."""
        drives = jnp.asarray(self.expert.drives(rollout.reward.shape[1]))

        def choose(said: Array, done: Array) -> Array:
            return jnp.where(drives.reshape(1, -1, *(1,) * (done.ndim - 2)), said, done)

        action = jax.tree.map(choose, rollout.extras, rollout.action)
        return rollout._replace(action=action, extras=None)

    @override
    def learn(
        self, state: SACState, batches: Batch, key: Key
    ) -> tuple[SACState, dict[str, Array], Array]:
        """Steps of imitation if it is its turn, else of SAC; `batches` are for the latter."""
        sac_key, sample_key = jax.random.split(key)
        memory, shape = state.memory, (self.gradient_steps, self.config.batch_size)
        said = self.imitator.see(
            memory, self.replay.sample_driven(memory.ring, sample_key, shape, self.config.gamma)
        )
        turn = (memory.step - 1 - self.warmup_updates) % self.config.imitation_every == 0
        lean = state._replace(memory=memory._replace(ring=None))  # no condition on a ring: a copy
        state = jax.lax.cond(
            turn, lambda: self.imitate(lean, said), lambda: self.reinforce(lean, batches, sac_key)
        )
        sizes = jnp.zeros(shape, jnp.float32)
        return state._replace(memory=memory), state.beside.figures, sizes

    def reinforce(self, state: SACState, batches: Batch, key: Key) -> SACState:
        """The state after gradient steps of SAC."""
        state, metrics, _ = super().learn(state, batches, key)
        return with_figures(state, metrics)

    def imitate(self, state: SACState, batches: Batch) -> SACState:
        """The state after gradient steps towards what the expert says."""
        before: Imitation = state.beside
        cloned = BCState(state.actor_params, before.opt_state, before.step, state.memory)
        cloned, metrics, _ = self.imitator.learn(cloned, batches, jax.random.key(0))
        metrics = {name: metrics[name] for name in OF_IMITATION if name in metrics}
        metrics["imitation_steps"] = cloned.step.astype(jnp.float32)
        kept = before._replace(opt_state=cloned.opt_state, step=cloned.step)
        state = state._replace(actor_params=cloned.actor_params, beside=kept)
        return with_figures(self.averaged(state, self.gradient_steps), metrics)


def with_figures(state: SACState, metrics: dict[str, Array]) -> SACState:
    """The state in which these are the last figures."""
    figures = state.beside.figures | metrics
    return state._replace(beside=state.beside._replace(figures=figures))


def paired_replay(config: BCSACConfig, setup: Setup) -> PairedReplay:
    """A replay of the size asked for on either side.

    Raises:
        ConfigError: the envs cannot be divided so.
    """
    one_in, num_envs = config.expert_one_in, setup.num_envs
    n_driven = num_envs // one_in
    if num_envs % one_in or n_driven % setup.n_devices:
        on = f" on {setup.n_devices} devices" if setup.n_devices > 1 else ""
        raise ConfigError(
            f"expert_one_in {one_in} does not divide num_envs {num_envs}{on}: choose a multiple."
        )
    if setup.replay_on != "device":
        raise ConfigError(f"replay_on {setup.replay_on}: two replays need the device, use that.")
    parts = (setup._replace(num_envs=n) for n in (n_driven, num_envs - n_driven))
    return PairedReplay.of(*(make_replay(config, part) for part in parts))
