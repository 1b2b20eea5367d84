"""Percentile bootstrap intervals, over rows or over groups of rows."""

from collections.abc import Sequence

import numpy as np

from outfold.metrics.registry import Metric, check_arrays
from outfold.metrics.statistic import Statistic

WEIGHTS_AT_ONCE = 2**19
"""Resampling weights computed together: 4 MB of float64, which a core's cache holds."""


def interval(
    metric: Metric,
    target: np.ndarray,
    prediction: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """The interval that holds the middle `level` of the scores of resampled rows (Efron's percentile method).

    Args:
        metric: from `get_metric`.
        target: (n, k) as encoded by `TargetCodec`.
        prediction: (n, k) probabilities, or values of a regression.
        groups: (n,) labels; whole groups are drawn, since rows of one group are not independent evidence.
        n_resamples: how many times as many rows (or groups) as there are, are drawn with replacement.
        seed: decides the draws.
        level: share of the resampled scores inside.

    Returns:
        (low, high); both NaN where there is only one row or group to draw from. Resamples on which the metric is not
        defined, e.g. ROC-AUC when all drawn rows are of one class, are left out.
    """
    check_arrays(target, prediction)
    units = units_of(groups, len(target))
    return middle(resampled([metric.statistic(target, prediction)], units, n_resamples, seed)[0], level)


def units_of(groups: np.ndarray | None, n: int) -> np.ndarray:
    """What is drawn, as int64 (n,) from 0 on: each of n rows by itself, or its group.

    Groups are numbered by their first row, so that draws do not depend on what the groups are called.
    """
    if groups is None:
        return np.arange(n)
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group]


def resampled(statistics: Sequence[Statistic], units: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Scores of the same resamples by several statistics, float64 (len(statistics), n_resamples).

    Args:
        statistics: of the same n rows.
        units: (n,) from `units_of`; NaN is all that comes of a single unit.
        n_resamples: how many times as many units as there are, are drawn with replacement.
        seed: decides the draws.
    """
    count, rng = int(units.max()) + 1, np.random.default_rng(seed)
    scores = np.full((len(statistics), n_resamples), np.nan)
    step = max(1, WEIGHTS_AT_ONCE // len(units))
    for start in range(0, n_resamples if count > 1 else 0, step):
        weights = _draws(rng, count, min(step, n_resamples - start))[units]
        scores[:, start : start + step] = [statistic(weights) for statistic in statistics]
    return scores


def middle(scores: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The quantiles between which the middle `level` of the scores lies, without those that are NaN."""
    defined = scores[~np.isnan(scores)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draws(rng: np.random.Generator, count: int, resamples: int) -> np.ndarray:
    """How often each of `count` units is drawn, float64 (count, resamples); each column sums to `count`."""
    # One draw at a time, so that the numbers do not depend on how many are computed together.
    columns = [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(resamples)]
    return np.stack(columns, axis=1).astype(np.float64)
