"""From columns of a table to groups that must stay together and strata that should be spread evenly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from outfold.data.audio.labels import parse_labels
from outfold.data.columns import cell_texts, kind_of, value_like
from outfold.errors import DataError
from outfold.settings.base import Label

MISSING = "(missing)"
MAX_BINS = 10
FEW_VALUES = 20
"""A column of whole numbers with no more distinct values than this is never taken for a quantity."""


def link_groups(*columns: Sequence[Any] | np.ndarray | pd.Series) -> np.ndarray:
    """Rows that share a value in any column, directly or through other rows, become one group.

    Args:
        columns: each (n,); missing values link nothing.

    Returns:
        int64 (n,), groups numbered by their first row.
    """
    n = len(columns[0])
    rows, values, count = [], [], 0
    for column in columns:
        codes, labels = pd.factorize(pd.Series(column, dtype=object))
        rows.append(np.flatnonzero(codes >= 0))
        values.append(codes[codes >= 0] + count)
        count += len(labels)
    ends = (np.concatenate(rows), n + np.concatenate(values))
    # A graph with a node for each row and each value; its connected components are the groups.
    graph = csr_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(n + count, n + count))
    return pd.factorize(connected_components(graph, directed=False)[1][:n])[0].astype(np.int64)


def group_column(column: pd.Series, unknown: Sequence[Label | None]) -> pd.Series:
    """A column of groups in which only known groups are left.

    Args:
        column: (n,) the table's own cells.
        unknown: values that mean that the group is not known, compared as the column's own type.

    Returns:
        object (n,), None where the group is not known or the cell is empty: such a row is a group of its own.
    """
    return column.astype(object).mask(column.isna() | names_no_group(column, unknown), None)


def names_no_group(column: pd.Series, unknown: Sequence[Label | None]) -> np.ndarray:
    """Bool (n,): cells with one of the values that mean that the group is not known; empty ones where None is one."""
    values = [value_like(value, column) for value in unknown if value is not None]
    found = column.isin(values).to_numpy(dtype=bool)
    return found | column.isna().to_numpy(dtype=bool) if None in unknown else found


def strata_of(frame: pd.DataFrame, columns: Sequence[str], k: int) -> np.ndarray:
    """One stratum per row from the values of all columns together.

    Quantities (see `is_quantity`) are cut into at most MAX_BINS parts with equally many rows; a list of labels counts
    as its first one.

    Args:
        frame: the table, n rows.
        columns: at least one.
        k: folds that the strata are dealt out to.

    Returns:
        object (n,), text such as `melanoma | [30.0, 45.0)`.

    Raises:
        DataError: a class of one column has fewer rows than there are folds. Combinations of classes may have.
    """
    parts = [_texts(frame[name], name, k) for name in columns]
    return np.array([" | ".join(cells) for cells in zip(*parts, strict=True)], dtype=object)


def is_quantity(column: pd.Series, k: int) -> bool:
    """Whether a column measures rather than names: numbers with fractions, or too many different ones to be classes.

    Too many means more than FEW_VALUES, with fewer than k rows each on average.
    """
    if kind_of(column) not in ("integer", "float"):
        return False
    values = _floats(column)
    values = values[~np.isnan(values)]
    distinct = len(np.unique(values))
    return bool((values % 1 != 0).any()) or (distinct > FEW_VALUES and distinct * k > len(values))


def small_classes(values: Sequence[str], k: int) -> dict[str, int]:
    """The classes with fewer than k rows and how many each has, the smallest first."""
    counts = pd.Series(values).value_counts(sort=False).sort_values(kind="stable")
    return {str(name): int(count) for name, count in counts.items() if count < k}


def class_texts(column: pd.Series) -> list[str]:
    """The class of each row as text: a cell's own text, or the first label of a cell that holds a list of them."""
    return [MISSING if text is None else _first_label(text) for text in cell_texts(column)]


def _first_label(text: str) -> str:
    """Of a list of labels; MISSING where it is empty. Other texts stay as they are."""
    if not text.startswith("["):
        return text
    try:
        return next(iter(parse_labels(text)), MISSING)
    except DataError:
        return text


def _texts(column: pd.Series, name: str, k: int) -> list[str]:
    if is_quantity(column, k):
        return _binned(column, k)
    texts = class_texts(column)
    small = small_classes(texts, k)
    if small:
        shown = ", ".join(f"{label!r} ({count})" for label, count in list(small.items())[:5])
        raise DataError(
            f"{len(small)} classes of column {name!r} have too few rows for {k} folds",
            got=shown + (", .." if len(small) > 5 else ""),
            expected=f"at least {k} rows each",
            fix=f"lower folds.k to {min(small.values())}"
            if min(small.values()) > 1
            else "add rows of these classes, join them with others, or leave them out (`where`)",
        )
    return texts


def _binned(column: pd.Series, k: int) -> list[str]:
    values = pd.Series(_floats(column))
    bins = int(np.clip(values.notna().sum() // k, 1, MAX_BINS))
    parts = pd.qcut(values, bins, duplicates="drop")
    return [MISSING if pd.isna(part) else str(part) for part in parts.tolist()]


def _floats(column: pd.Series) -> np.ndarray:
    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
