"""The cells of target columns as numbers; those that cannot be used are named by file and row."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.rows import name_rows
from outfold.errors import DataError


def present(frame: pd.DataFrame, name: str) -> pd.Series:
    """The column, or DataError where a cell is missing."""
    missing = np.flatnonzero(frame[name].isna())
    if len(missing):
        raise DataError(
            f"{len(missing)} rows have no value in target column {name!r}: {name_rows(frame, missing)}",
            fix="fill them in, or leave the rows out (`where` of the source)",
        )
    return frame[name]


def indicators(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of 0 and 1, or of booleans, as float32 (n,); DataError where a cell is none of them."""
    values = _numbers(frame, name)
    _refuse(frame, name, ~np.isin(values, (0.0, 1.0)), expected="0 or 1 (or booleans)")
    return values.astype(np.float32)


def finite_values(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of numbers as float32 (n,); DataError where a cell is none, or too large for float32."""
    with np.errstate(over="ignore"):
        values = _numbers(frame, name).astype(np.float32)
    _refuse(frame, name, ~np.isfinite(values), expected="finite numbers")
    return values


def some(values: Sequence[Any], limit: int = 10) -> str:
    """The first few values for a message, and how many more there are."""
    shown = ", ".join(map(repr, values[:limit]))
    return shown + (f" and {len(values) - limit} more" if len(values) > limit else "")


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A target column as float64 (n,), NaN where a cell is not a number."""
    return pd.to_numeric(present(frame, name), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _refuse(frame: pd.DataFrame, name: str, wrong: np.ndarray, *, expected: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise DataError(
            f"{len(rows)} values of target column {name!r} are not usable: {name_rows(frame, rows)}",
            got=some(list(dict.fromkeys(frame[name].iloc[rows].tolist()))),
            expected=expected,
        )
