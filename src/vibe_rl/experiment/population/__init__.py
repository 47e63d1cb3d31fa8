"""Population-based training: the worst members exploit the best ones and explore from there."""

from vibe_rl.experiment.population.exploit import read_exchanges
from vibe_rl.experiment.population.schedules import hyperparameter_schedules
from vibe_rl.experiment.population.training import (
    RankedMember,
    evolve,
    rank_members,
    resume_population,
)

__all__ = [
    "RankedMember",
    "evolve",
    "hyperparameter_schedules",
    "rank_members",
    "read_exchanges",
    "resume_population",
]
