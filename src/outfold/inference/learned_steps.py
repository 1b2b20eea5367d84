"""Numbers of post-processing steps, learned by a metric.

Factors are found in closed form, thresholds among all that differ, numbers of steps in time by search.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from outfold.data.audio.rows import RowClips
from outfold.errors import RecipeError
from outfold.inference.learned_in_time import best_boost, best_kernel, scored_by
from outfold.inference.postprocess import apply_one, working
from outfold.metrics import Metric
from outfold.settings.postprocess import Step
from outfold.settings.task import Task

TIE = 1e-12
"""Losses nearer than this, relative to the smallest, are equal: their sums were added up in another order."""


class Errors(NamedTuple):
    """How a metric sees errors: as a sum over targets of weight * (sum over rows of |y - p|^power)^root."""

    power: int
    root: float


ERRORS = {"mae": Errors(1, 1.0), "rmse": Errors(2, 0.5), "r2": Errors(2, 1.0), "weighted_r2": Errors(2, 1.0)}
"""By metric of a regression; each target's number can then be learned by itself."""

NO_BOOST, NO_KERNEL = 0.0, (1.0,)
"""Numbers of steps in time that change nothing."""


def check_metric(metric: Metric) -> None:
    """Refuse a metric whose best factors and thresholds nobody knows how to find.

    Raises:
        RecipeError: names the metrics that can be learned by.
    """
    if metric.name not in ERRORS:
        problem = f"no number of a step can be learned by {metric.name}"
        raise RecipeError(problem, expected=f"one of {list(ERRORS)}", fix="give the numbers instead of `fit`")


def learn(
    values: np.ndarray,
    target: np.ndarray,
    steps: Sequence[Step],
    task: Task,
    metric: Metric,
    clips: RowClips | None = None,
) -> list[Step]:
    """The steps with numbers instead of `fit`, each learned on what the steps before it give.

    Without any row nothing can be learned: factors are 1, nothing is cut, raised or smoothed.

    Args:
        values: (n, k) predictions, out of fold.
        target: (n, k).
        steps: as the recipe has them.
        task: names the columns.
        metric: what is to become best; one of `ERRORS`, or any for steps in time.
        clips: which seconds of which recording each row is; for steps in time.

    Raises:
        DataError: the metric is not defined on rows that a step in time is learned on, or a step cannot be done.
    """
    learned, values = [], working(values, steps)
    for step in steps:
        learned.append(_learn_one(values, target, step, task, metric, clips) if step.fitted else step)
        values = apply_one(values, learned[-1], task, clips)
    return learned


def factor(values: np.ndarray, target: np.ndarray, power: int) -> float:
    """The factor from 0 on that makes the sum of |y - factor * p|^power smallest.

    Args:
        values: (n,) predictions p.
        target: (n,) truth y.
        power: 2: least squares, <y, p> / <p, p>. 1: the median of y / p, where each row weighs |p|.

    Returns:
        1 where no prediction differs from 0.
    """
    used = values != 0
    p, y = values[used].astype(np.float64), target[used].astype(np.float64)
    if not len(p):
        return 1.0
    best = y @ p / (p @ p) if power == 2 else _weighted_median(y / p, np.abs(p))
    return max(float(best), 0.0)


