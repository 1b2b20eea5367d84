"""The fold of each sample: made from groups and strata, or brought by the user; kept in folds.csv."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.grouping import link_groups, strata_of
from outfold.data.reading import read_rows
from outfold.data.rows import name_rows
from outfold.data.splits import group_kfold, kfold, stratified_group_kfold, stratified_kfold
from outfold.data.table import Samples
from outfold.errors import DataError
from outfold.files import write_atomically
from outfold.settings.data import Folds

__all__ = [
    "FoldTable",
    "group_kfold",
    "kfold",
    "link_groups",
    "make_folds",
    "read_folds",
    "stratified_group_kfold",
    "stratified_kfold",
    "write_folds",
]


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


def make_folds(
    folds: Folds,
    samples: Samples,
    *,
    content_keys: Sequence[str] | None = None,
    root: Path | None = None,
    dropped: Collection[str] = (),
) -> FoldTable:
    """The folds that a recipe asks for.

    Args:
        folds: the recipe's part; `column` and `file` take the user's own folds, and `k` and `seed` then mean nothing.
        samples: the training rows, n.
        content_keys: (n,) one text per row's file; equal ones share a fold unless `duplicates` is `ignore`. Empty
            texts link nothing.
        root: where `folds.file` is looked for when it is a relative path.
        dropped: ids that were left out of the samples, and that `folds.file` may still hold.

    Raises:
        DataError: a column is missing, rows, groups or a class are too few for k folds, or the user's own folds are
            not integers, are for other ids, or tear a group apart.
    """
    require_columns(samples.frame, (*folds.group, *folds.stratify), role="the folds", table="training table")
    groups = _groups(folds, samples, content_keys)
    if folds.column is not None or folds.file is not None:
        table = FoldTable(samples.ids, _own_folds(folds, samples, root, dropped), groups)
        _refuse_torn_groups(table)
        return table
    strata = strata_of(samples.frame, folds.stratify, folds.k) if folds.stratify else None
    fold = _split(len(samples), folds, groups, strata)
    empty = sorted(set(range(folds.k)) - set(fold.tolist()))
    if empty:
        raise DataError(f"no group is left for fold {empty[0]}", got=f"{len(np.unique(fold))} folds", fix="lower k")
    return FoldTable(samples.ids, fold, groups, strata)


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
    return FoldTable(wanted.to_numpy(object), _whole_numbers(frame, "fold"), groups, strata)


def _groups(folds: Folds, samples: Samples, content_keys: Sequence[str] | None) -> np.ndarray | None:
    columns: list[Sequence[object] | pd.Series] = [samples.frame[name] for name in folds.group]
    keys = [key or None for key in content_keys or ()]
    known = [key for key in keys if key is not None]
    if folds.duplicates == "group" and len(set(known)) < len(known):
        columns.append(keys)
    return link_groups(*columns) if columns else None


def _split(n: int, folds: Folds, groups: np.ndarray | None, strata: np.ndarray | None) -> np.ndarray:
    if groups is None:
        return kfold(n, folds.k, folds.seed) if strata is None else stratified_kfold(strata, folds.k, folds.seed)
    if strata is None:
        return group_kfold(groups, folds.k, folds.seed)
    return stratified_group_kfold(strata, groups, folds.k, folds.seed)


def _own_folds(folds: Folds, samples: Samples, root: Path | None, dropped: Collection[str]) -> np.ndarray:
    if folds.column is not None:
        require_columns(samples.frame, [folds.column], role="the fold (folds.column)", table="training table")
        fold, origin = _whole_numbers(samples.frame, folds.column), f"column {folds.column!r}"
    else:
        path = (root or Path()) / str(folds.file)
        table = read_folds(path, samples.ids, id_column=samples.id_column, dropped=dropped)
        fold, origin = table.fold, str(path)
    if len(np.unique(fold)) < 2:
        raise DataError(f"{origin}: all rows are in fold {fold[0]}", expected="at least two folds")
    return fold


def _whole_numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
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
        raise DataError(f"{path}: ids are given more than once: {name_rows(frame, twice)}", got=_first(own[twice]))
    missing, surplus = wanted.difference(own, sort=False), own.difference(wanted, sort=False)
    if len(missing) or len(surplus):
        wrong = [f"{len(missing)} ids without a fold: {_first(missing)}"] if len(missing) else []
        wrong += [f"{len(surplus)} ids that the training table lacks: {_first(surplus)}"] if len(surplus) else []
        raise DataError(
            f"{path}: the folds are for other samples",
            got="; ".join(wrong),
            expected=f"exactly the {len(wanted)} ids of the training table",
            fix="add or remove these rows in the file of folds",
        )


def _refuse_torn_groups(table: FoldTable) -> None:
    """The user's folds must not contradict the groups that the recipe names."""
    if table.groups is None:
        return
    folds_of = pd.Series(table.fold).groupby(table.groups).agg(lambda fold: sorted(set(fold)))
    torn = folds_of[folds_of.map(len) > 1]
    if len(torn):
        shown = [f"{_first(table.ids[table.groups == group])} in folds {folds}" for group, folds in torn[:3].items()]
        raise DataError(
            f"the given folds tear {len(torn)} groups apart, which leaks",
            got="; ".join(shown) + ("; .." if len(torn) > 3 else ""),
            expected="all rows of a group, and rows with equal files, in one fold",
            fix="mend the folds; or say that it is meant, without folds.group and with folds.duplicates: ignore",
        )


def _first(values: Sequence[str] | pd.Index | np.ndarray) -> str:
    return ", ".join(map(str, values[:3])) + (", .." if len(values) > 3 else "")
