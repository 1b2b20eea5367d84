"""From the text of table cells to typed columns without loss, and from recipe values to column values."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import pandas_dtype

from outfold.data.rows import SOURCE, SOURCE_ROW
from outfold.errors import DataError

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_INT64 = np.iinfo(np.int64)


def typed_column(texts: Sequence[str], *, exact: bool = False) -> pd.Series:
    """Give a column of cell texts the narrowest type that keeps what the user wrote.

    Args:
        texts: the cells; "" is missing.
        exact: True for ids and parts of paths, where `1.50` must not become `1.5`: no float column.

    Returns:
        int64 where every text is the canonical form of an integer ("7", not "07"), bool where every text is `True` or
        `False`, float64 where every text is a decimal number (or all are missing), else str. With missing cells
        integers become Int64 and booleans boolean, so that 7 never turns into 7.0.
    """
    present = set(texts) - {""}
    gaps = len(present) < len(set(texts))
    if not present:
        return pd.Series(np.full(len(texts), np.nan))
    if present <= {"True", "False"}:
        values = [text == "True" if text else None for text in texts]
        return pd.Series(values, dtype="boolean" if gaps else "bool")
    if all(map(_is_integer, present)):
        return pd.Series([int(text) if text else None for text in texts], dtype="Int64" if gaps else "int64")
    if not exact and all(map(_is_number, present)):
        return pd.Series([float(text) if text else np.nan for text in texts], dtype="float64")
    return pd.Series([text or None for text in texts])


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and _INT64.min <= int(text) <= _INT64.max


def _is_number(text: str) -> bool:
    """True for decimal numbers without leading zeros, whose integer part float64 holds exactly."""
    text = text.strip()
    if _NUMBER.fullmatch(text) is None or not any(map(str.isdigit, text)):
        return False
    return not text.lstrip("+-").isdigit() or abs(int(text)) <= 2**53


def cell_texts(column: pd.Series) -> list[str | None]:
    """The text of each cell as a file would show it; None where it is missing."""
    return [None if missing else str(cell) for cell, missing in zip(column.tolist(), column.isna(), strict=True)]


def plain_column(column: pd.Series) -> pd.Series:
    """Int64 and boolean columns without missing cells become int64 and bool; others are returned as they are."""
    plain = {"Int64": "int64", "boolean": "bool"}.get(str(column.dtype))
    return column if plain is None or column.isna().any() else column.astype(pandas_dtype(plain))


def plain_cells(cells: Sequence[Any]) -> pd.Series:
    """Cells that are Python values as a column, None being missing.

    Returns:
        int64, bool, float64 or str, with missing cells Int64 and boolean; numbers beside text, truth values beside
        anything else, and integers that would lose a digit become the text they are written as.
    """
    present = [cell for cell in cells if cell is not None]
    types, gaps = {type(cell) for cell in present}, len(present) < len(cells)
    if types == {bool}:
        return pd.Series(list(cells), dtype=pandas_dtype("boolean" if gaps else "bool"))
    if types == {int} and all(_INT64.min <= cell <= _INT64.max for cell in present):
        return pd.Series(list(cells), dtype=pandas_dtype("Int64" if gaps else "int64"))
    if types <= {int, float} and all(abs(cell) <= 2**53 or isinstance(cell, float) for cell in present):
        return pd.Series([np.nan if cell is None else cell for cell in cells], dtype="float64")
    return pd.Series([None if cell is None else str(cell) for cell in cells])


def stack_columns(columns: Sequence[pd.Series]) -> pd.Series:
    """Join one column of several tables; numbers beside text become the text they were written as."""
    filled = [column for column in columns if not column.isna().all()] or list(columns)
    kinds = {kind_of(column) for column in filled}
    if len(kinds) > 1 and kinds != {"integer", "float"}:
        return pd.Series([text for column in columns for text in cell_texts(column)])
    gaps = any(column.isna().any() for column in columns)
    nullable = {"integer": "Int64", "bool": "boolean"}.get(next(iter(kinds))) if gaps and len(kinds) == 1 else None
    parts = [column.astype(pandas_dtype(nullable)) if nullable else column for column in columns]
    return pd.concat(parts if nullable or not gaps else _all_missing_as(parts, filled[0].dtype), ignore_index=True)


def _all_missing_as(columns: Sequence[pd.Series], dtype: Any) -> list[pd.Series]:
    return [column.astype(dtype) if column.isna().all() else column for column in columns]


def kind_of(column: pd.Series) -> str:
    """`bool`, `integer`, `float` or `text`: what two columns must share to be compared or joined by value."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return "bool"
    if pd.api.types.is_integer_dtype(column.dtype):
        return "integer"
    return "float" if pd.api.types.is_float_dtype(column.dtype) else "text"


def value_like(value: Any, column: pd.Series) -> Any:
    """A value of a recipe as the type of `column`, so that `1` finds the text "1" and `"1"` the number 1.

    Returns the value unchanged where the column has no such type; it then equals no cell.
    """
    kind = kind_of(column)
    if kind == "text":
        return str(value) if column.map(lambda cell: isinstance(cell, str), na_action="ignore").all() else value
    if kind == "bool":
        return {"true": True, "false": False, "1": True, "0": False}.get(str(value).lower(), value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    if kind == "float" or not number.is_integer():
        return number
    try:
        return int(value)  # exact where float64 is not
    except ValueError:
        return int(number)  # "2.0"


def require_columns(frame: pd.DataFrame, names: Iterable[str], *, role: str, table: str) -> None:
    """Raise DataError for the first name that `frame` lacks, with the nearest names it has."""
    for name in names:
        if name in frame.columns:
            continue
        known = [str(column) for column in frame.columns if column not in (SOURCE, SOURCE_ROW)]
        nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        fix = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else None
        raise DataError(f"{table}: no column {name!r}, needed as {role}", expected=f"one of {known}", fix=fix)
