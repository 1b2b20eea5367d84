"""How folds are passed to checks."""

from collections.abc import Sequence

import numpy as np

from outfold.data.folds import FoldTable

Split = tuple[np.ndarray, np.ndarray]
"""Rows that train and rows that are judged, both int64."""


def splits_of(folds: FoldTable) -> list[Split]:
    """The split of every fold that can be held out."""
    return [folds.split(number) for number in folds.numbers]


def splits_by(fold: np.ndarray) -> list[Split]:
    """The splits of plain folds, int (n,): each is judged by models that trained on all others."""
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in np.unique(fold)]


def judged_rows(splits: Sequence[Split]) -> np.ndarray:
    """int64, ascending: the rows that some split judges."""
    return np.unique(np.concatenate([valid for _, valid in splits]))
