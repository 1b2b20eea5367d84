"""Is a difference more than chance? Differences by fold as a t interval, and intervals of many differences at once."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

Verdict = Literal["better", "worse", "noise"]


class Paired(NamedTuple):
    """Differences by fold."""

    mean: float
    deviation: float
    """Standard deviation with n - 1; NaN of one difference."""
    low: float
    high: float
    p: float
    """Two-sided, of the mean being zero."""


def paired_t(differences: Sequence[float] | np.ndarray, *, overlap: float = 0.0, level: float = 0.95) -> Paired:
    """The mean of paired differences and its t interval.

    Folds share most of their training rows, so their differences are no independent draws and the textbook's interval
    is too narrow. The corrected one adds the share of judging to training rows to the variance's 1 / n.

    Source: Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.

    Args:
        differences: (n,), one a fold; those that are NaN are left out.
        overlap: judging rows divided by training rows, 1 / (k - 1) for k folds; 0 is the textbook's interval, as
            `scipy.stats.ttest_rel` gives it.
        level: of the interval.

    Returns:
        NaN for deviation, interval and p where there are fewer than two differences.
    """
    known = np.asarray(differences, dtype=np.float64)
    known = known[~np.isnan(known)]
    count = len(known)
    mean = float(known.mean()) if count else math.nan
    if count < 2:
        return Paired(mean, math.nan, math.nan, math.nan, math.nan)
    deviation = float(known.std(ddof=1))
    error = deviation * math.sqrt(1 / count + overlap)
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, count - 1)) if error else float(mean == 0)
    return Paired(mean, deviation, mean - half, mean + half, p)


def simultaneous(level: float, comparisons: int) -> float:
    """The level of each of several intervals that together hold with `level` (Bonferroni)."""
    return 1 - (1 - level) / max(comparisons, 1)


def verdict(low: float, high: float, *, greater_is_better: bool) -> Verdict:
    """What the interval of a difference says: noise where it holds zero or is not known."""
    if not (low > 0 or high < 0):
        return "noise"
    return "better" if (low > 0) == greater_is_better else "worse"
