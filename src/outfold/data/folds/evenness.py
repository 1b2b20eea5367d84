"""The objective of `outfold.data.folds.objective`, compiled, for kernels that weigh many folds a second."""

import numpy as np

from outfold.data.folds.compiled import inlined


@inlined
def unevenness(
    in_strata: np.ndarray, fold: int, rows: float, strata: np.ndarray, mean_rows: float, rows_weight: float
) -> float:
    """What one fold adds to the imbalance, times k.

    Args:
        in_strata: float64 (k, S), rows of each fold in each stratum.
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
            total += strata[stratum].weight * abs(in_strata[fold, stratum] / rows - strata[stratum].share)
    return total


@inlined
def unevenness_after(
    in_strata: np.ndarray,
    fold: int,
    rows: float,
    counts: np.ndarray,
    gone: int,
    come: int,
    strata: np.ndarray,
    mean_rows: float,
    rows_weight: float,
) -> float:
    """The same of a fold that would have `rows` > 0 once one group is gone and another has come.

    `counts`, float64 (groups, S), has the rows of each group in each stratum.
    """
    total, part = rows_weight * abs(rows / mean_rows - 1), 1 / rows
    for stratum in range(len(strata)):
        count = in_strata[fold, stratum] - counts[gone, stratum] + counts[come, stratum]
        total += strata[stratum].weight * abs(count * part - strata[stratum].share)
    return total
