"""The fold of each sample as an artefact: folds.csv, which the user can read, edit and bring."""

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

    def __len__(self) -> int:
        return len(self.ids)

    def to_frame(self) -> pd.DataFrame:
        """Columns id and fold, with group and strata where there are any."""
        columns = {"id": self.ids, "fold": self.fold, "group": self.groups, "strata": self.strata}
        return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


def write_folds(path: Path, table: FoldTable) -> Path:
    """Write folds.csv, whole or not at all."""
    return write_atomically(path, lambda part: table.to_frame().to_csv(part, index=False))


def read_folds(
    path: Path, ids: Sequence[str] | np.ndarray, *, id_column: str = "id", dropped: Collection[str] = ()
) -> FoldTable:
    """Read folds written by `write_folds`, or by the user, and align them to `ids`.

    Args:
        path: a CSV or parquet file with the columns `id` (or `id_column`) and `fold`, perhaps `group` and `strata`.
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
    groups = link_groups(frame["group"]) if "group" in frame.columns else None
    strata = np.array(cell_texts(frame["strata"]), dtype=object) if "strata" in frame.columns else None
    return FoldTable(wanted.to_numpy(object), whole_numbers(frame, "fold"), groups, strata)


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
