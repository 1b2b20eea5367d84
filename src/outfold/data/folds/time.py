"""Folds that respect time: what is predicted lies later than everything that was trained on."""

import numpy as np
import pandas as pd

from outfold.data.columns import kind_of
from outfold.data.rows import name_rows
from outfold.errors import DataError


def time_blocks(moments: np.ndarray, k: int) -> np.ndarray:
    """Cut rows into k + 1 blocks by time; rows of one moment stay together, sizes are as even as that allows.

    Args:
        moments: (n,) numbers or datetimes.
        k: blocks that can be predicted; block 0 comes before them and is only ever trained on.

    Returns:
        int64 (n,), the block 0..k of each row; a later block never holds an earlier moment.

    Raises:
        DataError: there are fewer than k + 1 different moments.
    """
    distinct, inverse, counts = np.unique(moments, return_inverse=True, return_counts=True)
    if len(distinct) < k + 1:
        raise DataError(
            f"{len(distinct)} different moments cannot make {k} folds in time",
            expected=f"at least {k + 1}: the first block is never predicted",
            fix="lower folds.k",
        )
    ends = np.cumsum(counts)
    wanted = np.arange(1, k + 1) * len(moments) / (k + 1)
    cuts = np.abs(ends[:, None] - wanted).argmin(axis=0)
    # Every block keeps at least one moment: cuts rise strictly, and leave enough moments for the blocks behind them.
    for block in range(k):
        lowest = block if block == 0 else cuts[block - 1] + 1
        cuts[block] = min(max(cuts[block], lowest), len(distinct) - 1 - (k - block))
    return np.searchsorted(cuts, np.arange(len(distinct)), side="left")[inverse].astype(np.int64)


def moments_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as moments: numbers as they are, texts as dates written year first.

    Args:
        frame: the table, n rows.
        name: the column.

    Returns:
        float64 or datetime64 (n,).

    Raises:
        DataError: a cell is empty or no date; dates that begin with day or month are refused, for they can be misread.
    """
    column = frame[name]
    if kind_of(column) in ("integer", "float"):
        moments = pd.to_numeric(column).to_numpy(np.float64, na_value=np.nan)
        wrong = np.isnan(moments)
    else:
        texts = column.astype("string").str.strip()
        year_first = texts.str.match(r"\d{4}([-/.]?\d{1,2}|$)").fillna(False).to_numpy(bool)
        dates = pd.to_datetime(texts.where(year_first).str.replace(r"[/.]", "-", regex=True), errors="coerce", utc=True)
        moments, wrong = dates.dt.tz_localize(None).to_numpy("datetime64[us]"), dates.isna().to_numpy()
    if wrong.any():
        rows = np.flatnonzero(wrong)
        raise DataError(
            f"{len(rows)} cells of column {name!r} are no moments in time: {name_rows(frame, rows)}",
            got=column.iloc[rows[:5]].tolist(),
            expected="numbers, or dates written year first as in 2024-05-31",
            fix="write the dates that way, or leave these rows out (`where`)",
        )
    return moments
