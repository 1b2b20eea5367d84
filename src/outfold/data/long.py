"""Long tables, one row a sample and target: turned into one row a sample, and answers laid out as they were."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.ids import given_ids, unique_ids
from outfold.data.rows import SOURCE_ROW, name_rows
from outfold.errors import DataError
from outfold.names import suggestion
from outfold.settings.data import Long


@dataclass(frozen=True)
class LongRows:
    """The rows of long tables, in the order of the tables, beside the samples that they became.

    Attributes:
        ids: object (r,) of str, what identifies a row.
        sample: int64 (r,), the place of its sample.
        target: object (r,) of str, the target that it is about.
    """

    ids: np.ndarray
    sample: np.ndarray
    target: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Its three parts."""
        return self.ids, self.sample, self.target

    def take(self, samples: np.ndarray, count: int) -> "LongRows":
        """The rows of some samples, in the order of the tables.

        Args:
            samples: int64 (m,), places of the samples that stay, each once; their order is that of their new places.
            count: how many samples there were.
        """
        place = np.full(count, -1, dtype=np.int64)
        place[samples] = np.arange(len(samples))
        sample = place[self.sample]
        kept = sample >= 0
        return LongRows(self.ids[kept], sample[kept], self.target[kept])

    @classmethod
    def stacked(cls, parts: "Sequence[tuple[LongRows, int]]") -> "LongRows | None":
        """The rows of several tables below each other, each with the number of its samples; None of none."""
        if not parts:
            return None
        rows, counts = zip(*parts, strict=True)
        first = np.cumsum([0, *counts[:-1]])
        return cls(
            np.concatenate([part.ids for part in rows]),
            np.concatenate([part.sample + start for part, start in zip(rows, first, strict=True)]),
            np.concatenate([part.target for part in rows]),
        )

    def cells(self, wide: pd.DataFrame) -> np.ndarray:
        """The value of each row, (r,), from a table with a row a sample and a column a target."""
        return wide.to_numpy()[self.sample, wide.columns.get_indexer(pd.Index(self.target))]


def pivot(
    frame: pd.DataFrame, long: Long, id_column: str, targets: Sequence[str], *, table: str, labelled: bool = True
) -> tuple[pd.DataFrame, LongRows]:
    """Turn a table with one row a sample and target into one row a sample.

    Args:
        frame: r rows on a RangeIndex, with the columns of `long`, the id column (which is made where `long.separator`
            is given and there is none), and columns that are the same in all rows of a sample.
        long: which column is what.
        id_column: identifies a sample.
        targets: the k targets.
        table: how errors name a table that lacks a column.
        labelled: every sample has a row with a value for each target. A table without labels may list only some
            targets of a sample, and lack the column of values.

    Returns:
        n rows in the order in which samples first appear: the columns that samples share, `source_row` of the first
        row of each, and a column for each target where there are values (missing where a sample has no such row);
        and the rows that the table had.

    Raises:
        DataError: a column is missing, a row id, or a target of a sample, is given twice; a row is about none of the
            targets, a sample lacks one, a value is missing, a column differs within a sample, or row ids are not made
            from sample and target as `long.separator` says. Rows are named by table and line.
    """
    needed = [long.row, long.name, *([long.value] if labelled else [])]
    require_columns(frame, needed, role="part of data.long", table=table)
    rows, target = unique_ids(frame, long.row), given_ids(frame, long.name)
    frame = _with_ids(frame, rows, target, long, id_column, table)
    sample, names = pd.factorize(given_ids(frame, id_column))
    first = np.unique(sample, return_index=True)[1]
    place = _places(frame, long, sample, names, target, targets)
    if labelled:
        _refuse_gaps(frame, long, first, names, place, targets)
    shared = _shared(frame.drop(columns=list(long.columns), errors="ignore"), sample, first, names, targets)
    if long.value in frame.columns:
        cells = {name: frame[long.value].reindex(place[:, k]).array for k, name in enumerate(targets)}
        shared = shared.assign(**cells)
    return shared, LongRows(rows, sample.astype(np.int64), target)


