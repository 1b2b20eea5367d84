"""Metrics that judge the order of scores: ROC-AUC and average precision, with ties as scikit-learn treats them.

Only the scores of positive rows matter as thresholds. The negatives are therefore sorted once into the gaps between
those thresholds; a resample then needs nothing but sums of weights by gap.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from outfold.metrics.statistic import Kernel, Statistic, binning, ratio


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


def roc_auc(gaps: Gaps) -> np.ndarray:
    """Chance that a positive row scores above a negative one, ties counting half (Mann-Whitney U / (P N))."""
    wins = (gaps.positive * (gaps.below + 0.5 * gaps.tied)).sum(axis=0)
    return ratio(wins, gaps.positive.sum(axis=0) * gaps.negative)


def average_precision(gaps: Gaps) -> np.ndarray:
    """Sum over thresholds of (rise in recall) x (precision there), without interpolation."""
    hits = gaps.positive[::-1].cumsum(axis=0)[::-1]
    precision = ratio(hits, hits + gaps.negative - gaps.below, 0.0)
    return ratio((gaps.positive * precision).sum(axis=0), gaps.positive.sum(axis=0))


def over_columns(judge: Callable[[Gaps], np.ndarray]) -> Kernel:
    """The unweighted mean of a ranking metric over the columns on which it is defined (n, k)."""

    def kernel(target: np.ndarray, prediction: np.ndarray) -> Statistic:
        columns = [_gaps(target[:, column] >= 0.5, prediction[:, column]) for column in range(target.shape[1])]

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


def _gaps(positive: np.ndarray, scores: np.ndarray) -> Callable[[np.ndarray], Gaps]:
    """How weights (n, r) fall into the gaps of one column; `positive` bool (n,), `scores` (n,)."""
    thresholds = np.unique(scores[positive])
    count = len(thresholds)
    # A score between thresholds j-1 and j gets bin 2j, a score equal to threshold j gets 2j + 1; positives come after.
    between = np.searchsorted(thresholds, scores, "left") + np.searchsorted(thresholds, scores, "right")
    matrix = binning(np.where(positive, 2 * count + 1 + between // 2, between), 3 * count + 1)

    def gaps(weights: np.ndarray) -> Gaps:
        sums = matrix @ weights
        negatives = sums[: 2 * count + 1]
        up_to = negatives.cumsum(axis=0)
        return Gaps(sums[2 * count + 1 :], negatives[1::2], up_to[0:-1:2], up_to[-1])

    return gaps
