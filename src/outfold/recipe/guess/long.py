"""Recognises long tables: one row a sample and target, where a row is called by its sample and its target."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from outfold.data.columns import cell_texts, kind_of
from outfold.data.long import pivot
from outfold.errors import DataError
from outfold.settings.data import Long

MOST_TARGETS = 100
_MARKS = re.compile(r"[^A-Za-z0-9]+$")


@dataclass(frozen=True)
class LongGuess:
    """What the columns of a long table are."""

    long: Long
    id_column: str
    """A column of the table that holds what row ids begin with, or the name of one that is made of them."""
    targets: tuple[str, ...]
    wide: pd.DataFrame
    """The same table with a row a sample."""

    @property
    def why(self) -> str:
        """The reason as a phrase."""
        return f"every `{self.long.row}` ends in `{self.long.separator}` and its `{self.long.name}`"


def guess_long(frame: pd.DataFrame) -> LongGuess | None:
    """What a table's columns are, if its rows make whole samples of the same targets; None if they do not."""
    for row, name, separator in _named_rows(frame):
        id_column = _id_column(frame, row, name, separator)
        targets = tuple(dict.fromkeys(map(str, frame[name])))
        for value in _values(frame, row, name, separator):
            long = Long(row=row, name=name, value=value, separator=separator)
            try:
                wide, _ = pivot(frame, long, id_column, targets, table="the table")
            except DataError:
                continue
            return LongGuess(long, id_column, targets, wide)
    return None


def _named_rows(frame: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Columns of row ids that all end in the text of another column after the same marks, and those marks."""
    texts = [str(name) for name in frame.columns if kind_of(frame[name]) == "text" and not frame[name].isna().any()]
    few = [name for name in texts if 1 < frame[name].nunique() <= min(MOST_TARGETS, len(frame) - 1)]
    for row in (name for name in texts if frame[name].is_unique):
        for name in few:
            separator = _separator(frame[row].iloc[0], frame[name].iloc[0])
            pairs = zip(frame[row], frame[name], strict=True)
            if separator is not None and all(_separator(*pair) == separator for pair in pairs):
                yield row, name, separator


def _separator(row: str, name: str) -> str | None:
    """The marks before a name at the end of a row id; None where it does not end so."""
    found = _MARKS.search(row.removesuffix(name)) if row.endswith(name) else None
    return None if found is None else found.group()


def _samples(frame: pd.DataFrame, row: str, name: str, separator: str) -> list[str]:
    return [one.removesuffix(f"{separator}{of}") for one, of in zip(frame[row], frame[name], strict=True)]


def _id_column(frame: pd.DataFrame, row: str, name: str, separator: str) -> str:
    """A column that names the samples as the row ids do, or a name that no column has."""
    samples = _samples(frame, row, name, separator)
    same = [str(column) for column in frame.columns if column != row and cell_texts(frame[column]) == samples]
    return next(iter(same), next(free for free in ("id", "sample", "sample_of_row") if free not in frame.columns))


def _values(frame: pd.DataFrame, row: str, name: str, separator: str) -> list[str]:
    """Columns of numbers that differ within samples."""
    samples = pd.Series(_samples(frame, row, name, separator))
    numbers = [str(column) for column in frame.columns if kind_of(frame[column]) != "text"]
    return [column for column in numbers if frame[column].groupby(samples).nunique().max() > 1]