def threshold(
    values: np.ndarray, target: np.ndarray, errors: Errors, weights: np.ndarray | None = None
) -> float | None:
    """The threshold below which values had better be 0, the same for all columns; None where nothing is gained.

    Thresholds lie halfway between neighbouring values (of any column) and above all of them; every one is tried. Of
    equally good ones it is the lowest.

    Args:
        values: (n, k) predictions.
        target: (n, k).
        errors: how the metric sees them.
        weights: (k,) of the columns; all alike when not given.
    """
    p, y = values.astype(np.float64), target.astype(np.float64)
    tried = np.unique(p)
    kept = np.abs(y - p) ** errors.power
    gained = np.abs(y) ** errors.power - kept
    # Sums of errors, when nothing, the lowest value, the lowest two .. are cut.
    sums = np.empty((len(tried) + 1, p.shape[1]))
    for column in range(p.shape[1]):
        order = np.argsort(p[:, column], kind="stable")
        below = np.searchsorted(p[order, column], np.append(tried, np.inf))
        sums[:, column] = kept[:, column].sum() + np.append(0, np.cumsum(gained[order, column]))[below]
    loss = np.maximum(sums, 0) ** errors.root @ (np.ones(p.shape[1]) if weights is None else weights)
    if not loss.min() < loss[0] * (1 - TIE):  # also where the metric is not defined on these rows
        return None
    best = int(np.flatnonzero(loss <= loss.min() * (1 + TIE))[0])
    return float((tried[best - 1] + tried[best]) / 2 if best < len(tried) else np.nextafter(tried[-1], np.inf))


def column_weights(target: np.ndarray, metric: Metric) -> np.ndarray:
    """float64 (k,): what the columns weigh in `ERRORS`, measured by an error of each column's own size in it alone."""
    y, errors = target.astype(np.float64), ERRORS[metric.name]
    size = np.sqrt((y**2).mean(axis=0))
    size[size == 0] = 1.0
    best = metric.function(y, y)
    lost = [abs(metric.function(y, y + size * (np.arange(len(size)) == k)) - best) for k in range(len(size))]
    return np.array(lost) / (len(y) * size**errors.power) ** errors.root


def _learn_one(
    values: np.ndarray, target: np.ndarray, step: Step, task: Task, metric: Metric, clips: RowClips | None
) -> Step:
    if step.in_time:
        return _learn_in_time(values, target, step, task, metric, clips)
    return _learn_on_columns(values, target, step, task.target, metric)


def _learn_on_columns(values: np.ndarray, target: np.ndarray, step: Step, names: Sequence[str], metric: Metric) -> Step:
    errors = ERRORS[metric.name]
    if step.name == "multiply":
        factors = {
            name: factor(*_columns(values, target, names, [name]), errors.power) if isinstance(given, str) else given
            for name, given in step.multiply.items()
        }
        return step.model_copy(update={"multiply": factors})
    if not isinstance(step.zero_below, dict):
        limit = threshold(values, target, errors, column_weights(target, metric)) if len(target) else None
        return step.model_copy(update={"zero_below": {} if limit is None else limit})
    limits = {
        name: threshold(*_columns(values, target, names, [name]), errors) if isinstance(given, str) else given
        for name, given in step.zero_below.items()
    }
    return step.model_copy(update={"zero_below": {name: limit for name, limit in limits.items() if limit is not None}})


def _learn_in_time(
    values: np.ndarray, target: np.ndarray, step: Step, task: Task, metric: Metric, clips: RowClips | None
) -> Step:
    score = scored_by(metric, target)

    def worth(number: float | tuple[float, ...]) -> float:
        return score(apply_one(values, _with_number(step, number), task, clips))

    if step.boost is not None:
        return _with_number(step, best_boost(worth) if len(target) else NO_BOOST)
    return _with_number(step, best_kernel(worth) if len(target) else NO_KERNEL)


def _with_number(step: Step, number: float | tuple[float, ...]) -> Step:
    """A step in time with this weight, or this kernel."""
    if step.boost is not None:
        return step.model_copy(update={"boost": step.boost.model_copy(update={"weight": number})})
    assert step.smooth is not None  # there are two steps in time with numbers
    return step.model_copy(update={"smooth": step.smooth.model_copy(update={"kernel": number})})


def _columns(
    values: np.ndarray, target: np.ndarray, names: Sequence[str], chosen: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    places = [names.index(name) for name in chosen]
    return values[:, places], target[:, places]


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The smallest of the values (n,) below or at which half of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, reached[-1] / 2)]])
