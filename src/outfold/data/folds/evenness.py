"""The objective of `outfold.data.folds.objective`, compiled, for kernels that weigh many folds a second."""

import numpy as np

from outfold.data.folds.compiled import inlined


@inlined
def unevenness(
    counts: np.ndarray, fold: int, rows: float, strata: np.ndarray, mean_rows: float, rows_weight: float
) -> float:
    """What one fold adds to the imbalance, times k.

    Args:
        counts: float64 (k, S), rows of each stratum in each fold.
        fold: which one.
        rows: how many it has.
        strata: STRATUM (S,).
        mean_rows: rows of an even fold.
        rows_weight: weight of the fold sizes.

    Returns:
        Infinity where the fold is empty, so that it is never chosen.
    """
    total = np.inf
    if rows > 0:
        total = rows_weight * abs(rows / mean_rows - 1)
        for stratum in range(len(strata)):
            total += strata[stratum].weight * abs(counts[fold, stratum] / rows - strata[stratum].share)
    return total
