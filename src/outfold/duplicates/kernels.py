"""Compiled loops of the pair search; all release the GIL, so threads may run them side by side."""

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def not_negative(values: np.ndarray, first: int, diagonal: bool) -> np.ndarray:
    """Where a block of floats, seen as signed integers of the same width, has its sign bit clear.

    Args:
        values: int16 (r, c) view of bfloat16, or int32 view of float32.
        first: the block row that row 0 of `values` is; counts only with `diagonal`.
        diagonal: keep only columns right of the row's own number: the block compares rows with themselves.

    Returns:
        int64 (m, 2), rows (counted from `first`) and columns, in row order.
    """
    rows, columns = values.shape
    found = np.empty((256, 2), dtype=np.int64)
    count = 0
    for row in range(rows):
        line = values[row]
        start = first + row + 1 if diagonal else 0
        for left in range(start, columns, 256):
            right = min(left + 256, columns)
            highest = line[left]
            for column in range(left, right):  # without a branch, so that it runs on whole vectors
                highest = max(highest, line[column])
            if highest < 0:
                continue
            if count + 256 > len(found):
                larger = np.empty((2 * len(found), 2), dtype=np.int64)
                larger[:count] = found[:count]
                found = larger
            for column in range(left, right):
                if line[column] >= 0:
                    found[count, 0] = first + row
                    found[count, 1] = column
                    count += 1
    return found[:count]


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def dot_products(left: np.ndarray, right: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The products of pairs of rows, added up in float64.

    Args:
        left: float32 (n, f).
        right: float32 (m, f).
        pairs: int64 (p, 2), a row of `left` and a row of `right`.

    Returns:
        float64 (p,).
    """
    products = np.empty(len(pairs), dtype=np.float64)
    for pair in range(len(pairs)):
        a, b = left[pairs[pair, 0]], right[pairs[pair, 1]]
        total = 0.0
        for axis in range(len(a)):
            total += np.float64(a[axis]) * np.float64(b[axis])
        products[pair] = total
    return products
