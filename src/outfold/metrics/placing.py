"""Where scores fall among the scores of positive rows: compiled, and as a rule without a search.

The range of the thresholds is cut into many slots, and a table says which thresholds a slot can hold: mostly none or
one is left to compare with. Slots get wider from the lowest threshold on, for probabilities crowd near zero.
"""

import numba
import numpy as np

SLOTS, MOST_SLOTS = 64, 2**20
"""Slots for each threshold, and at most: a table of 4 MB."""

NARROWEST = 2.0**-10
"""Share of the range, from its lower end, in which slots are equally wide; from there on they widen."""


def bins(thresholds: np.ndarray, scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The bin of each row: 2j between thresholds j-1 and j, 2j + 1 at threshold j; positives 2m + 1 + j at threshold j.

    Args:
        thresholds: float (m,), rising and distinct, finite: the scores of positive rows.
        scores: float (n,), finite.
        positive: bool (n,).

    Returns:
        int64 (n,), 0 to 3m.
    """
    if not len(thresholds):
        return np.zeros(len(scores), dtype=np.int64)
    thresholds, scores = thresholds.astype(np.float64), scores.astype(np.float64)
    lowest = thresholds[0]
    # The bits of positive floats, read as integers, are in the floats' order and nearly logarithmic. Rounding (and
    # overflow) keep the order too, so that a slot never holds a number that belongs before or after it.
    with np.errstate(over="ignore"):
        narrow = (thresholds[-1] - lowest) * NARROWEST
        of_thresholds, of_scores = (((values - lowest) + narrow).view(np.int64) for values in (thresholds, scores))
    return _bins(thresholds, of_thresholds, scores, of_scores, positive)


@numba.njit(nogil=True, cache=True)
def _bins(
    thresholds: np.ndarray, of_thresholds: np.ndarray, scores: np.ndarray, of_scores: np.ndarray, positive: np.ndarray
) -> np.ndarray:
    """`bins`; `of_thresholds` and `of_scores` are int64 numbers that rise with the values, which slots are cut from.

    One flat loop: with parts of it as functions it took twice as long.
    """
    found, count = np.zeros(len(scores), dtype=np.int64), len(thresholds)
    lowest, highest, origin = thresholds[0], thresholds[-1], of_thresholds[0]
    shift, slots = 0, min(SLOTS * (count + 1), MOST_SLOTS)
    while (of_thresholds[-1] - origin) >> shift >= slots:
        shift += 1
    before = np.zeros(((of_thresholds[-1] - origin) >> shift) + 2, dtype=np.int32)
    for place in of_thresholds:
        before[((place - origin) >> shift) + 1] += 1
    for slot in range(1, len(before)):
        before[slot] += before[slot - 1]
    for i in range(len(scores)):
        score = scores[i]
        if score > highest:
            found[i] = 2 * count
        elif score >= lowest:
            slot = (of_scores[i] - origin) >> shift
            low, high = before[slot], before[slot + 1]
            while low < high:
                middle = (low + high) >> 1
                if thresholds[middle] < score:
                    low = middle + 1
                else:
                    high = middle
            found[i] = 2 * count + 1 + low if positive[i] else 2 * low + (thresholds[low] == score)
    return found
