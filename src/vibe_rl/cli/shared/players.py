"""What the commands share that let an agent or a person play."""

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from vibe_rl.errors import ConfigError

if TYPE_CHECKING:
    from vibe_rl.watching import Subject


@dataclass(frozen=True)
class _Player:
    """Who plays."""

    run: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="RUN")] = None
    """Directory of a run; or a params_N.npz, a model of SB3 (.zip) or a recorded episode (.json)"""
    latest: tyro.conf.FlagCreatePairsOff[bool] = False
    """The newest run in runs/ or checkpoints/ instead"""
    replay: str | None = None
    """A recorded episode instead"""
    model: str | None = None
    """A model of SB3 (.zip) instead, as seed 003 has it"""
    sample: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draws actions as in training instead of taking the best"""
    seed: int | None = None
    """Of fresh episodes; by default those of its last evaluation are repeated"""
    max_steps: int | None = None
    """Env steps after which an episode is cut short; by default the run's limit"""
    hidden_dim: int | None = None
    """Width of the layers in a params_N.npz, instead of what its shapes say"""
    num_layers: int | None = None
    """Their number, instead of what its shapes say"""

    @property
    def limits(self) -> dict[str, int | None]:
        """Which episodes are played, as `watch` and `record` take it."""
        return {"seed": self.seed, "max_steps": self.max_steps}

    def find(self, best: bool) -> "Subject":
        """The agent, on the CPU; `best` takes that of the best evaluation.

        Raises:
            ConfigError: nothing is named, more than one thing, or there is none.
        """
        compute_on_cpu()
        from vibe_rl.watching import Wanted, find, newest_run  # noqa: PLC0415

        named = [place for place in (self.run, self.replay, self.model) if place is not None]
        if len(named) + self.latest != 1:
            raise ConfigError("name one run, or --latest, or --replay FILE: vibe-rl watch RUN.")
        wanted = Wanted(best, self.sample, self.hidden_dim, self.num_layers)
        return find(newest_run() if self.latest else named[0], wanted)


AnyPlayer = tyro.conf.OmitArgPrefixes[_Player]
"""Its fields as options of a command."""


def compute_on_cpu() -> None:
    """Leaves accelerators to what trains beside this process, unless JAX_PLATFORMS is set.

    It does nothing where JAX is imported already.
    """
    if "jax" not in sys.modules:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
