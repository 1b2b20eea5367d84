"""What all blends take: predictions of several members as one array, weights, and a score that is quick to ask for."""

from collections.abc import Callable, Sequence

import numpy as np

from outfold.data.predictions import Predictions
from outfold.errors import DataError
from outfold.metrics import Metric
from outfold.metrics.registry import check_arrays

Members = np.ndarray | Sequence[np.ndarray]
"""Predictions of the same n rows by m members: float (m, n, k), or a list of m arrays (n, k)."""

Judge = Callable[[np.ndarray], float]
"""Predictions (n, k) -> how good they are; more is better, whatever the metric's direction."""


def stacked(members: Members) -> np.ndarray:
    """Members as one float64 array (m, n, k).

    Raises:
        DataError: there are none, their shapes differ or are not (n, k), or a number is not finite.
    """
    shapes = [np.shape(member) for member in members]
    if not shapes or len(set(shapes)) > 1 or len(shapes[0]) != 2:
        raise DataError(
            "the members' predictions do not fit together",
            got=f"shapes {', '.join(map(str, dict.fromkeys(shapes)))}" if shapes else "no members",
            expected="the same (rows, outputs) of every member",
            fix="align them by id first, see Predictions.aligned_to",
        )
    values = np.asarray(members, dtype=np.float64)
    member, row, _ = (places[:1] for places in np.nonzero(~np.isfinite(values)))
    if len(member):
        raise DataError("a member's prediction is not finite", got=f"member {member[0]}, row {row[0]}")
    return values


def aligned(parts: Sequence[Predictions]) -> np.ndarray:
    """Several predictions of the same samples as members, float64 (m, n, k), in the order of the first one's ids.

    Raises:
        DataError: there are none; ids, outputs or spaces differ; a number is not finite.
    """
    for part in parts[1:]:
        for name in ("outputs", "space"):
            own, other = getattr(parts[0], name), getattr(part, name)
            if own != other:
                raise DataError(f"predictions of different {name} cannot be blended", got=other, expected=own)
    return stacked([part.aligned_to(parts[0].ids).values for part in parts])


def shares(weights: np.ndarray | Sequence[float] | None, count: int) -> np.ndarray:
    """Weights of the members, scaled to a sum of one; all alike when not given.

    Raises:
        DataError: they are not `count` numbers from 0 on with a sum above 0.
    """
    given = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (count,) or not (np.isfinite(given) & (given >= 0)).all() or not given.any():
        expected = f"{count} numbers from 0 on, not all of them 0"
        raise DataError("the weights do not fit the members", got=np.round(given, 6).tolist(), expected=expected)
    return given / given.sum()


def judge(metric: Metric, target: np.ndarray) -> Judge:
    """A metric as something to be raised: fast where it is asked for many blends of the same rows.

    Args:
        metric: from `get_metric`.
        target: (n, k) as encoded by `TargetCodec`.

    Raises:
        DataError: when it is used, the metric is not defined on these rows.
    """
    sign = 1.0 if metric.greater_is_better else -1.0
    fast = FAST[metric.name](target) if metric.name in FAST else None

    def score(prediction: np.ndarray) -> float:
        value = metric.function(target, prediction) if fast is None else fast(prediction)
        if np.isnan(value):
            raise DataError(f"{metric.name} is not defined on the {len(target)} rows that weights are learned on")
        return sign * value

    return score


def checked(members: Members, target: np.ndarray) -> np.ndarray:
    """Members as `stacked`, of the same shape as the target.

    Raises:
        DataError: they do not fit, or a number is not finite.
    """
    values = stacked(members)
    check_arrays(target, values[0])
    return values


def _by_order(judged: Callable[[np.ndarray, np.ndarray], float], target: np.ndarray, *, needs_negative: bool) -> Judge:
    """The mean over columns of a metric of the order, as `outfold.metrics` defines it; NaN where no column has one."""
    columns = [
        (column, np.flatnonzero(positive), np.flatnonzero(~positive))
        for column, positive in enumerate(target.T >= 0.5)
        if positive.any() and not (needs_negative and positive.all())
    ]

    def score(prediction: np.ndarray) -> float:
        values = [
            judged(prediction[above, column], np.sort(prediction[below, column])) for column, above, below in columns
        ]
        return float(np.mean(values)) if values else float("nan")

    return score


def _roc_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """From scores of positive rows (p,) and those of negative rows (q,), ascending; positives need no order."""
    wins = np.searchsorted(negative, positive, "left").sum() + np.searchsorted(negative, positive, "right").sum()
    return float(wins / (2 * len(positive) * len(negative)))


def _average_precision(positive: np.ndarray, negative: np.ndarray) -> float:
    """Likewise: the mean over positive rows of the precision at their score."""
    ordered = np.sort(positive)
    hits = len(ordered) - np.searchsorted(ordered, ordered, "left")
    return float((hits / (hits + len(negative) - np.searchsorted(negative, ordered, "left"))).mean())


FAST: dict[str, Callable[[np.ndarray], Judge]] = {
    "roc_auc": lambda target: _by_order(_roc_auc, target, needs_negative=True),
    "macro_roc_auc": lambda target: _by_order(_roc_auc, target, needs_negative=True),
    "average_precision": lambda target: _by_order(_average_precision, target, needs_negative=False),
    "macro_average_precision": lambda target: _by_order(_average_precision, target, needs_negative=False),
}
"""Metrics of the order by their name; they need no preparation for resampling, and only one sort."""
