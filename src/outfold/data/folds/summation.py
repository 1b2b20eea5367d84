"""numpy's order of adding a vector, compiled: the same float64 sum to the last bit.

`np.sum` halves a vector until at most 128 values are left (each first part a multiple of 8), adds these as eight
running sums that are then added as a tree, and the parts on the way back. Written without recursion, since a compiled
loop slows down around calls: the halving depends on the length alone and is laid out beforehand.
"""

import numpy as np

from outfold.data.folds.compiled import inlined

LANES = 8
LEAF = np.dtype([(name, np.int64) for name in ("start", "whole", "end", "merges")], align=True)
"""A part of the vector: running sums from start to whole, single values to end, then so many sums of two parts."""


def leaves_of(length: int) -> np.ndarray:
    """The parts in which a vector is added, LEAF (parts,)."""
    return np.array(_cut(0, length), dtype=LEAF)


def _cut(start: int, end: int) -> list[tuple[int, int, int, int]]:
    length = end - start
    if length <= 128:
        return [(start, end - length % LANES, end, 0)]
    middle = start + length // 2 - length // 2 % LANES
    *rest, (first, whole, last, merges) = _cut(middle, end)
    return [*_cut(start, middle), *rest, (first, whole, last, merges + 1)]


@inlined
def numpy_sum(values: np.ndarray, leaves: np.ndarray, room: np.ndarray) -> float:
    """The sum as `np.sum(values)` rounds it.

    Args:
        values: float64 (length,).
        leaves: from `leaves_of(length)`.
        room: float64 (LANES + parts,), overwritten.
    """
    top = LANES - 1
    for number in range(len(leaves)):
        leaf, total = leaves[number], 0.0
        if leaf.whole > leaf.start:
            for lane in range(LANES):
                room[lane] = values[leaf.start + lane]
            for position in range(leaf.start + LANES, leaf.whole):
                room[(position - leaf.start) % LANES] += values[position]
            total = ((room[0] + room[1]) + (room[2] + room[3])) + ((room[4] + room[5]) + (room[6] + room[7]))
        for position in range(leaf.whole, leaf.end):
            total += values[position]
        top += 1
        room[top] = total
        for _ in range(leaf.merges):
            top -= 1
            room[top] += room[top + 1]
    return room[top]
