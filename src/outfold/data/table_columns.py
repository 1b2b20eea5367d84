"""The columns that table inputs read: numbers, names, and what is derived from the whole table or from its files."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import require_columns
from outfold.data.folds.grouping import group_column
from outfold.data.rows import name_rows
from outfold.errors import DataError
from outfold.settings.base import Label
from outfold.settings.table_inputs import Derived, TableInputs

Columns = Mapping[str, np.ndarray]
"""By key (`keys_of`) a column of n rows: float64 with NaN, or an object array of str with None, where it is missing."""


def number_key(column: str) -> str:
    """The key of a column read as numbers."""
    return f"number {column}"


def name_key(column: str) -> str:
    """The key of a column read as names."""
    return f"name {column}"


def derived_key(derived: Derived, group: str | None) -> str:
    """The key of a derived column; counts of different groups are different columns."""
    return f"{derived} {group}" if derived == "log_group_rows" else derived


def keys_of(settings: TableInputs) -> list[str]:
    """The keys of all columns that a member's table inputs read, in the order of the settings."""
    return [
        *(number_key(one.column) for one in settings.numeric),
        *(name_key(one.column) for one in settings.categorical),
        *(derived_key(one, settings.group) for one in settings.derived),
    ]


def columns_of_table(settings: TableInputs) -> list[str]:
    """The names of the table's columns that must be there."""
    columns = [*(one.column for one in settings.numeric), *(one.column for one in settings.categorical)]
    return columns if settings.group is None else [*columns, settings.group]


def read_columns(
    settings: Sequence[TableInputs],
    frame: pd.DataFrame,
    media: Sequence[Path] | None = None,
    *,
    unknown_group: Sequence[Label | None] = (),
    table: str = "table",
) -> dict[str, np.ndarray]:
    """Everything that some members' table inputs read of a whole table.

    Args:
        settings: of all members; what several of them read is read once.
        frame: the table, n rows: training and test rows have their own, for rows of a group are counted within one.
        media: the rows' files, for `log_file_bytes`.
        unknown_group: values of the group column that mean that the group is not known, besides empty cells.
        table: what the table is called in errors.

    Raises:
        DataError: a column is missing, or a cell is no usable number; its row is named.
    """
    readers: dict[str, Callable[[], np.ndarray]] = {}
    for one in settings:
        require_columns(frame, columns_of_table(one), role="a table input", table=table)
        readers |= {number_key(item.column): partial(numbers, frame, item.column) for item in one.numeric}
        readers |= {name_key(item.column): partial(names, frame, item.column) for item in one.categorical}
        if one.group is not None:
            key = derived_key("log_group_rows", one.group)
            readers[key] = partial(log_group_rows, frame, one.group, unknown_group)
        if "log_file_bytes" in one.derived:
            readers[derived_key("log_file_bytes", None)] = partial(log_file_bytes, frame, media)
    return {key: read() for key, read in readers.items()}


def numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as float64 (n,), NaN where a cell is empty.

    Raises:
        DataError: a cell is text, or not a finite number of single precision, in which networks compute.
    """
    cells = frame[name]
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        usable = np.isfinite(values.astype(np.float32))
    wrong = np.flatnonzero(~usable & ~is_missing(cells))
    if len(wrong):
        got = list(dict.fromkeys(map(str, cells.iloc[wrong].tolist())))
        raise DataError(
            f"{len(wrong)} values of the table input {name!r} are no usable numbers: {name_rows(frame, wrong)}",
            got=", ".join(map(repr, got[:5])) + (" .." if len(got) > 5 else ""),
            expected="finite numbers, or empty cells where they are not known",
            fix="empty these cells, or make the column a categorical input",
        )
    return values


def names(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as an object array (n,) of str, None where a cell is empty; whole numbers are named without a dot.

    A column of whole numbers is a float column wherever a fraction or a gap is among them, so that the same name would
    be `1` in one table and `1.0` in the next.
    """
    empty = is_missing(frame[name])
    texts = [None if gone else _text(cell) for cell, gone in zip(frame[name].tolist(), empty, strict=True)]
    return np.array(texts, dtype=object)


def is_missing(cells: pd.Series) -> np.ndarray:
    """Bool (n,): empty cells, and text that holds nothing but spaces."""
    blank = [isinstance(cell, str) and not cell.strip() for cell in cells.tolist()]
    return cells.isna().to_numpy(dtype=bool) | np.array(blank, dtype=bool)


def log_group_rows(frame: pd.DataFrame, name: str, unknown: Sequence[Label | None] = ()) -> np.ndarray:
    """float64 (n,): log(1 + rows of the same group in this table); a row of an unknown group is alone.

    Args:
        frame: the whole table.
        name: column of the groups; empty cells are unknown.
        unknown: further values that mean that the group is not known.
    """
    groups = group_column(frame[name], unknown)
    alone = is_missing(groups)
    rows = np.ones(len(groups), dtype=np.float64)
    codes = pd.factorize(groups[~alone])[0]
    rows[~alone] = np.bincount(codes)[codes]
    return np.log1p(rows)


def log_file_bytes(frame: pd.DataFrame, media: Sequence[Path] | None) -> np.ndarray:
    """float64 (n,): natural logarithm of the size of each row's file in bytes.

    Raises:
        DataError: the table names no files, or a file cannot be read or is empty; its row is named.
    """
    if media is None:
        raise DataError("the table input 'log_file_bytes' needs files", fix="say where they are: set data.image")
    sizes = np.array([_bytes(path) for path in media], dtype=np.float64)
    wrong = np.flatnonzero(sizes == 0)
    if len(wrong):
        what = f"{len(wrong)} files have no size for 'log_file_bytes': {name_rows(frame, wrong)}"
        raise DataError(what, got=f"{media[wrong[0]]} is missing or empty", fix="restore the files, or drop their rows")
    return np.log(sizes)


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _text(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
