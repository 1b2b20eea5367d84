"""scikit-learn's greedy rule for stratified groups, compiled: the same folds, a thousand times as many a second.

The rule (`stratified_group_kfold` has it in numpy) takes groups one by one and puts each into the fold after which the
mean over classes of the standard deviation over folds of the class's shares is least; nearly equal ones (`np.isclose`)
count as a tie, which the fold with fewer rows wins. Two things make it fast without changing a single decision:

- Counts are whole numbers, so variances are exact: k sum n^2 - (sum n)^2 in every class, and putting x rows into a fold
  that has n adds 2 k x n and a constant. One square root for each fold and class of the group then ranks the folds.
- Only folds that come within the tie's tolerance of the best can win. Where there is more than one, rounding decides,
  and these are computed again in numpy's own order of operations.
"""

from collections.abc import Callable

import numpy as np

from outfold.data.folds.compiled import compiled, inlined
from outfold.data.folds.evenness import unevenness
from outfold.data.folds.mersenne import LANES, WORDS, begin_streams, shuffle
from outfold.data.folds.summation import LANES as SUM_LANES
from outfold.data.folds.summation import leaves_of, numpy_sum
from outfold.data.folds.tally import Tally
from outfold.errors import DataError

RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""The tolerances of `np.isclose`."""
ROUNDING = 1e-12
"""More than rounding moves a mean of standard deviations of shares."""

GROUP = np.dtype([("first", np.int64), ("end", np.int64), ("rows", np.float64), ("rank", np.int64)], align=True)
"""A group's pairs are first..end - 1; groups of one rank are equally uneven."""
PAIR = np.dtype([("label", np.int64), ("count", np.float64)], align=True)
"""A class of a group and how many rows it has there."""
LABEL = np.dtype(
    [
        ("total", np.float64),  # rows of the class
        ("scale", np.float64),  # makes the root of k sum n^2 - (sum n)^2 a share of the mean deviation
        ("sum", np.float64),  # of its rows over folds
        ("square", np.float64),  # sum of its squared rows over folds
        ("spread", np.float64),  # standard deviation over folds of its shares, divided by C
        ("exact", np.float64),  # the same, not divided, as numpy rounds it, unless stale
        ("stale", np.int64),
    ],
    align=True,
)
"""A class while groups are dealt out."""
FOLD = np.dtype([("rows", np.float64), ("score", np.float64), ("share", np.float64)], align=True)
"""A fold while groups are dealt out: its rows, its score for one group, and room for a share of one class."""


def greedy_kernel(tally: Tally) -> Callable[[int, np.ndarray, np.ndarray], None]:
    """The rule for one table as a kernel of `outfold.data.folds.scan`.

    Raises:
        DataError: all rows are of one class, which leaves the rule nothing to go by.
    """
    if tally.counts.shape[1] < 2:
        expected, fix = "at least two classes to stratify by", "stratify by some column, or use method balanced"
        raise DataError("the greedy rule spreads classes, and all rows are of one", expected=expected, fix=fix)
    group, label = np.nonzero(tally.counts)
    _, rank, members = np.unique(-np.std(tally.counts, axis=1), return_inverse=True, return_counts=True)
    ends = np.searchsorted(group, np.arange(tally.n_groups), side="right")
    groups = np.zeros(tally.n_groups, dtype=GROUP)
    groups["first"], groups["end"], groups["rows"], groups["rank"] = np.append(0, ends[:-1]), ends, tally.rows, rank
    pairs = np.zeros(len(group), dtype=PAIR)
    pairs["label"], pairs["count"] = label, tally.counts[group, label]
    labels = np.zeros(tally.counts.shape[1], dtype=LABEL)
    labels["total"] = tally.counts.sum(axis=0)
    labels["scale"] = 1 / (tally.k * labels["total"] * len(labels))
    ranks, leaves = np.cumsum(members) - members, leaves_of(len(labels))
    aim = (tally.strata_of_class, tally.strata, tally.mean_rows, tally.rows_weight)

    def kernel(first: int, values: np.ndarray, fold_of_group: np.ndarray) -> None:
        deal_seeds(first, values, fold_of_group, tally.k, groups, ranks, pairs, labels.copy(), leaves, *aim)

    return kernel


