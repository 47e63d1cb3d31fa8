"""Metrics of evaluations that a user defines: functions of what is known of single episodes."""

from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from vibe_rl.errors import ConfigError, check_kind, short
from vibe_rl.runner.evaluation import Evaluation
from vibe_rl.runner.evaluator import EvalMetrics
from vibe_rl.types import AnyArray

Columns = Mapping[str, np.ndarray]
"""`return`, `length`, `finished` and what the env says of each episode, `[n_episodes]` each."""
EvalMetric = Callable[[Columns], AnyArray | float]
"""`metric(columns)`: a number for each episode, `[n_episodes]`, or one for all of them."""
OF_EPISODES = ("return", "length", "finished")
OF_ROWS = (*OF_EPISODES, "return_std")


def _columns_of(scores: EvalMetrics) -> dict[str, np.ndarray]:
    """What is known of each episode, by its names in files."""
    found = scores.episode_returns, scores.episode_lengths, scores.finished
    columns = dict(zip(OF_EPISODES, found, strict=True)) | scores.episode_metrics
    return {name: np.asarray(x) for name, x in columns.items()}


def with_metrics(scores: EvalMetrics, functions: Mapping[str, EvalMetric]) -> EvalMetrics:
    """The evaluation with metrics of the user's, under their names.

    A number for each episode is a column beside the env's, which later functions see, and its mean
    is the metric `NAME_mean`, of those that are not NaN; one number is the metric `NAME`. In rows
    both begin with `eval_`.

    Raises:
        ConfigError: a function returns something else.
    """
    columns, means = _columns_of(scores), {}
    for name, function in functions.items():
        value = np.asarray(function(columns), np.float32)
        if value.shape == columns["return"].shape:
            columns[name], means[f"{name}_mean"] = value, jnp.nanmean(value)
        elif value.shape == ():
            means[name] = value
        else:
            raise ConfigError(
                f"eval_metrics {name} returns an array {value.shape} for "
                f"{len(columns['return'])} episodes: return a number for each, or one."
            )
    own = {name: jnp.asarray(x) for name, x in columns.items() if name not in OF_EPISODES}
    means = {name: jnp.asarray(x) for name, x in means.items()}
    return scores._replace(metrics=scores.metrics | means, episode_metrics=own)


def measured(evaluation: Evaluation, functions: Mapping[str, EvalMetric]) -> Evaluation:
    """The evaluation, its results with metrics of the user's; of many agents, those of each."""
    for scores in evaluation:
        yield scores if scores is None or not functions else _with_metrics_of_all(scores, functions)


def _with_metrics_of_all(scores: EvalMetrics, functions: Mapping[str, EvalMetric]) -> EvalMetrics:
    scores = jax.device_get(scores)
    if scores.finished.ndim == 1:
        return with_metrics(scores, functions)
    each = [jax.tree.map(lambda x, i=i: x[i], scores) for i in range(len(scores.finished))]
    each = [with_metrics(one, functions) for one in each]
    return jax.tree.map(lambda *entries: jnp.stack(entries), *each)


def unfit_metrics(functions: Mapping[str, object], taken: set[str]) -> Iterator[str]:
    """What cannot work of such functions, where the env says `taken` of its episodes."""
    check_kind("eval_metrics", functions, dict, Mapping)
    for name, function in functions.items():
        if not callable(function):
            yield f"eval_metrics {name} is {short(function)}: give a function."
        if not isinstance(name, str) or {name} & {*taken, *OF_ROWS} or " " in name:
            yield f"eval_metrics {short(name)} has a name that is taken or has a space: rename it."
