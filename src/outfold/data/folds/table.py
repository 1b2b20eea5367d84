"""The fold of each sample as an artefact: folds.csv, which the user can read, edit and bring."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.folds.grouping import link_groups
from outfold.data.reading import read_rows
from outfold.data.rows import name_rows
from outfold.errors import DataError
from outfold.files import write_atomically
from outfold.run_folder import WHOLE


@dataclass(frozen=True)
class FoldTable:
    """Which fold each sample belongs to, and what the folds were made from."""

    ids: np.ndarray
    """object (n,) of str."""
    fold: np.ndarray
    """int64 (n,); a sample's out-of-fold prediction comes from the models that did not train on its fold."""
    groups: np.ndarray | None = None
    """int64 (n,): rows of one number share a fold; linked over all group columns and equal files. None: no groups."""
    strata: np.ndarray | None = None
    """object (n,) of str, or None."""
    again: np.ndarray | None = None
    """int64 (n, r): r further ways to deal out the same rows, each with fold numbers of its own. None: no repeats."""
    ordered: bool = False
    """Folds follow each other in time: models train on earlier folds only, and the first fold is never predicted."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def assignments(self) -> np.ndarray:
        """int64 (1 + r, n): every way the rows are dealt out; a fold's number occurs in one of them only."""
        return self.fold[None] if self.again is None else np.vstack([self.fold[None], self.again.T])

    @property
    def whole(self) -> bool:
        """Whether nothing is held out: one model trains on all rows, and no row is predicted out of fold."""
        return bool((self.fold == WHOLE).all())

    @property
    def numbers(self) -> tuple[int, ...]:
        """The folds that can be held out; `WHOLE` alone where none is."""
        numbers = [int(number) for number in np.unique(self.assignments)]
        return tuple(numbers[1:] if self.ordered else numbers)

    def split(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that train and rows that judge when a fold is held out, both int64, ascending.

        Of ordered folds only the earlier ones train, without the groups that also occur in the held-out one.
        """
        if number == WHOLE:
            return np.arange(len(self)), np.zeros(0, dtype=np.int64)
        fold = next(fold for fold in self.assignments if number in fold)
        valid = np.flatnonzero(fold == number)
        if not self.ordered:
            return np.flatnonzero(fold != number), valid
        earlier = fold < number
        if self.groups is not None:
            earlier &= ~np.isin(self.groups, self.groups[valid])
        return np.flatnonzero(earlier), valid

    def judged(self, numbers: Collection[int]) -> np.ndarray:
        """int64 (m,), ascending: the rows that are predicted when each of these folds is held out in turn."""
        return np.flatnonzero(np.isin(self.assignments, list(set(numbers) - {WHOLE})).any(axis=0))

    def to_frame(self) -> pd.DataFrame:
        """Columns id and fold, with fold_2, fold_3 .. of repeats, and group and strata where there are any."""
        columns: dict[str, np.ndarray | None] = {"id": self.ids, "fold": self.fold}
        columns |= {f"fold_{number}": fold for number, fold in enumerate(self.assignments[1:], 2)}
        columns |= {"group": self.groups, "strata": self.strata}
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


def whole_table(ids: np.ndarray) -> FoldTable:
    """Folds of which none is held out, for rows of these ids, object (n,) of str."""
    return FoldTable(ids, np.full(len(ids), WHOLE, dtype=np.int64))


def write_folds(path: Path, table: FoldTable) -> Path:
    """Write folds.csv, whole or not at all."""
    return write_atomically(path, lambda part: table.to_frame().to_csv(part, index=False))


def read_folds(
    path: Path, ids: Sequence[str] | np.ndarray, *, id_column: str = "id", dropped: Collection[str] = ()
) -> FoldTable:
    """Read folds written by `write_folds`, or by the user, and align them to `ids`.

    Args:
        path: a CSV or parquet file with the columns `id` (or `id_column`) and `fold`, perhaps `fold_2`, `fold_3` .. of
            repeats, `group` and `strata`. Where every fold is `WHOLE`, none is held out.
        ids: (n,) the samples' ids.
        id_column: the user's name of the id column.
        dropped: further ids that the file may hold.

    Raises:
        DataError: a column is missing, a fold is not an integer, an id occurs twice, or the ids are not exactly these.
    """
    frame, lines = read_rows(path, exact={"id", id_column, "strata"})
    name = "id" if "id" in frame.columns else id_column
    require_columns(frame, [name, "fold"], role="the folds", table=path.name)
    frame = frame.assign(source=path.name, source_row=lines)
    frame = frame[~np.isin(np.array(cell_texts(frame[name]), dtype=object), list(dropped))].reset_index(drop=True)
    own = pd.Index(cell_texts(frame[name]), dtype=object)
    wanted = pd.Index([str(value) for value in ids], dtype=object)
    _same_ids(own, wanted, path, frame)
    frame = frame.iloc[own.get_indexer(wanted)].reset_index(drop=True)
    if (frame["fold"] == WHOLE).all():
        return whole_table(wanted.to_numpy(object))
    groups = link_groups(frame["group"]) if "group" in frame.columns else None
    strata = np.array(cell_texts(frame["strata"]), dtype=object) if "strata" in frame.columns else None
    return FoldTable(wanted.to_numpy(object), whole_numbers(frame, "fold"), groups, strata, _repeats(frame, path))


def _repeats(frame: pd.DataFrame, path: Path) -> np.ndarray | None:
    names = [name for name in frame.columns if re.fullmatch(r"fold_[0-9]+", str(name))]
    if not names:
        return None
    seen = set(frame["fold"])
    for name in names:
        shared = seen & set(frame[name])
        if shared:
            raise DataError(
                f"{path}: column {name!r} uses fold numbers of an earlier column",
                got=sorted(shared)[:5],
                expected="numbers of its own, e.g. 5 to 9 after 0 to 4",
            )
        seen |= set(frame[name])
    return np.stack([whole_numbers(frame, name) for name in names], axis=1)


def whole_numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column as int64 (n,).

    Raises:
        DataError: a value is no whole number from 0 on.
    """
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~((values >= 0) & (values % 1 == 0)))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} folds in column {name!r} are not usable: {name_rows(frame, wrong)}",
            got=frame[name].iloc[wrong[:5]].tolist(),
            expected="whole numbers from 0 on",
        )
    return values.astype(np.int64)


def _same_ids(own: pd.Index, wanted: pd.Index, path: Path, frame: pd.DataFrame) -> None:
    twice = np.flatnonzero(own.duplicated())
    if len(twice):
        raise DataError(f"{path}: ids are given more than once: {name_rows(frame, twice)}", got=first_few(own[twice]))
    missing, surplus = wanted.difference(own, sort=False), own.difference(wanted, sort=False)
    if len(missing) or len(surplus):
        wrong = [f"{len(missing)} ids without a fold: {first_few(missing)}"] if len(missing) else []
        wrong += [f"{len(surplus)} ids that the training table lacks: {first_few(surplus)}"] if len(surplus) else []
        raise DataError(
            f"{path}: the folds are for other samples",
            got="; ".join(wrong),
            expected=f"exactly the {len(wanted)} ids of the training table",
            fix="add or remove these rows in the file of folds",
        )


def first_few(values: Sequence[str] | pd.Index | np.ndarray) -> str:
    """The first three values, for a message."""
    return ", ".join(map(str, values[:3])) + (", .." if len(values) > 3 else "")
