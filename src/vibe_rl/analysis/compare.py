"""The scores of several methods in the environments that they share."""

import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vibe_rl.analysis.aggregate import normalize_scores
from vibe_rl.analysis.caveats import caveats, comma_separated
from vibe_rl.analysis.method import Method, load_method
from vibe_rl.errors import ConfigError
from vibe_rl.run_dir.group import AnyPath


class Comparison(NamedTuple):
    """Scores of methods, by their names in the order given."""

    env_ids: list[str]
    scores: dict[str, list[np.ndarray]]  # for each environment an array [seeds]
    caveats: list[str]  # a sentence each


def compare(
    paths: Sequence[AnyPath], metric: str = "eval_return", best: bool = False
) -> Comparison:
    """Reads the scores of the methods in `paths`.

    One environment leaves them in the metric's own unit; several are brought to a common scale by
    `normalize_scores`.

    Args:
        paths: Two or more directories: each a run, a group of seeds, or a folder that holds several
            of these.
        metric: A key of the rows of metrics; more is better.
        best: Takes the highest value of each seed instead of its last. This flatters: among noisy
            values it picks the lucky one.

    Raises:
        ConfigError: A directory holds no runs or some of another's, a run has no such metric, or
            the methods are not in the same environments.
    """
    _check_different(paths)
    loaded = [load_method(path, metric, best) for path in paths]
    methods = dict(zip(_names(paths), loaded, strict=True))
    _check_apart(methods)
    env_ids = _shared_environments(methods)
    scores = [[_scores(method, env_id) for env_id in env_ids] for method in loaded]
    if len(env_ids) > 1:
        scores = normalize_scores(scores)
    return Comparison(env_ids, dict(zip(methods, scores, strict=True)), caveats(methods))


def _scores(method: Method, env_id: str) -> np.ndarray:
    return np.array([seed.score for seed in method[env_id]], np.float64)


def _names(paths: Sequence[AnyPath]) -> list[str]:
    """The directories' own names, or the paths where two have the same."""
    names = [Path(path).absolute().name for path in paths]
    return names if len(set(names)) == len(names) else [str(Path(path)) for path in paths]


def _check_different(paths: Sequence[AnyPath]) -> None:
    if len(paths) < 2:
        raise ConfigError("a comparison needs two directories or more: vibe-rl compare A B.")
    for one, other in combinations(paths, 2):
        if Path(one).resolve() == Path(other).resolve():
            raise ConfigError(f"{os.fspath(other)} is given twice: name each directory once.")


def _check_apart(methods: dict[str, Method]) -> None:
    owners: dict[Path, str] = {}
    seeds = [(n, s) for n, method in methods.items() for group in method.values() for s in group]
    for name, seed in seeds:
        owner = owners.setdefault(seed.run.root.resolve(), name)
        if owner != name:
            raise ConfigError(f"{owner} and {name} share the run {seed.run}: leave one out.")


def _shared_environments(methods: dict[str, Method]) -> list[str]:
    """The environments of all methods; ConfigError names those that a method lacks."""
    known = sorted({env_id for method in methods.values() for env_id in method})
    lacking = [
        f"{name} lacks {comma_separated(env_id for env_id in known if env_id not in method)}"
        for name, method in methods.items()
        if len(method) < len(known)
    ]
    if lacking:
        raise ConfigError(f"environments differ ({'; '.join(lacking)}): give all the same ones.")
    return known
