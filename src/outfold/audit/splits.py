"""How folds are passed to checks, and how many places a finding names."""

from collections.abc import Iterable, Sequence

import numpy as np

from outfold.data.findings import Place, places_of
from outfold.data.folds import FoldTable
from outfold.data.table import Samples

Split = tuple[np.ndarray, np.ndarray]
"""Rows that train and rows that are judged, both int64."""

PLACES = 100
"""Rows that a finding keeps, so that a summary stays small; its sentence counts them all."""


def splits_of(folds: FoldTable) -> list[Split]:
    """The split of every fold that can be held out."""
    return [folds.split(number) for number in folds.numbers]


def splits_by(fold: np.ndarray) -> list[Split]:
    """The splits of plain folds, int (n,): each is judged by models that trained on all others."""
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in np.unique(fold)]


def judged_rows(splits: Sequence[Split]) -> np.ndarray:
    """int64, ascending: the rows that some split judges."""
    return np.unique(np.concatenate([valid for _, valid in splits]))


def first_places(samples: Samples, rows: Iterable[int], notes: Sequence[str] | None = None) -> tuple[Place, ...]:
    """The first rows as places; see `PLACES`."""
    return places_of(samples, list(rows)[:PLACES], notes=None if notes is None else list(notes)[:PLACES])
