"""Local search for even folds: groups change places, at first nearly at will, in the end only for the better.

Each seed deals the shuffled groups out in turn and then tries steps: a group moves to another fold, or two groups of
different folds swap. A step is taken when it raises the imbalance by less than a threshold, which falls from about what
a random step changes to nothing (threshold accepting: G. Dueck, T. Scheuer, J. Comput. Phys. 90, 1990): as good as
annealing here, without an exponential and a random number for every step.
"""

from collections.abc import Callable

import numpy as np

from outfold.data.folds.compiled import compiled, inlined
from outfold.data.folds.evenness import unevenness, unevenness_after
from outfold.data.folds.mersenne import LANES, WORDS, begin_streams, next_word, shuffle
from outfold.data.folds.tally import Tally

STEPS_PER_GROUP = 400
LEAST_STEPS = 5000
TRIALS = 200
"""Steps that are weighed but not taken, to learn how much a step changes."""
HOT, COLD = 2.0, 0.005
"""First and last threshold, in mean changes of those steps."""
FROZEN = 0.05
"""The last part of the steps, in which the threshold is nought."""

FOLD = np.dtype([("rows", np.float64), ("cost", np.float64), ("groups", np.int64)], align=True)
"""A fold during the search; `cost` is its unevenness."""


def steps_of(tally: Tally) -> int:
    """Steps of one start."""
    return max(LEAST_STEPS, STEPS_PER_GROUP * tally.n_groups)


def swaps_kernel(tally: Tally, steps: int) -> Callable[[int, np.ndarray, np.ndarray], None]:
    """The local search as a kernel of `outfold.data.folds.scan`; with 0 steps, groups that are dealt out blindly."""
    # A group of no rows stands at the end: to move is to swap places with it.
    counts = np.vstack([tally.strata_counts, np.zeros(len(tally.strata))])
    rows = np.append(tally.rows, 0.0)
    aim = (tally.strata, tally.mean_rows, tally.rows_weight)

    def kernel(first: int, values: np.ndarray, fold_of_group: np.ndarray) -> None:
        search_seeds(first, values, fold_of_group, tally.k, steps, counts, rows, *aim)

    return kernel


@compiled
def search_seeds(
    first: int,
    values: np.ndarray,
    fold_of_group: np.ndarray,
    k: int,
    steps: int,
    counts: np.ndarray,
    rows: np.ndarray,
    strata: np.ndarray,
    mean_rows: float,
    rows_weight: float,
) -> None:
    """Search from each of the seeds from `first` on.

    Args:
        first: the first seed.
        values: float64 (seeds,), becomes the imbalance of each seed's folds.
        fold_of_group: int64 (G,), becomes the folds of the last seed.
        k: folds.
        steps: how many are tried.
        counts: float64 (G + 1, S), rows of each group in each stratum; the last is a group of none.
        rows: float64 (G + 1,), rows of each group.
        strata: STRATUM (S,).
        mean_rows: rows of an even fold.
        rows_weight: weight of the fold sizes.
    """
    states, order = np.empty((WORDS, LANES), dtype=np.uint32), np.empty_like(fold_of_group)
    folds, in_strata = np.empty(k, dtype=FOLD), np.empty((k, len(strata)))
    for number in range(len(values)):
        lane = number % LANES
        if lane == 0:
            begin_streams(first + number, states)
        drawn = shuffle(states, lane, order)
        _deal_in_turn(order, fold_of_group, folds, in_strata, counts, rows)
        for fold in range(k):
            folds[fold].cost = unevenness(in_strata, fold, folds[fold].rows, strata, mean_rows, rows_weight)
        if steps:
            _try_steps(
                states,
                lane,
                drawn,
                steps,
                fold_of_group,
                folds,
                in_strata,
                counts,
                rows,
                strata,
                mean_rows,
                rows_weight,
            )
        values[number] = 0
        for fold in range(k):
            values[number] += folds[fold].cost / k


@inlined
def _try_steps(
    states: np.ndarray,
    lane: int,
    drawn: int,
    steps: int,
    fold_of_group: np.ndarray,
    folds: np.ndarray,
    in_strata: np.ndarray,
    counts: np.ndarray,
    rows: np.ndarray,
    strata: np.ndarray,
    mean_rows: float,
    rows_weight: float,
) -> None:
    """Take steps that cost less than the threshold, which falls by the same factor each time and then is nought."""
    threshold, fall, frozen = 0.0, (COLD / HOT) ** (1 / steps), (1 - FROZEN) * steps
    for step in range(-TRIALS, steps):
        threshold *= fall if step >= 0 else 1.0
        group, other, target, drawn = _propose(states, lane, drawn, fold_of_group, len(folds))
        source = fold_of_group[group]
        if target == source or (other == len(fold_of_group) and folds[source].groups == 1):
            continue
        less, more = folds[source].rows + rows[other] - rows[group], folds[target].rows + rows[group] - rows[other]
        there = unevenness_after(in_strata, source, less, counts, group, other, strata, mean_rows, rows_weight)
        here = unevenness_after(in_strata, target, more, counts, other, group, strata, mean_rows, rows_weight)
        rise = there + here - folds[source].cost - folds[target].cost
        if step < 0:
            threshold += HOT * abs(rise) / TRIALS
        elif rise <= (threshold if step < frozen else 0.0):
            _exchange(group, other, source, target, fold_of_group, folds, in_strata, counts)
            folds[source].rows, folds[source].cost = less, there
            folds[target].rows, folds[target].cost = more, here


@inlined
def _deal_in_turn(
    order: np.ndarray,
    fold_of_group: np.ndarray,
    folds: np.ndarray,
    in_strata: np.ndarray,
    counts: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Give the first group to the first fold, and so on, so that no fold is empty."""
    for fold in range(len(folds)):
        folds[fold].rows, folds[fold].groups = 0, 0
        for stratum in range(in_strata.shape[1]):
            in_strata[fold, stratum] = 0
    for place in range(len(order)):
        group, fold = order[place], place % len(folds)
        fold_of_group[group] = fold
        folds[fold].rows += rows[group]
        folds[fold].groups += 1
        for stratum in range(in_strata.shape[1]):
            in_strata[fold, stratum] += counts[group, stratum]


@inlined
def _propose(states: np.ndarray, lane: int, drawn: int, fold_of_group: np.ndarray, k: int) -> tuple[int, int, int, int]:
    """A group, the one it swaps with (the last, of no rows, for a move), its new fold, and the words drawn so far."""
    groups = len(fold_of_group)
    group = (next_word(states, lane, drawn) * groups) >> 32
    other = (next_word(states, lane, drawn + 1) * 2 * groups) >> 32
    if other < groups:
        target, drawn = fold_of_group[other], drawn + 2
    else:
        other, target, drawn = groups, (next_word(states, lane, drawn + 2) * k) >> 32, drawn + 3
    return group, other, target, drawn


@inlined
def _exchange(
    group: int,
    other: int,
    source: int,
    target: int,
    fold_of_group: np.ndarray,
    folds: np.ndarray,
    in_strata: np.ndarray,
    counts: np.ndarray,
) -> None:
    fold_of_group[group] = target
    if other < len(fold_of_group):
        fold_of_group[other] = source
    else:
        folds[source].groups -= 1
        folds[target].groups += 1
    for stratum in range(in_strata.shape[1]):
        moved = counts[group, stratum] - counts[other, stratum]
        in_strata[source, stratum] -= moved
        in_strata[target, stratum] += moved
