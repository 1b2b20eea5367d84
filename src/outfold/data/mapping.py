"""Labels and other values of one table in the recipe's words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from outfold.data.columns import plain_cells, require_columns, value_like
from outfold.errors import DataError
from outfold.settings.base import Label


@dataclass(frozen=True)
class Mapped:
    """What the `map` of a table did to a column, or to all target columns together."""

    table: str
    columns: tuple[str, ...]
    unused: tuple[str, ...]
    """Values that the map names and no row has."""
    kept: Mapping[str, int]
    """Values that rows have and the map does not name, which stay as they are, and the number of their cells."""


def map_values(
    frame: pd.DataFrame, words: Mapping[str, Label | dict[str, Label]], *, targets: Sequence[str], table: str
) -> tuple[pd.DataFrame, tuple[Mapped, ...]]:
    """Replace values of some columns, compared as the column's own type: the key "1" finds the number 1.

    Args:
        frame: the table, n rows.
        words: labels of the target columns by the table's own ones, and by column name the same for other columns.
        targets: the columns that plain labels are for.
        table: how errors name the table.

    Returns:
        The table with mapped columns, which may be of another type now, and what was done to each.

    Raises:
        DataError: a column is missing, or one value is named twice (as `1` and `1.0` of a column of numbers).
    """
    labels = {old: new for old, new in words.items() if not isinstance(new, dict)}
    parts = [(tuple(targets), labels)] if labels else []
    parts += [((name,), new) for name, new in words.items() if isinstance(new, dict)]
    reports = []
    for columns, part in parts:
        require_columns(frame, columns, role="a column to map (`map`)", table=table)
        replaced = {name: _replace(frame[name], part, table) for name in columns}
        frame = frame.assign(**{name: column for name, (column, _, _) in replaced.items()})
        used = set[str]().union(*(found for _, found, _ in replaced.values()))
        kept = sum((rest for _, _, rest in replaced.values()), Counter[str]())
        reports.append(Mapped(table, columns, tuple(old for old in part if old not in used), dict(kept)))
    return frame, tuple(reports)


def _replace(column: pd.Series, words: Mapping[str, Label], table: str) -> tuple[pd.Series, set[str], Counter[str]]:
    """The column in other words; the keys that it has, and how often it has each value that is no key."""
    own: dict[Any, str] = {}
    for key in words:
        value = value_like(key, column)
        if value in own:
            twice = f"{own[value]!r} and {key!r}"
            raise DataError(f"{table}: `map` names one value of column {column.name!r} twice", got=twice)
        own[value] = key
    cells = [None if gap else cell for cell, gap in zip(column.tolist(), column.isna(), strict=True)]
    used = {own[cell] for cell in set(cells) if cell in own}
    rest = Counter(str(cell) for cell in cells if cell is not None and cell not in own)
    return plain_cells([words[own[cell]] if cell in own else cell for cell in cells]), used, rest
