"""Population-based training: members of which the worst go on from the best, with other numbers."""

from vibe_rl.experiment.population.breeding import history_of
from vibe_rl.experiment.population.training import Ranked, evolve, ranked, resume_population, tracks

__all__ = ["Ranked", "evolve", "history_of", "ranked", "resume_population", "tracks"]
