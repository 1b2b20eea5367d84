"""Targets that are declared to be sums of others: by how much rows break that."""

from collections.abc import Sequence

import numpy as np

from outfold.settings.sums import Sums

ROUNDING = 1e-3
"""A sum holds on a row up to this share of the column's mean size: the rounding of published tables."""


def breach(values: np.ndarray, names: Sequence[str], total: str, parts: Sequence[str]) -> np.ndarray:
    """By how much rows break `total = sum of parts`.

    Args:
        values: (n, k).
        names: of the k columns.
        total: one of them.
        parts: others of them.

    Returns:
        float64 (n,), from 0 on, in the unit of the columns.
    """
    exact = np.asarray(values, dtype=np.float64)
    return np.abs(exact[:, names.index(total)] - exact[:, [names.index(part) for part in parts]].sum(axis=1))


def breaking_rows(values: np.ndarray, names: Sequence[str], total: str, parts: Sequence[str]) -> np.ndarray:
    """int64 (m,): the rows that break a sum by more than rounding; see `breach` and `ROUNDING`."""
    size = np.abs(np.asarray(values, dtype=np.float64)[:, names.index(total)]).mean()
    return np.flatnonzero(breach(values, names, total, parts) > ROUNDING * size)


def breaches(values: np.ndarray, names: Sequence[str], sums: Sums) -> dict[str, dict[str, float]]:
    """By sum, how far (n, k) values are off.

    Returns:
        `mean` and `largest` absolute breach in the columns' unit, and `rows`: how many break it by more than rounding.
    """
    found = {}
    for total, parts in sums.items():
        off, rows = breach(values, names, total, parts), breaking_rows(values, names, total, parts)
        found[total] = {"mean": float(off.mean()), "largest": float(off.max()), "rows": len(rows)}
    return found


def equation(total: str, parts: Sequence[str]) -> str:
    """A sum as it is written: `total = one + other`."""
    return f"{total} = {' + '.join(parts)}"