@compiled
def deal_seeds(
    first: int,
    values: np.ndarray,
    fold_of_group: np.ndarray,
    k: int,
    groups: np.ndarray,
    ranks: np.ndarray,
    pairs: np.ndarray,
    labels: np.ndarray,
    leaves: np.ndarray,
    strata_of_class: np.ndarray,
    strata: np.ndarray,
    mean_rows: float,
    rows_weight: float,
) -> None:
    """Deal groups out by each of the seeds from `first` on.

    Args:
        first: the first seed.
        values: float64 (seeds,), becomes the imbalance of each seed's folds.
        fold_of_group: int64 (G,), becomes the folds of the last seed.
        k: folds.
        groups: GROUP (G,).
        ranks: int64 (R,), where in the order the groups of each rank begin.
        pairs: PAIR (E,).
        labels: LABEL (C,) with totals and scales; the rest is overwritten.
        leaves: from `leaves_of(C)`.
        strata_of_class: int64 (C, B).
        strata: STRATUM (S,).
        mean_rows: rows of an even fold.
        rows_weight: weight of the fold sizes.
    """
    states = np.empty((WORDS, LANES), dtype=np.uint32)
    shuffled, order, place = np.empty_like(fold_of_group), np.empty_like(fold_of_group), np.empty_like(ranks)
    folds, trial = np.empty(k, dtype=FOLD), np.empty(len(labels))
    counts, share = np.empty((len(labels), k)), np.empty((len(labels), k))
    room = np.empty(SUM_LANES + len(leaves))
    in_strata = np.empty((k, len(strata)))
    for number in range(len(values)):
        if number % LANES == 0:
            begin_streams(first + number, states)
        shuffle(states, number % LANES, shuffled)
        _sort_stably(shuffled, groups, ranks, place, order)
        _empty(labels, folds, counts, share)
        level = 0.0
        for group in order:
            fold = _best_fold(groups[group], pairs, labels, folds, counts, share, trial, leaves, room, level)
            level += _put(groups[group], fold, pairs, labels, folds, counts)
            fold_of_group[group] = fold
        _count_strata(counts, strata_of_class, in_strata)
        values[number] = 0
        for fold in range(k):
            values[number] += unevenness(in_strata, fold, folds[fold].rows, strata, mean_rows, rows_weight) / k


@inlined
def _sort_stably(
    shuffled: np.ndarray, groups: np.ndarray, ranks: np.ndarray, place: np.ndarray, order: np.ndarray
) -> None:
    """Uneven groups first, equals as they were shuffled; no seed changes the ranks, so nothing is compared."""
    for rank in range(len(ranks)):
        place[rank] = ranks[rank]
    for group in shuffled:
        rank = groups[group].rank
        order[place[rank]] = group
        place[rank] += 1


@inlined
def _empty(labels: np.ndarray, folds: np.ndarray, counts: np.ndarray, share: np.ndarray) -> None:
    for fold in range(len(folds)):
        folds[fold].rows = 0
    for number in range(len(labels)):
        label = labels[number]
        label.sum, label.square, label.spread, label.exact, label.stale = 0, 0, 0, 0, 0
        for fold in range(len(folds)):
            counts[number, fold] = share[number, fold] = 0


@inlined
def _put(
    group: np.record, fold: int, pairs: np.ndarray, labels: np.ndarray, folds: np.ndarray, counts: np.ndarray
) -> float:
    """Put a group into a fold; returns by how much the mean deviation rises."""
    k, rise = len(folds), 0.0
    for number in range(group.first, group.end):
        place, count = pairs[number].label, pairs[number].count
        label, before = labels[place], counts[place, fold]
        counts[place, fold] = before + count
        label.sum += count
        label.square += count * (2 * before + count)
        rise -= label.spread
        label.spread = label.scale * np.sqrt(k * label.square - label.sum * label.sum)
        rise += label.spread
        label.stale = 1
    folds[fold].rows += group.rows
    return rise


