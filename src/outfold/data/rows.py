"""Where a row came from, in words a user can look up."""

from collections.abc import Iterable

import pandas as pd

SOURCE = "source"
"""Column with the name of the table that a row came from."""
SOURCE_ROW = "source_row"
"""Column with a row's line number in its CSV file (the header is line 1), or its number from 1 in other tables."""


def name_rows(frame: pd.DataFrame, positions: Iterable[int], *, limit: int = 5) -> str:
    """The first few rows as `train.csv:17, train.csv:20 and 3 more`.

    Args:
        frame: a table; one without the columns `source` and `source_row` shows its index labels as `row 17`.
        positions: row positions from 0.
        limit: how many to spell out.
    """
    positions = list(positions)
    shown = [_name_row(frame, position) for position in positions[:limit]]
    more = len(positions) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _name_row(frame: pd.DataFrame, position: int) -> str:
    if SOURCE in frame.columns and SOURCE_ROW in frame.columns:
        return f"{frame[SOURCE].iloc[position]}:{frame[SOURCE_ROW].iloc[position]}"
    return f"row {frame.index[position]}"
