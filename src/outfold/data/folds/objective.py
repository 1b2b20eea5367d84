"""How unevenly folds share out rows and strata: the number that a search makes small."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from outfold.data.folds.strata import FOLD_SIZE, Strata, StrataLike, read_strata
from outfold.errors import DataError


@dataclass(frozen=True)
class Imbalance:
    """How far folds are from being alike; 0 is perfect."""

    total: float
    """Sum over the columns and the fold sizes, each times its weight."""
    strata: Mapping[str, Mapping[str, float]]
    """By column and class: mean over folds of |share of the fold's rows in the class - share of all rows in it|."""
    rows: float
    """Mean over folds of |the fold's rows / the mean fold's rows - 1|."""

    def column(self, name: str) -> float:
        """Sum over the classes of one column: mean over folds of the L1 distance between its distributions."""
        return float(sum(self.strata[name].values()))


def imbalance(
    fold: Sequence[int] | np.ndarray,
    strata: StrataLike | None = None,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    weights: Mapping[str, float] | None = None,
) -> Imbalance:
    """The imbalance of any folds, e.g. of published ones.

    For fold f of k with n_f of n rows, and stratum s with n_fs of n_s rows, a column c counts

        I_c    = mean over f of  sum over s in c of  |n_fs / n_f - n_s / n|
        I_rows = mean over f of  |n_f k / n - 1|

    and the total is the sum of weight_c I_c over columns plus weight_rows I_rows. All terms are L1 distances between
    two distributions (of classes in a fold and in the table; of rows over folds and the uniform one), so they lie
    between 0 and 2 and can be added. A 0/1 column counts both of its classes.

    Args:
        fold: integers (n,).
        strata: columns of n rows, see `read_strata`.
        groups: (n,) labels, to measure how evenly large and small groups are spread as well (column `group_size`).
        weights: by column, and by `rows` for the fold sizes; 1 where not given. `{"rows": 0}` measures strata alone.

    Raises:
        DataError: lengths differ, or a weight is for no column or no number from 0 on.
    """
    numbers, fold = np.unique(np.asarray(fold), return_inverse=True)
    labels = None if groups is None else np.asarray(groups)
    return measure(fold, len(numbers), read_strata(strata, len(fold), k=len(numbers), groups=labels), weights)


def measure(fold: np.ndarray, k: int, strata: Strata, weights: Mapping[str, float] | None = None) -> Imbalance:
    """`imbalance` of folds 0..k-1, int64 (n,), none of them empty."""
    by_column = column_weights(strata, weights)
    rows = np.bincount(fold, minlength=k)
    differences = {}
    for name, labels, codes in zip(strata.columns, strata.labels, strata.codes.T, strict=True):
        counts = np.zeros((k, len(labels)))
        np.add.at(counts, (fold, codes), 1)
        apart = np.abs(counts / rows[:, None] - counts.sum(axis=0) / len(fold)).mean(axis=0)
        differences[name] = dict(zip(labels, apart.tolist(), strict=True))
    sizes = float(np.abs(rows * k / len(fold) - 1).mean())
    total = sum(by_column[name] * sum(parts.values()) for name, parts in differences.items())
    return Imbalance(float(total + by_column[FOLD_SIZE] * sizes), differences, sizes)


def column_weights(strata: Strata, weights: Mapping[str, float] | None) -> dict[str, float]:
    """The weight of each column, and of `rows`.

    Raises:
        DataError: a name is no column's, or a weight is no number from 0 on, or nothing has any weight.
    """
    known = [*strata.columns, FOLD_SIZE]
    for name, weight in (weights or {}).items():
        if name not in known:
            raise DataError(f"a weight is given for {name!r}", expected=f"one of {known}")
        if not _is_weight(weight):
            raise DataError(f"the weight of {name!r} is not usable", got=weight, expected="a number from 0 on")
    chosen = {name: float((weights or {}).get(name, 1.0)) for name in known}
    if not any(chosen.values()):
        raise DataError("all weights are 0, so any folds are as good as any other", expected="a weight above 0")
    return chosen


def _is_weight(value: Any) -> bool:
    return isinstance(value, (int, float)) and np.isfinite(value) and value >= 0
