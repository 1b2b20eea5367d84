"""What each member is worth: scores with intervals, how alike members rank, and what the blend loses without one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from outfold.ensemble.members import Members, checked, stacked
from outfold.metrics import Metric, middle
from outfold.metrics.bootstrap import resampled, units_of
from outfold.metrics.comparison import Estimate

Blend = Callable[[np.ndarray], np.ndarray]
"""Places of the members that are kept, int64 -> their blend (n, k)."""


@dataclass(frozen=True)
class Worth:
    """Scores of m members and their blend, all on the same resampled rows or groups.

    Attributes:
        blend: of all members.
        members: of each alone.
        gains: blend of all minus blend of all others, in the metric's own sense: what the member adds.
    """

    blend: Estimate
    members: tuple[Estimate, ...]
    gains: tuple[Estimate, ...]


def worth(
    members: Members,
    target: np.ndarray,
    metric: Metric,
    blend: Blend,
    groups: np.ndarray | None = None,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Worth:
    """Score members, their blend, and the blend without each of them; all paired, by the percentile bootstrap.

    A member that scores less than another may still add more, where its mistakes are others.

    Args:
        members: (m, n, k) out of fold, at least two.
        target: (n, k) as encoded by `TargetCodec`.
        metric: from `get_metric`.
        blend: how the kept members are blended.
        groups: (n,) labels; whole groups are drawn.
        n_resamples: how many times.
        seed: decides the draws; with the same seed they are those of `outfold.metrics.interval`.
        level: share of the resamples inside the intervals.

    Raises:
        DataError: members and target do not fit, or a number is not finite.
    """
    values = checked(members, target)
    everyone = np.arange(len(values))
    without = [blend(np.delete(everyone, member)) for member in everyone]
    judged = [blend(everyone), *values, *without]
    points = np.array([metric.function(target, one) for one in judged])
    statistics = [metric.statistic(target, one) for one in judged]
    scores = resampled(statistics, units_of(groups, len(target)), n_resamples, seed)
    alone, less = slice(1, len(values) + 1), slice(len(values) + 1, None)
    return Worth(
        blend=Estimate(points[0], *middle(scores[0], level)),
        members=_estimates(points[alone], scores[alone], level),
        gains=_estimates(points[0] - points[less], scores[0] - scores[less], level),
    )


def rank_correlation(members: Members) -> np.ndarray:
    """Spearman's rank correlation of each two members, float64 (m, m), averaged over outputs; the less, the better.

    An output that one of two members predicts alike for all rows says nothing of them and is left out; NaN where that
    leaves none.

    Raises:
        DataError: members do not fit together or are not finite.
    """
    ranks = rankdata(stacked(members), axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1))
    products = np.einsum("ank,bnk->abk", centred, centred)
    lengths = length[:, None] * length[None]
    defined = lengths > 0
    total = np.divide(products, lengths, out=np.zeros_like(products), where=defined).sum(axis=2)
    outputs = defined.sum(axis=2)
    return np.divide(total, outputs, out=np.full(outputs.shape, np.nan), where=outputs > 0)


def _estimates(points: np.ndarray, scores: np.ndarray, level: float) -> tuple[Estimate, ...]:
    return tuple(Estimate(float(point), *middle(draws, level)) for point, draws in zip(points, scores, strict=True))
