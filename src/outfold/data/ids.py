"""Columns whose values identify rows."""

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts
from outfold.data.rows import name_rows
from outfold.errors import DataError

REPEATED = "remove the repeated rows, or choose a column that identifies a row"
"""What to do about ids that are given more than once."""


def unique_ids(frame: pd.DataFrame, column: str, *, fix: str = REPEATED) -> np.ndarray:
    """A column as an object array of str (n,), each its own.

    Args:
        frame: the table, n rows.
        column: its column of ids.
        fix: what to do about ids that are given more than once.

    Raises:
        DataError: a cell is missing, or a value is given more than once; the rows are named.
    """
    ids = given_ids(frame, column)
    repeated = pd.Series(ids).duplicated()
    if repeated.any():
        first = list(dict.fromkeys(ids[repeated]))
        places = "; ".join(f"{name!r} in {name_rows(frame, np.flatnonzero(ids == name))}" for name in first[:3])
        raise DataError(
            f"{len(first)} ids in column {column!r} are given more than once",
            got=places + ("; .." if len(first) > 3 else ""),
            expected="one row for each id",
            fix=fix,
        )
    return ids


def given_ids(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column as an object array of str (n,), in which values may repeat.

    Raises:
        DataError: a cell is missing; the rows are named.
    """
    missing = np.flatnonzero(frame[column].isna())
    if len(missing):
        raise DataError(f"{len(missing)} rows have no id in column {column!r}", got=name_rows(frame, missing))
    return np.array(cell_texts(frame[column]), dtype=object)
