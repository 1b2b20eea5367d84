"""From pairs to groups of rows, and to the one row of a group that stays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Dropped:
    """A row that goes because another of its group stays."""

    row: int
    kept: int
    conflict: bool
    """The two have different labels: dropping loses one of them."""


def link_pairs(count: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rows that are linked by pairs, directly or through other rows, get one number.

    Args:
        count: n, rows.
        first: int64 (p,), rows.
        second: int64 (p,), rows.

    Returns:
        int64 (n,), numbered by a group's first row; a row without a pair is a group of its own.
    """
    graph = csr_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(count, count))
    return pd.factorize(connected_components(graph, directed=False)[1])[0].astype(np.int64)


def choose_dropped(
    groups: np.ndarray,
    pixels: np.ndarray,
    *,
    preferred: np.ndarray | None = None,
    may_go: np.ndarray | None = None,
    labels: Sequence[str | None] | None = None,
) -> list[Dropped]:
    """Which rows go when one row of each group stays: of the preferred ones the largest, of equals the first.

    Args:
        groups: int64 (n,), as `link_pairs` numbers them.
        pixels: int64 (n,), size of each photo.
        preferred: bool (n,), rows of the preferred source.
        may_go: bool (n,), rows that may be dropped, and of which one stays; others are left alone. All when None.
        labels: (n,), to tell conflicts.
    """
    rows = np.arange(len(groups)) if may_go is None else np.flatnonzero(may_go)
    liked = np.zeros(len(groups), dtype=bool) if preferred is None else preferred
    order = rows[np.lexsort((rows, -pixels[rows], ~liked[rows], groups[rows]))]
    dropped, kept = [], -1
    for row in order.tolist():
        if kept < 0 or groups[row] != groups[kept]:
            kept = row
            continue
        dropped.append(Dropped(row, kept, labels is not None and labels[row] != labels[kept]))
    return sorted(dropped, key=lambda one: one.row)