def _with_ids(
    frame: pd.DataFrame, rows: np.ndarray, target: np.ndarray, long: Long, id_column: str, table: str
) -> pd.DataFrame:
    """The table with a column of sample ids: its own, which must go with the row ids, or made from them."""
    if long.separator is None:
        require_columns(frame, [id_column], role="the id of a sample (or give data.long.separator)", table=table)
        return frame
    ends = [f"{long.separator}{name}" for name in target]
    wrong = [k for k, (row, end) in enumerate(zip(rows, ends, strict=True)) if not row.endswith(end) or row == end]
    if wrong:
        raise DataError(
            f"{len(wrong)} row ids in column {long.row!r} are not a sample, {long.separator!r} and the row's target: "
            + name_rows(frame, wrong),
            got=f"{rows[wrong[0]]!r} in a row about {target[wrong[0]]!r}",
            expected=f"an id that ends in {ends[wrong[0]]!r}",
            fix="set data.long.separator as the table has it, or leave it out and name the sample's column in data.id",
        )
    made = pd.Series([row.removesuffix(end) for row, end in zip(rows, ends, strict=True)])
    if id_column not in frame.columns:
        frame = frame.copy(deep=False)
        frame.insert(0, id_column, made)
        return frame
    other = np.flatnonzero(made.to_numpy(object) != given_ids(frame, id_column))
    if len(other):
        raise DataError(
            f"{len(other)} rows have another sample in column {id_column!r} than in their id: "
            + name_rows(frame, other),
            got=f"{cell_texts(frame[id_column])[other[0]]!r} beside {rows[other[0]]!r}",
            fix="mend the table, or leave data.long.separator out",
        )
    return frame


def _places(
    frame: pd.DataFrame,
    long: Long,
    sample: np.ndarray,
    names: np.ndarray,
    target: np.ndarray,
    targets: Sequence[str],
) -> np.ndarray:
    """int64 (n, k): the row of each sample and target, -1 where there is none."""
    code = pd.Index(list(targets)).get_indexer(pd.Index(target))
    unknown = np.flatnonzero(code < 0)
    if len(unknown):
        found = list(dict.fromkeys(target[unknown]))
        raise DataError(
            f"{len(unknown)} rows are about none of the recipe's targets in column {long.name!r}: "
            + name_rows(frame, unknown),
            got=found[:5],
            expected=f"one of {list(targets)}",
            fix=f"{suggestion(found[0], targets)}; or leave these rows out (`where` of the source)",
        )
    twice = np.flatnonzero(pd.Series(sample * len(targets) + code).duplicated())
    if len(twice):
        one = np.flatnonzero((sample == sample[twice[0]]) & (code == code[twice[0]]))
        raise DataError(
            f"{len(twice)} rows repeat a target of their sample: {name_rows(frame, twice)}",
            got=f"{target[one[0]]!r} of sample {names[sample[one[0]]]!r} in {name_rows(frame, one)}",
            expected="one row for each sample and target",
        )
    place = np.full((len(names), len(targets)), -1, dtype=np.int64)
    place[sample, code] = np.arange(len(frame))
    return place


def _refuse_gaps(
    frame: pd.DataFrame, long: Long, first: np.ndarray, names: np.ndarray, place: np.ndarray, targets: Sequence[str]
) -> None:
    """Raise DataError where a sample has no row for a target, or a row has no value."""
    lacking = np.flatnonzero((place < 0).any(axis=1))
    if len(lacking):
        missing = ", ".join(repr(name) for name, row in zip(targets, place[lacking[0]], strict=True) if row < 0)
        raise DataError(
            f"{len(lacking)} samples lack a target: {name_rows(frame, first[lacking])}",
            got=f"sample {names[lacking[0]]!r} has no row about {missing} in column {long.name!r}",
            expected=f"a row for each of {list(targets)}",
        )
    empty = np.flatnonzero(frame[long.value].isna())
    if len(empty):
        raise DataError(
            f"{len(empty)} rows have no value in column {long.value!r}: {name_rows(frame, empty)}",
            fix="fill them in, or leave their samples out (`where` of the source)",
        )


def _shared(
    frame: pd.DataFrame, sample: np.ndarray, first: np.ndarray, names: np.ndarray, targets: Sequence[str]
) -> pd.DataFrame:
    """What the rows of a sample have in common, n rows; `source_row` is that of the first."""
    taken = [name for name in targets if name in frame.columns]
    if taken:
        raise DataError(f"the long table has a column {taken[0]!r} of its own, which is also a target's name")
    for column in frame.columns.drop(SOURCE_ROW, errors="ignore"):
        code = pd.factorize(frame[column])[0]
        differing = np.flatnonzero(code != code[first][sample])
        if len(differing):
            rows = np.flatnonzero(sample == sample[differing[0]])
            values = dict.fromkeys(cell_texts(frame[column].iloc[rows]))
            raise DataError(
                f"column {column!r} differs within a sample: {names[sample[differing[0]]]!r} in "
                + name_rows(frame, rows),
                got=" and ".join("(empty)" if value is None else repr(value) for value in values),
                expected="one value in all rows of a sample",
                fix="mend these rows, or leave the column out of the table",
            )
    return frame.iloc[first].reset_index(drop=True)
