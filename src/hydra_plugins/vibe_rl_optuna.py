"""What Hydra finds of vibe_rl: the sweeper `optuna`. It imports the library only when it sweeps."""

from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from typing_extensions import override


class OptunaSweeper(Sweeper):
    """Runs trials whose values Optuna chooses, and maximizes what a run returns.

    Values with commas are choices, `interval(low, high)` is a range: logarithmic where the upper
    end is ten times the lower or more. Trials are pruned by their evaluations, where the launcher
    runs them in this process.

    Args:
        n_trials: of all workers that share the study.
        study: its name.
        storage: a database or the path of a journal, which is gone on with if it is there.
        pruner: median, halving or none.
        sampler_seed: of the first trial; None is a different one each time.
    """

    def __init__(
        self, n_trials: int, study: str, storage: str, pruner: str, sampler_seed: int | None
    ):
        self.n_trials = n_trials
        self.place = study, storage
        self.how = pruner, sampler_seed
        self.launcher = self.config = self.hydra_context = None

    @override
    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    @override
    def sweep(self, arguments: list[str]) -> Any:
        from vibe_rl.trainers.driving.sweeps import run_study  # noqa: PLC0415 - takes a second

        assert self.hydra_context is not None
        assert self.launcher is not None
        loader = self.hydra_context.config_loader
        return run_study(arguments, loader, self.launcher, self.place, self.how, self.n_trials)


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="optuna",
    node={
        "_target_": f"{__name__}.{OptunaSweeper.__name__}",
        "n_trials": 20,
        "study": "driving",
        "storage": "runs/driving.journal",
        "pruner": "median",
        "sampler_seed": None,
    },
    provider="vibe_rl",
)
