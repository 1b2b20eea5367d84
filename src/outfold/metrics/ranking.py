"""Metrics that judge the order of scores: ROC-AUC and average precision, with ties as scikit-learn treats them.

A row is positive in a column from a target of 0.5 on: soft targets are judged as the labels they round to.

Only the scores of positive rows matter as thresholds. The negatives are therefore sorted once into the gaps between
those thresholds; a resample then needs nothing but sums of weights by gap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from outfold.metrics.statistic import Kernel, Statistic, binning, ratio

MANY = 10_000
"""Scores from which on they are placed by compiled code."""


class Gaps(NamedTuple):
    """Weights by threshold, the m distinct scores of positive rows in rising order; each (m, r)."""

    positive: np.ndarray
    """Positive rows exactly at the threshold."""
    tied: np.ndarray
    """Negative rows exactly at it."""
    below: np.ndarray
    """Negative rows below it."""
    negative: np.ndarray
    """All negative rows, (r,)."""


Judge = Callable[[Gaps], np.ndarray]
"""A ranking metric of one column: its gaps -> float64 (r,), NaN where it is not defined."""

GapsOf = Callable[[np.ndarray], Gaps]
"""Weights float64 (n, r) -> how they fall into the gaps of one column."""


def roc_auc(gaps: Gaps) -> np.ndarray:
    """Chance that a positive row scores above a negative one, ties counting half (Mann-Whitney U / (P N))."""
    wins = (gaps.positive * (gaps.below + 0.5 * gaps.tied)).sum(axis=0)
    return ratio(wins, gaps.positive.sum(axis=0) * gaps.negative)


def average_precision(gaps: Gaps) -> np.ndarray:
    """Sum over thresholds of (rise in recall) x (precision there), without interpolation."""
    hits = gaps.positive[::-1].cumsum(axis=0)[::-1]
    precision = ratio(hits, hits + gaps.negative - gaps.below, 0.0)
    return ratio((gaps.positive * precision).sum(axis=0), gaps.positive.sum(axis=0))


def over_columns(judge: Judge) -> Kernel:
    """The unweighted mean of a ranking metric over the columns on which it is defined (n, k)."""

    def kernel(target: np.ndarray, prediction: np.ndarray) -> Statistic:
        columns = _columns(target, prediction)

        def statistic(weights: np.ndarray) -> np.ndarray:
            total, defined = np.zeros((2, weights.shape[1]))
            for gaps in columns:
                value = judge(gaps(weights))
                known = ~np.isnan(value)
                total[known] += value[known]
                defined += known
            return ratio(total, defined)

        return statistic

    return kernel


def over_cells(judge: Judge) -> Kernel:
    """A ranking metric of all cells (n, k) together, as if they were one column; a cell has the weight of its row."""

    def kernel(target: np.ndarray, prediction: np.ndarray) -> Statistic:
        gaps = _gaps(target.ravel() >= 0.5, prediction.ravel(), target.shape[1])
        return lambda weights: judge(gaps(weights))

    return kernel


def padded(kernel: Kernel, rows: int) -> Kernel:
    """The metric of these rows and of further ones that are positive in every column, with a prediction of 1.

    Every column then has positives. The added rows have a weight of one each in every resample. A prediction of 1 ties
    with theirs, and one above 1 ranks before them.

    Args:
        kernel: the metric.
        rows: how many are added.
    """

    def of_padded(target: np.ndarray, prediction: np.ndarray) -> Statistic:
        added = np.ones((rows, target.shape[1]))
        statistic = kernel(np.concatenate([target, added]), np.concatenate([prediction, added]))
        return lambda weights: statistic(np.concatenate([weights, np.ones((rows, weights.shape[1]))]))

    return of_padded


@dataclass(frozen=True)
class ByColumn:
    """Ranking metrics of each column by itself.

    Attributes:
        roc_auc: float64 (k,), NaN for a column without positive or without negative rows.
        average_precision: float64 (k,), NaN for a column without positive rows.
        positives: int64 (k,), rows with a target of at least 0.5.
        negatives: int64 (k,), the other rows.
    """

    roc_auc: np.ndarray
    average_precision: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


def by_column(target: np.ndarray, prediction: np.ndarray) -> ByColumn:
    """ROC-AUC and average precision of each class, with the counts that say how far to trust them.

    The mean of `roc_auc` without its NaN is the metric macro_roc_auc, that of `average_precision` is
    macro_average_precision.

    Args:
        target: (n, k); from 0.5 on a row is positive.
        prediction: (n, k), higher for positive rows.
    """
    every_row = np.ones((len(target), 1))
    columns = [gaps(every_row) for gaps in _columns(target, prediction)]
    auc, precision = (np.array([judge(gaps)[0] for gaps in columns]) for judge in (roc_auc, average_precision))
    positives = (target >= 0.5).sum(axis=0)
    return ByColumn(auc, precision, positives, len(target) - positives)


def _columns(target: np.ndarray, prediction: np.ndarray) -> list[GapsOf]:
    """By column, how weights fall into its gaps."""
    # Whole columns are read: laid out one after the other, they are read from the cache.
    pairs = zip(np.ascontiguousarray(target.T >= 0.5), np.ascontiguousarray(prediction.T), strict=True)
    return [_gaps(positive, scores) for positive, scores in pairs]


def _gaps(positive: np.ndarray, scores: np.ndarray, cells: int = 1) -> GapsOf:
    """How weights of rows (n, r) fall into the gaps between the scores of positives.

    Args:
        positive: bool (n * cells,).
        scores: float (n * cells,).
        cells: how many follow one another for each row, all with its weight.
    """
    thresholds = np.unique(scores[positive])
    count = len(thresholds)

    @cache
    def matrix() -> csr_array:
        rows = np.arange(len(scores)) // cells
        return binning(_bins(thresholds, scores, positive), 3 * count + 1, rows, len(scores) // cells)

    def gaps(weights: np.ndarray) -> Gaps:
        if weights.shape[1] == 1:  # the plain score, for which the matrix would not pay
            each = weights[:, 0] if cells == 1 else np.repeat(weights[:, 0], cells)
            sums = np.bincount(_bins(thresholds, scores, positive), each, 3 * count + 1)[:, None]
        else:
            sums = matrix() @ weights
        negatives = sums[: 2 * count + 1]
        up_to = negatives.cumsum(axis=0)
        return Gaps(sums[2 * count + 1 :], negatives[1::2], up_to[0:-1:2], up_to[-1])

    return gaps


def _bins(thresholds: np.ndarray, scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """int64 (n,): 2j between thresholds j-1 and j, 2j + 1 at threshold j; positives 2m + 1 + j at threshold j."""
    if len(scores) >= MANY:
        from outfold.metrics.placing import bins  # numba takes a while to import

        return bins(thresholds, scores, positive)
    between = np.searchsorted(thresholds, scores, "left") + np.searchsorted(thresholds, scores, "right")
    return np.where(positive, 2 * len(thresholds) + 1 + between // 2, between)