@inlined
def _best_fold(
    group: np.record,
    pairs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    counts: np.ndarray,
    share: np.ndarray,
    trial: np.ndarray,
    leaves: np.ndarray,
    room: np.ndarray,
    level: float,
) -> int:
    """The fold that the rule chooses, given the mean deviation before."""
    _score(group, pairs, labels, folds, counts)
    best = 0
    for fold in range(1, len(folds)):
        if folds[fold].score < folds[best].score:
            best = fold
    # A tie may lead from the best fold to one that is a little worse, and from there to the next, k - 1 times at most.
    least = folds[best].score
    limit = least + 1.01 * len(folds) * (ABSOLUTE + RELATIVE * (least + level)) + ROUNDING
    near = 0
    for fold in range(len(folds)):
        near += folds[fold].score <= limit
    return best if near == 1 else _decide(group, limit, pairs, labels, folds, counts, share, trial, leaves, room)


@inlined
def _score(group: np.record, pairs: np.ndarray, labels: np.ndarray, folds: np.ndarray, counts: np.ndarray) -> None:
    """For each fold, what the group's classes would add to the mean deviation."""
    k = len(folds)
    for fold in range(k):
        folds[fold].score = 0
    for number in range(group.first, group.end):
        place, count = pairs[number].label, pairs[number].count
        label = labels[place]
        base = k * (label.square + count * count) - (label.sum + count) * (label.sum + count)
        for fold in range(k):
            folds[fold].score += label.scale * np.sqrt(base + 2 * k * count * counts[place, fold])


@inlined
def _refresh(labels: np.ndarray, folds: np.ndarray, counts: np.ndarray, share: np.ndarray) -> None:
    """Bring exact shares and deviations up to date."""
    for number in range(len(labels)):
        if labels[number].stale:
            for fold in range(len(folds)):
                share[number, fold] = counts[number, fold] / labels[number].total
            labels[number].exact = _deviation(share, number, 0, share[number, 0])
            labels[number].stale = 0


@inlined
def _decide(
    group: np.record,
    limit: float,
    pairs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    counts: np.ndarray,
    share: np.ndarray,
    trial: np.ndarray,
    leaves: np.ndarray,
    room: np.ndarray,
) -> int:
    """scikit-learn's choice among the folds with a score within the limit, in its own floating-point steps."""
    _refresh(labels, folds, counts, share)
    best, least, fewest = 0, np.inf, np.inf
    for fold in range(len(folds)):
        if folds[fold].score <= limit:
            for number in range(len(labels)):
                trial[number] = labels[number].exact
            for number in range(group.first, group.end):
                label = pairs[number].label
                new = (counts[label, fold] + pairs[number].count) / labels[label].total
                trial[label] = _deviation(share, label, fold, new)
            value = numpy_sum(trial, leaves, room) / len(trial)
            tie = abs(value - least) <= ABSOLUTE + RELATIVE * abs(least)
            if value < least or (tie and folds[fold].rows < fewest):
                best, least, fewest = fold, value, folds[fold].rows
    return best


@inlined
def _deviation(share: np.ndarray, label: int, changed: int, new: float) -> float:
    """`np.std` over folds of one class's shares, one of them replaced; share is float64 (C, k)."""
    k, total = share.shape[1], 0.0
    for fold in range(k):
        total += new if fold == changed else share[label, fold]
    mean, total = total / k, 0.0
    for fold in range(k):
        difference = (new if fold == changed else share[label, fold]) - mean
        total += difference * difference
    return np.sqrt(total / k)


@inlined
def _count_strata(counts: np.ndarray, strata_of_class: np.ndarray, in_strata: np.ndarray) -> None:
    """Fill float64 (k, S) with the rows of each fold in each stratum."""
    for fold in range(len(in_strata)):
        for stratum in range(in_strata.shape[1]):
            in_strata[fold, stratum] = 0
        for label in range(len(strata_of_class)):
            for column in range(strata_of_class.shape[1]):
                in_strata[fold, strata_of_class[label, column]] += counts[label, fold]
