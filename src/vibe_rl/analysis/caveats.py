"""Caveats of a comparison: a table of checks, each of which gives a list of sentences."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

from vibe_rl.analysis.aggregate import FEW_SEEDS
from vibe_rl.analysis.method import Method, Seed

Methods = dict[str, Method]


def caveats(methods: Methods) -> list[str]:
    """Reasons not to take the comparison at face value, a sentence each."""
    return [sentence for check in _CHECKS for sentence in check(methods)]


def comma_separated(items: Iterable[str | int | float]) -> str:
    """Names and numbers as a sentence lists them."""
    return ", ".join(item if isinstance(item, str) else f"{item:,}" for item in items)


def _unequal_steps(methods: Methods) -> list[str]:
    sentences = []
    for env_id in next(iter(methods.values())):
        steps = {name: {seed.step for seed in method[env_id]} for name, method in methods.items()}
        if len(set.union(*steps.values())) > 1:
            each = [f"{name} {comma_separated(sorted(some))}" for name, some in steps.items()]
            sentences.append(f"env steps differ on {env_id} ({'; '.join(each)}).")
    return sentences


def _unequal_tasks(methods: Methods) -> list[str]:
    sentences = []
    for env_id in next(iter(methods.values())):
        fields = _differing([seed for method in methods.values() for seed in method[env_id]])
        of_task = comma_separated(name for name in fields if name.startswith("env_kwargs."))
        if of_task:
            sentences.append(f"{of_task} differ on {env_id}: the tasks are not the same.")
    return sentences


def _mixtures(methods: Methods) -> list[str]:
    fields = {place: _differing(seeds) for place, seeds in _places(methods).items()}
    return [
        f"{comma_separated(some)} differ among {place}: the runs are not seeds of one method."
        for place, some in fields.items()
        if some
    ]


def _twins(methods: Methods) -> list[str]:
    places = [place for place, seeds in _places(methods).items() if _has_twins(seeds)]
    return [f"the same seed counts twice in {comma_separated(places)}."] if places else []


def _diverged(methods: Methods) -> list[str]:
    counts = {
        place: sum(seed.score == -inf for seed in seeds)
        for place, seeds in _places(methods).items()
    }
    return [
        f"{count} of the seeds of {place} diverged and count as the lowest."
        for place, count in counts.items()
        if count
    ]


def _few_seeds(methods: Methods) -> list[str]:
    few = [place for place, seeds in _places(methods).items() if len(seeds) < FEW_SEEDS]
    warning = f"fewer than {FEW_SEEDS} seeds make the interval too narrow"
    return [f"{warning} ({comma_separated(few)})."] if few else []


def _uneven_seeds(methods: Methods) -> list[str]:
    uneven = [name for name, m in methods.items() if len({len(seeds) for seeds in m.values()}) > 1]
    warning = "environments with more seeds count more in the IQM"
    return [f"{warning} ({comma_separated(uneven)})."] if uneven else []


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


def _differing(seeds: Sequence[Seed]) -> list[str]:
    """The fields of the algorithm and of the task that differ among the runs."""
    first, *others = [_flat(seed.config) for seed in seeds]
    names = sorted({name for fields in (first, *others) for name in fields})
    return [n for n in names if any(fields.get(n) != first.get(n) for fields in others)]


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for name in ("algorithm", "algo", "env_kwargs"):
        section = config.get(name)
        fields = section if isinstance(section, dict) else {}
        flat |= {f"{name}.{field}": value for field, value in fields.items()} or {name: section}
    return flat


def _has_twins(seeds: Sequence[Seed]) -> bool:
    """Whether two runs recorded the same seed; configs without one are left out."""
    runners = [seed.config.get("runner") for seed in seeds]
    numbers = [r["seed"] for r in runners if isinstance(r, dict) and r.get("seed") is not None]
    return len(set(numbers)) < len(numbers)
