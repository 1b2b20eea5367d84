"""Cutting groups that are too large for even folds into virtual groups, by a rule that the user names.

Rows of one true group then stand in several folds, which leaks as much as they are alike. It is the user's choice, and
whatever is torn is named, so that a check can say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, kind_of
from outfold.data.folds.grouping import link_groups
from outfold.data.folds.time import moments_of, time_blocks
from outfold.data.rows import name_rows
from outfold.errors import DataError

_DATE = r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?([ T]\d.*)?"


@dataclass(frozen=True)
class VirtualGroups:
    """Groups after a cut."""

    groups: np.ndarray
    """int64 (n,), numbered by their first row."""
    torn: dict[str, int]
    """The given groups whose rows are now in more than one group, and in how many."""


def cut_groups(
    groups: Sequence[Any] | np.ndarray | pd.Series, rows: np.ndarray, parts: int, order: np.ndarray | None = None
) -> VirtualGroups:
    """Put the chosen rows in order and cut them into parts of about equal size; each part becomes a group.

    Rows of equal order stay together where that is possible: with at least as many different values as parts, cuts
    fall between values only. With fewer, every value is cut into parts of its own, the more the more rows it has.

    Args:
        groups: (n,) labels; a missing one is a group of its own.
        rows: bool (n,), the rows whose groups are cut; other rows keep their group.
        parts: how many virtual groups the rows become.
        order: (n,) values that can be sorted, see `order_of`; the order of the rows when not given.

    Raises:
        DataError: no rows are chosen, or there are fewer than two parts, or more parts than rows.
    """
    chosen = np.flatnonzero(rows)
    if not len(chosen):
        raise DataError("the rule that cuts groups finds no rows", fix="check the column's values")
    if not 2 <= parts <= len(chosen):
        got = f"{parts} parts"
        raise DataError(f"{len(chosen)} rows cannot be cut", got=got, expected=f"2 to {len(chosen)} parts")
    before = link_groups(groups)
    after = before.copy()
    values = chosen if order is None else np.asarray(order)[chosen]
    after[chosen] = before.max() + 1 + _parts_of(values, parts)
    after = pd.factorize(after)[0].astype(np.int64)
    return VirtualGroups(after, torn_groups(before, after, pd.Series(groups).tolist()))


def torn_groups(before: np.ndarray, after: np.ndarray, labels: Sequence[Any]) -> dict[str, int]:
    """The groups whose rows are in more than one group after a cut, and in how many.

    Args:
        before: int64 (n,).
        after: int64 (n,).
        labels: (n,) what the group of each row is called.
    """
    pieces = pd.DataFrame({"after": after, "row": np.arange(len(after))}).groupby(before, sort=False)
    counted = zip(pieces["after"].nunique().tolist(), pieces["row"].first().tolist(), strict=True)
    return {str(labels[row]): count for count, row in counted if count > 1}


def order_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as values to sort by: numbers, dates written year first, or else texts as they are.

    Raises:
        DataError: a cell is empty, or some cells are dates and others are not.
    """
    column = frame[name]
    texts = cell_texts(column)
    empty = [row for row, text in enumerate(texts) if text is None]
    if empty:
        raise DataError(f"{len(empty)} cells of column {name!r} are empty and have no order: {name_rows(frame, empty)}")
    if kind_of(column) in ("integer", "float") or pd.Series(texts).str.fullmatch(_DATE).any():
        return moments_of(frame, name)
    return np.array(texts, dtype=object)


def _parts_of(values: np.ndarray, parts: int) -> np.ndarray:
    """int64 (m,), the part 0..parts-1 of each value."""
    distinct, value_of, sizes = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) >= parts:
        return time_blocks(values, parts - 1)
    shares = np.ones(len(distinct), dtype=np.int64)
    for _ in range(parts - len(distinct)):
        shares[np.argmax(sizes / shares)] += 1
    part = np.empty(len(values), dtype=np.int64)
    for value, first in enumerate(np.cumsum(shares) - shares):
        for number, rows in enumerate(np.array_split(np.flatnonzero(value_of == value), shares[value])):
            part[rows] = first + number
    return part
