"""What a blend writes down: weights by source, what learning them gained, and scores beside its members'."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from outfold.ensemble.nested import Nested
from outfold.files import known
from outfold.metrics import Comparison, Metric, compare


def learning(found: Nested, names: Sequence[str], folds: Iterable[int]) -> dict[str, Any]:
    """Weights by source, final and by fold, and what learning them gained over the plain mean.

    Args:
        found: of a nested blend.
        names: of its members.
        folds: of its splits.
    """
    parts = zip(folds, found.by_fold, found.learned_on, strict=True)
    return {
        "weights": by_name(names, found.weights),
        "folds": [{"fold": fold, "weights": by_name(names, weights), "learned_on": n} for fold, weights, n in parts],
        "in_sample": known(found.in_sample),
        "optimism": known(found.optimism),
        "gain_over_mean": gain_of(found.gain),
    }


def scores(
    members: np.ndarray,
    prediction: np.ndarray,
    target: np.ndarray,
    metric: Metric,
    names: Sequence[str],
    groups: np.ndarray | None,
) -> dict[str, Any]:
    """Scores of the blend, of the plain mean and of each member, and how sure it is that the blend beats the best one.

    Args:
        members: float (m, n, k), out of fold.
        prediction: float (n, k), the blend's.
        target: float (n, k).
        metric: what the run is judged by.
        names: of the members.
        groups: (n,), drawn as a whole for the interval.
    """
    alone = np.array([metric.function(target, one) for one in members])
    worth = alone if metric.greater_is_better else -alone
    best = int(np.argmax(np.nan_to_num(worth, nan=-np.inf)))
    comparison = compare(metric, target, members[best], prediction, groups)
    return {
        "metric": metric.name,
        "blend": known(comparison.b.value),
        "mean": known(metric.function(target, members.mean(axis=0))),
        "best_member": names[best],
        "gain_over_best": gain_of(comparison),
        "members": {name: known(value) for name, value in zip(names, alone, strict=True)},
    }


def by_name(names: Sequence[str], weights: np.ndarray) -> dict[str, float]:
    """Weights (m,) by the members' names."""
    return dict(zip(names, map(float, weights), strict=True))


def in_order(weights: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Weights by name as float64 (m,)."""
    return np.array([weights[name] for name in names])


def gain_of(comparison: Comparison) -> dict[str, float | None]:
    """The difference b - a in the metric's own sense, its interval, and the probability that b is better."""
    found = comparison.difference._asdict() | {"probability": comparison.probability}
    return {name: known(value) for name, value in found.items()}
