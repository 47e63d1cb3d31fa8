"""Hydra's sweeper over Optuna: `hydra/sweeper=optuna`; the studies are those of `vibe-rl search`.

The published plugin needs Optuna 2 or 3.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from typing_extensions import override

from vibe_rl.configs.axes import Range
from vibe_rl.errors import ConfigError, NonFiniteLossError, reason
from vibe_rl.experiment.search.optuna import suggest_values
from vibe_rl.experiment.search.space import Domain
from vibe_rl.experiment.search.study import best_trial, open_study, run_trials
from vibe_rl.extras import require
from vibe_rl.run_dir.plain import plain
from vibe_rl.trainers.driving.trials import reporting_to

HOME = "hydra_plugins.vibe_rl"
"""The package that Hydra wants its plugins in; the class is registered under this name."""


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

    __module__ = HOME

    def __init__(
        self, n_trials: int, study: str, storage: str, pruner: str, sampler_seed: int | None
    ):
        self.n_trials = n_trials
        self.named = study, storage
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
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        space, fixed = split_space(parser.parse_overrides(arguments))
        require("optuna.logging", "optuna", "sweeps").set_verbosity(30)  # warnings
        study = open_study(*self.named, {"space": plain(space), "words": fixed}, *self.how)
        run_trials(study, self.objective(space, fixed), self.n_trials, [print_trial])
        best = best_trial(study)
        if best is not None:
            print(
                f"Best | trial {best.number}, {best.value:.4g}: {' '.join(words_of(best.params))}"
            )
        return best

    def objective(
        self, space: Mapping[str, Domain], fixed: Sequence[str]
    ) -> Callable[[Any], float]:
        """What Optuna maximizes: the launcher runs a trial's words."""
        pruned = require("optuna", "optuna", "sweeps").TrialPruned

        def run(trial: Any) -> float:
            words = [*fixed, *words_of(suggest_values(trial, space))]
            try:
                with reporting_to(lambda figure, step: reported(trial, figure, step)):
                    figure = self.launch(words, trial.number)
            except (ConfigError, NonFiniteLossError) as error:
                trial.set_user_attr("refused", reason(error))
                raise pruned(reason(error)) from None
            if not math.isfinite(figure) or trial.user_attrs.get("ended"):
                raise pruned("ended by its evaluations")
            return figure

        return run

    def launch(self, words: Sequence[str], number: int) -> float:
        """What a run returns."""
        assert self.launcher is not None
        (job,) = self.launcher.launch([list(words)], initial_job_idx=number)
        return float(job.return_value)


def reported(trial: Any, figure: float, step: int) -> bool:
    """Tells the study of an evaluation; whether to end the trial there."""
    if not math.isfinite(figure):
        return True
    trial.report(figure, step)
    ended = bool(trial.should_prune())
    if ended:
        trial.set_user_attr("ended", step)
    return ended


def split_space(overrides: Sequence[Any]) -> tuple[dict[str, Domain], list[str]]:
    """What varies, and the words that do not.

    Raises:
        ConfigError: nothing varies.
    """
    space, fixed = {}, []
    for each in overrides:
        if each.is_sweep_override():
            space[each.get_key_element()] = domain_of(each)
        else:
            fixed.append(f"{each.get_key_element()}={each.get_value_element_as_str()}")
    if not space:
        raise ConfigError(
            "no key has several values: name some, such as 'algorithm.gamma=interval(0.95,0.99)'."
        )
    return space, fixed


def domain_of(override: Any) -> Domain:
    """The choices, as words, or the range of an override."""
    value = override.value()
    if not isinstance(value, IntervalSweep):
        return list(override.sweep_string_iterator())
    low, high = value.start, value.end
    if low is None or high is None or not low < high:
        raise ConfigError(f"{override.input_line}: give the lower end first.")
    domain = Range(low, high)
    if "log" in value.tags and not domain.log:
        raise ConfigError(
            f"{override.input_line}: scales are logarithmic from ten times the lower end on, leave "
            "tag out."
        )
    return domain


def words_of(values: Mapping[str, Any]) -> list[str]:
    """Values as overrides."""
    return [f"{name}={value}" for name, value in values.items()]


def print_trial(study: Any, trial: Any) -> None:
    """Prints how a trial ended."""
    attrs, words = trial.user_attrs, " ".join(words_of(trial.params))
    if "refused" in attrs:
        ending = f"refused: {attrs['refused']}"
    elif trial.value is None:
        ending = f"pruned at {attrs.get('ended', '?')} env steps"
    else:
        ending = f"{trial.value:.4g}"
    print(f"Trial {trial.number} | {words} | {ending}")


def register_sweeper() -> None:
    """Makes the sweeper known to Hydra, under `hydra/sweeper=optuna`."""
    if f"{HOME}.{OptunaSweeper.__name__}" not in Plugins.instance().class_name_to_class:
        Plugins.instance().register(OptunaSweeper)
    node = {
        "_target_": f"{HOME}.{OptunaSweeper.__name__}",
        "n_trials": 20,
        "study": "driving",
        "storage": str(Path("runs", "driving_study.journal")),
        "pruner": "median",
        "sampler_seed": None,
    }
    ConfigStore.instance().store(name="optuna", node=node, group="hydra/sweeper")
