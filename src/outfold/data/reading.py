"""Reading table files: CSV cell by cell with line numbers, parquet with its own types."""

import csv
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from outfold.data.columns import typed_column
from outfold.errors import DataError

_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "pipe"}


def read_rows(path: Path, *, exact: Collection[str] = ()) -> tuple[pd.DataFrame, np.ndarray]:
    """Read a table and the place of each of its rows.

    Args:
        path: `.csv`, `.parquet` or `.pq`.
        exact: columns of a CSV that become integers or stay text, never floats (ids, parts of paths).

    Returns:
        The table, and int64 (n,): the line a row of a CSV starts on (the header is line 1); else its number from 1.

    Raises:
        DataError: the file is missing, of another kind, not a table as its ending says, or has no rows.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".pq": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None and not path.exists():
        raise DataError(f"{path}: the file does not exist")
    if reader is None:
        raise DataError(f"{path}: not a kind of table that can be read", expected=f"a file ending in {list(readers)}")
    try:
        frame, rows = reader(path, exact)
    except OSError as error:
        raise DataError(f"{path}: the table cannot be read", got=error.strerror or error) from error
    if not len(frame):
        raise DataError(f"{path}: the table has no rows")
    return frame, rows


def _read_csv(path: Path, exact: Collection[str]) -> tuple[pd.DataFrame, np.ndarray]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = _records(csv.reader(file, strict=True), path)
        _, header = next(records, (1, []))
        names = _column_names(header, path)
        lines, cells = [], []
        for line, record in records:
            if len(record) != len(names):
                raise DataError(f"{path}:{line}: {len(record)} cells, but the header has {len(names)} columns")
            lines.append(line)
            cells.append(record)
    columns = zip(*cells, strict=True) if cells else [()] * len(names)
    typed = {name: typed_column(texts, exact=name in exact) for name, texts in zip(names, columns, strict=True)}
    return pd.DataFrame(typed), np.array(lines, dtype=np.int64)


def _records(reader: Iterator[list[str]], path: Path) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank lines, each with the line it starts on."""
    line = 1
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}:{line}: not valid CSV", got=error, fix="check the quotes of this row") from error
        except UnicodeDecodeError as error:
            expected, fix = "UTF-8 text", "save the table as UTF-8"
            raise DataError(f"{path}: the text is not UTF-8", got=error, expected=expected, fix=fix) from error
        if record is None:
            return
        if record:
            yield line, record
        line = reader.line_num + 1  # type: ignore[attr-defined]


def _column_names(header: list[str], path: Path) -> list[str]:
    """Names of the columns; a nameless one is called as pandas does (`DataFrame.to_csv` writes its index so)."""
    if not header:
        raise DataError(f"{path}: the table is empty", expected="a first line with column names")
    for delimiter, word in _DELIMITERS.items():
        if len(header) == 1 and delimiter in header[0]:
            raise DataError(
                f"{path}: the columns are separated by a {word} ({delimiter!r})",
                expected="commas",
                fix=f"convert it once: pandas.read_csv(path, sep={delimiter!r}, dtype=str).to_csv(path, index=False)",
            )
    names = [name or f"Unnamed: {position}" for position, name in enumerate(header)]
    _refuse_equal_names(names, path)
    return names


def _read_parquet(path: Path, exact: Collection[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Types are the file's own; integers and booleans with gaps become Int64 and boolean, dictionaries their values."""
    try:
        table = pq.ParquetFile(path).read()
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a readable parquet file", got=error) from error
    _refuse_equal_names(table.column_names, path)
    columns = {name: _from_arrow(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    return pd.DataFrame(columns), np.arange(1, table.num_rows + 1)


def _from_arrow(column: pa.ChunkedArray) -> pd.Series:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count and pa.types.is_integer(column.type):
        return column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if column.null_count and pa.types.is_boolean(column.type):
        return column.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
    return column.to_pandas()


def _refuse_equal_names(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: {len(twice)} column names are given more than once", got=twice)
