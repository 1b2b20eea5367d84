"""Predictions as ranks: for metrics that judge the order alone, members of different calibration count alike."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from outfold.ensemble.average import Weights, weighted
from outfold.ensemble.members import Members, stacked
from outfold.errors import DataError

FEW_ROWS = 100
"""In tables of fewer rows ranks say more about the table than about a row."""


@dataclass(frozen=True)
class RankReference:
    """Where a value stands among n known ones: their empirical distribution, by column.

    Attributes:
        values: float (n, k), each column ascending.
    """

    values: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "RankReference":
        """The distribution of a member's predictions (n, k), as a rule its out-of-fold ones."""
        return cls(np.sort(stacked([values])[0], axis=0))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Ranks, float64 (t, k) above 0 and up to 1, of values (t, k).

        A value that is among the known ones gets the rank it has there (`percent_ranks`), one between two of them a
        rank between theirs, and one beyond the ends the rank of the end.

        Raises:
            DataError: the number of outputs differs, or a value is not finite.
        """
        given = stacked([values])[0]
        if given.shape[1] != self.values.shape[1]:
            expected = f"{self.values.shape[1]} outputs, as those it was made from"
            raise DataError("the predictions do not fit the reference ranks", got=given.shape[1], expected=expected)
        pairs = zip(given.T, self.values.T, strict=True)
        return np.stack([_rank_among(column, known) for column, known in pairs], axis=1)


def percent_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks within each column (.., n, k), divided by n; equal values share their mean rank.

    Same as pandas' `rank(pct=True)`: above 0 and up to 1.
    """
    return rankdata(values, method="average", axis=-2) / np.shape(values)[-2]


def fold_ranks(values: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Ranks within each fold as a share of its rows, ties averaged: float64 (n, k), above 0 and at most 1.

    Args:
        values: (n, k), each column ranked for itself.
        fold: (n,).
    """
    ranks = np.empty(values.shape)
    for number in np.unique(fold):
        rows = np.flatnonzero(fold == number)
        ranks[rows] = percent_ranks(values[rows])
    return ranks


def rank_mean(
    members: Members, weights: Weights = None, *, references: Sequence[RankReference] | None = None
) -> np.ndarray:
    """The mean of the members' ranks, float64 (n, k).

    Args:
        members: (m, n, k); only the order within each column counts.
        weights: (m,) from 0 on; all alike when not given.
        references: by member, what its values are ranked among; the n rows themselves when not given. Give the
            out-of-fold predictions to predict few rows, or to rank a row alike whatever table it comes in.

    Raises:
        DataError: members do not fit together or are not finite; there is not one reference for each.
    """
    values = stacked(members)
    if references is None:
        return weighted(percent_ranks(values), weights)
    if len(references) != len(values):
        raise DataError("reference ranks are not for these members", got=len(references), expected=len(values))
    return weighted([rank(value) for rank, value in zip(references, values, strict=True)], weights)


def _rank_among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    points, times = np.unique(known, return_counts=True)
    return np.interp(values, points, (times.cumsum() - (times - 1) / 2) / len(known))
