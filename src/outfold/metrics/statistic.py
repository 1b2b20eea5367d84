"""The shape that all metrics share, and sums of weights by bin."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights float64 (n, r), one column a resample -> scores float64 (r,); NaN where the score is not defined."""

Kernel = Callable[[np.ndarray, np.ndarray], Statistic]
"""Target (n, k) as encoded by `TargetCodec`, prediction (n, k) -> the statistic over these rows."""


def binning(bins: np.ndarray, count: int, rows: np.ndarray | None = None, n: int | None = None) -> csr_array:
    """A sparse (count, n) matrix of ones that, times weights (n, r), sums them by bin.

    Args:
        bins: integer (m,), the bin of each counted row.
        count: number of bins.
        rows: integer (m,), which of the n rows they are; all, in order, when not given.
        n: number of rows; m when not given.
    """
    rows = np.arange(len(bins)) if rows is None else rows
    n = len(bins) if n is None else n
    return csr_array((np.ones(len(bins)), (bins, rows)), shape=(count, n))


def ratio(above: np.ndarray, below: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """`above / below`, and `otherwise` where `below` is zero."""
    result = np.full(np.broadcast_shapes(above.shape, below.shape), otherwise)
    return np.divide(above, below, out=result, where=below != 0)


def row_mean(values: np.ndarray) -> Statistic:
    """The weighted mean of one number per row (n,)."""
    return lambda weights: ratio(values @ weights, weights.sum(axis=0))
