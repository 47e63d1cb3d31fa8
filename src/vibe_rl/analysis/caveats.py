"""What makes a comparison less than it seems: a table of checks, each a list of sentences."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

from vibe_rl.analysis.aggregate import FEW_SEEDS
from vibe_rl.analysis.method import Method, Seed

Methods = dict[str, Method]


def doubts(methods: Methods) -> list[str]:
    """What a reader of the comparison should know about its runs, a sentence each."""
    return [sentence for check in _CHECKS for sentence in check(methods)]


def listed(items: Iterable[str | int | float]) -> str:
    """Names or numbers in a sentence."""
    return ", ".join(item if isinstance(item, str) else f"{item:,}" for item in items)


def _unequal_steps(methods: Methods) -> list[str]:
    sentences = []
    for env_id in next(iter(methods.values())):
        steps = {name: {seed.step for seed in method[env_id]} for name, method in methods.items()}
        if len(set.union(*steps.values())) > 1:
            told = "; ".join(f"{name} {listed(sorted(some))}" for name, some in steps.items())
            sentences.append(f"env steps differ on {env_id} ({told}).")
    return sentences


def _unequal_tasks(methods: Methods) -> list[str]:
    sentences = []
    for env_id in next(iter(methods.values())):
        settings = _unlike([seed for method in methods.values() for seed in method[env_id]])
        of_task = [name for name in settings if name.startswith("env_kwargs.")]
        if of_task:
            sentences.append(f"{listed(of_task)} differ on {env_id}: the tasks are not the same.")
    return sentences


def _mixtures(methods: Methods) -> list[str]:
    return [
        f"{listed(_unlike(seeds))} differ among {place}: the runs are not seeds of one method."
        for place, seeds in _places(methods).items()
        if _unlike(seeds)
    ]


def _twins(methods: Methods) -> list[str]:
    found = [place for place, seeds in _places(methods).items() if _has_twins(seeds)]
    return [f"the same seed counts twice in {listed(found)}."] if found else []


def _diverged(methods: Methods) -> list[str]:
    lost = {
        place: sum(seed.score == -inf for seed in seeds)
        for place, seeds in _places(methods).items()
    }
    return [
        f"{n} of the seeds of {place} diverged and count as the lowest."
        for place, n in lost.items()
        if n
    ]


def _few_seeds(methods: Methods) -> list[str]:
    few = [place for place, seeds in _places(methods).items() if len(seeds) < FEW_SEEDS]
    warning = f"fewer than {FEW_SEEDS} seeds make the interval too narrow"
    return [f"{warning} ({listed(few)})."] if few else []


def _uneven_seeds(methods: Methods) -> list[str]:
    uneven = [name for name, m in methods.items() if len({len(seeds) for seeds in m.values()}) > 1]
    warning = "environments with more seeds count more in the IQM"
    return [f"{warning} ({listed(uneven)})."] if uneven else []


_CHECKS = (
    _unequal_steps,
    _unequal_tasks,
    _mixtures,
    _twins,
    _diverged,
    _few_seeds,
    _uneven_seeds,
)


def _places(methods: Methods) -> dict[str, list[Seed]]:
    """The seeds of each method in each environment."""
    return {f"{n} on {e}": seeds for n, method in methods.items() for e, seeds in method.items()}


def _unlike(seeds: Sequence[Seed]) -> list[str]:
    """The settings of what learns, and of its task, that are not the same in all runs."""
    first, *others = [_settings(seed.config) for seed in seeds]
    names = sorted({name for settings in (first, *others) for name in settings})
    return [n for n in names if any(settings.get(n) != first.get(n) for settings in others)]


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for name in ("algorithm", "algo", "env_kwargs"):
        section = config.get(name)
        fields = section if isinstance(section, dict) else {}
        flat |= {f"{name}.{field}": value for field, value in fields.items()} or {name: section}
    return flat


def _has_twins(seeds: Sequence[Seed]) -> bool:
    """Whether two runs recorded the same seed; a config that names none is of no known one."""
    runners = [seed.config.get("runner") for seed in seeds]
    numbers = [r["seed"] for r in runners if isinstance(r, dict) and r.get("seed") is not None]
    return len(set(numbers)) < len(numbers)
