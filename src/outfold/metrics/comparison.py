"""Is B better than A, or was it luck? The paired bootstrap of the difference of a metric."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from outfold.metrics.bootstrap import middle, resampled, units_of
from outfold.metrics.registry import Metric, check_arrays

ROUNDING = 1e-12
"""Two scores nearer than this, relative to their size, are equal: their sums were added up in another order."""


class Estimate(NamedTuple):
    """A number and its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two predictions of the same rows, judged by one metric.

    Attributes:
        a: score of the first.
        b: score of the second.
        difference: b - a, in the metric's own sense: below zero is better for a loss.
        probability: share of the resamples in which B is better, equal scores counting half; NaN where there is only
            one row or group to draw from.
        rows: how many rows were compared.
        units: how many rows or groups of rows the resamples were drawn from.
        undefined: resamples left out, for the metric is not defined on them.
    """

    a: Estimate
    b: Estimate
    difference: Estimate
    probability: float
    rows: int
    units: int
    undefined: int


def compare(
    metric: Metric,
    target: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Compare two predictions on the same resampled rows (paired percentile bootstrap).

    Both are scored on each resample, so that rows which are hard for both do not blur their difference. The
    probability is the bootstrap's: the share of resamples that put B first. It says how sure one can be of the order
    on rows like these, not on rows of another kind, and nothing of how many models were tried before.

    Args:
        metric: from `get_metric`.
        target: (n, k) as encoded by `TargetCodec`.
        a: (n, k) probabilities, or values of a regression.
        b: likewise, of the same rows in the same order.
        groups: (n,) labels; whole groups are drawn, since rows of one group are not independent evidence.
        n_resamples: how many times as many rows (or groups) as there are, are drawn with replacement.
        seed: decides the draws; with the same seed they are those of `interval`.
        level: share of the resamples inside the intervals.

    Raises:
        DataError: the shapes differ, or a number is not finite.
    """
    for prediction in (a, b):
        check_arrays(target, prediction)
    units = units_of(groups, len(target))
    scores = resampled([metric.statistic(target, a), metric.statistic(target, b)], units, n_resamples, seed)
    values = metric.function(target, a), metric.function(target, b)
    gained = better_by(metric, *scores)
    return Comparison(
        a=Estimate(values[0], *middle(scores[0], level)),
        b=Estimate(values[1], *middle(scores[1], level)),
        difference=Estimate(values[1] - values[0], *middle(scores[1] - scores[0], level)),
        probability=share_above_zero(gained),
        rows=len(target),
        units=int(units.max()) + 1,
        undefined=int(np.isnan(gained).sum()),
    )


def better_by(metric: Metric, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """By how much scores b are better than scores a, elementwise; 0 where only rounding tells them apart."""
    gain = b - a if metric.greater_is_better else a - b
    return np.where(np.abs(gain) <= ROUNDING * np.maximum(np.abs(a), np.abs(b)), 0.0, gain)


def share_above_zero(gain: np.ndarray) -> float:
    """Share of the numbers above zero, zeros counting half and NaN nothing; NaN without any number."""
    known = gain[~np.isnan(gain)]
    return float((np.sign(known).mean() + 1) / 2) if len(known) else float("nan")
