"""Forward selection of members with replacement."""

import numpy as np

from outfold.ensemble.members import Judge, Members, checked, judge
from outfold.metrics import Metric
from outfold.metrics.comparison import ROUNDING

PATIENCE = 10
"""Picks without a gain after which nothing more is expected of the selection."""


def greedy(
    members: Members,
    target: np.ndarray,
    metric: Metric,
    *,
    rounds: int = 50,
    bags: int = 1,
    bag_share: float = 0.5,
    seed: int = 0,
) -> np.ndarray:
    """Weights by forward selection with replacement (Caruana, Niculescu-Mizil, Crew, Ksikes 2004).

    The mean of the best so many members is the start (their "sorted ensemble initialization"). Then, round by round,
    the member joins that makes the mean best; the same member may join again and so gets more weight. A round that
    gains nothing still adds the best member, for that makes later steps finer; the best mean of the whole path is kept,
    the shortest of equals.

    Args:
        members: (m, n, k) probabilities or values, as a rule out of fold.
        target: (n, k) as encoded by `TargetCodec`.
        metric: what the mean is to be good at.
        rounds: how many members join at most, after the start; ten in a row without a gain end the search.
        bags: selections among a random part of the members each, whose weights are averaged; one among all for 1.
        bag_share: how large that part is.
        seed: decides the parts.

    Returns:
        float64 (m,), from 0 on, with a sum of one.

    Raises:
        DataError: members and target do not fit or are not finite, or the metric is not defined on these rows.
    """
    values, score = checked(members, target), judge(metric, target)
    count, rng = len(values), np.random.default_rng(seed)
    order = best_first(values, score)
    drawn = [np.arange(count)]
    if bags > 1:
        part = max(1, round(bag_share * count))
        drawn = [np.sort(rng.choice(count, part, replace=False)) for _ in range(bags)]
    weights = np.zeros(count)
    for part_of_order in drawn:
        chosen = order[part_of_order]
        picks = _select(values[chosen], score, rounds)
        weights[chosen] += picks / picks.sum() / len(drawn)
    return weights


def best_first(values: np.ndarray, score: Judge) -> np.ndarray:
    """Places of the members (m, n, k), the best first: among equal steps the better member's is then taken."""
    return np.argsort([-score(value) for value in values], kind="stable")


def _select(values: np.ndarray, score: Judge, rounds: int) -> np.ndarray:
    """How often each member was picked, float64 (m,); the members (m, n, k) come best first."""
    picks, best = _sorted_start(values, score)
    total, kept, waited = np.tensordot(picks, values, axes=1), picks.copy(), 0
    for _ in range(rounds):
        trials = [score((total + value) / (picks.sum() + 1)) for value in values]
        joins = int(np.argmax(trials))
        picks[joins] += 1
        total = total + values[joins]
        if trials[joins] > best + ROUNDING * abs(best):
            best, kept, waited = trials[joins], picks.copy(), 0
        else:
            waited += 1
        if waited == PATIENCE:
            break
    return kept


def _sorted_start(values: np.ndarray, score: Judge) -> tuple[np.ndarray, float]:
    """The first members that together have the best mean, as picks (m,), and that mean's score."""
    sizes = np.arange(1, len(values) + 1)
    scores = [score(total / size) for size, total in zip(sizes, values.cumsum(axis=0), strict=True)]
    best = int(np.argmax(scores))
    return (sizes <= best + 1).astype(np.float64), scores[best]
