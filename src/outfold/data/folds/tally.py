"""What a search knows of a table: how many rows of each class each group has."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from outfold.data.folds.objective import column_weights
from outfold.data.folds.strata import FOLD_SIZE, Strata
from outfold.errors import DataError

STRATUM = np.dtype([("share", np.float64), ("weight", np.float64)], align=True)
"""A stratum of the objective: its share of all rows, and the weight of its column."""


@dataclass(frozen=True)
class Tally:
    """A table by group (G), class of the product of all columns (C), and stratum of any column (S).

    Groups and classes are numbered in the order of `numpy.unique`, as scikit-learn numbers them; the strata of all
    columns are numbered through.
    """

    k: int
    group_of_row: np.ndarray
    """int64 (n,)."""
    counts: np.ndarray
    """float64 (G, C): rows of each class in each group; whole numbers."""
    strata_of_class: np.ndarray
    """int64 (C, B): the stratum that a class means in each column."""
    strata: np.ndarray
    """STRATUM (S,)."""
    rows_weight: float

    @property
    def n_groups(self) -> int:
        """How many groups there are (G)."""
        return len(self.counts)

    @property
    def mean_rows(self) -> float:
        """Rows of an even fold."""
        return len(self.group_of_row) / self.k

    @cached_property
    def rows(self) -> np.ndarray:
        """float64 (G,): rows of each group."""
        return self.counts.sum(axis=1)

    @cached_property
    def strata_counts(self) -> np.ndarray:
        """float64 (G, S): rows of each stratum in each group."""
        counts = np.zeros((self.n_groups, len(self.strata)))
        for strata in self.strata_of_class.T:
            np.add.at(counts.T, strata, self.counts.T)
        return counts

    def imbalance(self, fold_of_group: np.ndarray) -> float:
        """The total imbalance of folds 0..k-1 of the groups, int64 (G,), none of them empty."""
        in_strata, rows = np.zeros((self.k, len(self.strata))), np.bincount(fold_of_group, self.rows, self.k)
        np.add.at(in_strata, fold_of_group, self.strata_counts)
        apart = np.abs(in_strata / rows[:, None] - self.strata["share"]) @ self.strata["weight"]
        return float((apart + self.rows_weight * np.abs(rows / self.mean_rows - 1)).mean())


def tally_rows(groups: np.ndarray, strata: Strata, k: int, weights: Mapping[str, float] | None = None) -> Tally:
    """Count the rows of a table by group and class.

    Args:
        groups: (n,) labels that can be sorted.
        strata: of n rows.
        k: folds.
        weights: see `imbalance`.

    Raises:
        DataError: there are fewer groups than folds, fewer than two folds, or a weight is not usable.
    """
    by_column = column_weights(strata, weights)
    names, group_of_row = np.unique(groups, return_inverse=True)
    if not 2 <= k <= len(names):
        raise DataError(f"{len(names)} groups cannot make {k} folds", got=f"k = {k}", expected=f"2 to {len(names)}")
    classes, first, class_of_row = np.unique(strata.product, return_index=True, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (group_of_row, class_of_row), 1)
    strata_of_class = strata.codes[first] + strata.offsets[:-1]
    weight = [by_column[name] for name, labels in zip(strata.columns, strata.labels, strict=True) for _ in labels]
    table = np.zeros(len(weight), dtype=STRATUM)
    table["weight"] = weight
    table["share"] = np.bincount((strata.codes + strata.offsets[:-1]).ravel(), minlength=len(weight)) / len(strata)
    return Tally(k, group_of_row, counts, strata_of_class, table, by_column[FOLD_SIZE])
