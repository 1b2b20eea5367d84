"""An honest score of a blend whose weights are learned: no row is blended by weights that were learned on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from outfold.ensemble.average import weighted
from outfold.ensemble.members import Members, checked
from outfold.errors import DataError
from outfold.metrics import Comparison, Metric, compare

Learn = Callable[[np.ndarray, np.ndarray, Metric], np.ndarray]
"""Members (m, n, k), target (n, k), metric -> weights (m,)."""

Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Members (m, n, k), weights (m,) -> blend (n, k)."""

Split = tuple[np.ndarray, np.ndarray]
"""Rows that weights are learned on and rows that they blend, both int64."""


@dataclass(frozen=True)
class Nested:
    """A blend with learned weights, and what learning them was worth.

    Attributes:
        prediction: float64 (n, k), each row blended by weights that were learned on rows of other folds.
        weights: float64 (m,), learned on all rows: those for rows that come later.
        by_fold: float64 (f, m), the weights that each split's rows were blended with.
        learned_on: rows that each split's weights were learned on; 0 where there were none: members count alike then.
        score: of `prediction`: the honest one.
        in_sample: of all rows blended by `weights`, which were learned on them.
        plain: of the plain mean, which learns nothing.
        members: float64 (m,), of each member alone.
        gain: from the plain mean to `prediction`, on the same resampled rows or groups; what the selection gained.
    """

    prediction: np.ndarray
    weights: np.ndarray
    by_fold: np.ndarray
    learned_on: tuple[int, ...]
    score: float
    in_sample: float
    plain: float
    members: np.ndarray
    gain: Comparison

    @property
    def optimism(self) -> float:
        """In-sample minus nested score, in the metric's own sense: what learning on the judged rows would pretend."""
        return self.in_sample - self.score


def nested(
    members: Members,
    target: np.ndarray,
    splits: Sequence[Split],
    metric: Metric,
    learn: Learn,
    *,
    combine: Combine = weighted,
    groups: np.ndarray | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Nested:
    """Learn weights for each fold on the other folds' out-of-fold rows, and blend the fold with them.

    The members' own predictions must be out of fold. Those of the rows that weights are learned on come from models
    that may have trained on the judged fold, as in any stacking on one set of folds; the weights themselves never see
    its labels beside its predictions.

    Args:
        members: (m, n, k), out of fold.
        target: (n, k) as encoded by `TargetCodec`.
        splits: rows to learn on and rows to blend; every row is blended once.
        metric: what is to become best.
        learn: e.g. `greedy`, `constrained`.
        combine: blends by weights.
        groups: (n,) labels; whole groups are drawn for the interval of the gain.
        n_resamples: resamples for that interval.
        seed: decides them.

    Raises:
        DataError: members and target do not fit or are not finite, or a row is blended never or twice.
    """
    values = checked(members, target)
    _refuse_gaps(splits, len(target))
    prediction, by_fold = np.zeros_like(values[0]), []
    for train, valid in splits:
        weights = learned(values[:, train], target[train], metric, learn)
        prediction[valid] = combine(values[:, valid], weights)
        by_fold.append(weights)
    final = learned(values, target, metric, learn)
    plain = combine(values, np.full(len(values), 1 / len(values)))
    gain = compare(metric, target, plain, prediction, groups, n_resamples=n_resamples, seed=seed)
    return Nested(
        prediction=prediction,
        weights=final,
        by_fold=np.array(by_fold),
        learned_on=tuple(len(train) for train, _ in splits),
        score=gain.b.value,
        in_sample=metric.function(target, combine(values, final)),
        plain=gain.a.value,
        members=np.array([metric.function(target, value) for value in values]),
        gain=gain,
    )


def learned(values: np.ndarray, target: np.ndarray, metric: Metric, learn: Learn) -> np.ndarray:
    """Weights (m,) learned on these rows; equal ones where there are none, as before the first of folds in time."""
    return learn(values, target, metric) if len(target) else np.full(len(values), 1 / len(values))


def _refuse_gaps(splits: Sequence[Split], rows: int) -> None:
    times = np.bincount(np.concatenate([valid for _, valid in splits]), minlength=rows)
    wrong = np.flatnonzero(times != 1)
    if len(wrong):
        got = f"{len(wrong)} rows are not, the first are {wrong[:3].tolist()}"
        raise DataError("every row must be held out by one split", got=got)
