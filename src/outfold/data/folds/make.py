"""The folds a recipe asks for: made from groups and strata, or brought by the user."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import require_columns
from outfold.data.folds.grouping import link_groups, strata_of
from outfold.data.folds.splits import group_kfold, kfold, stratified_group_kfold, stratified_kfold
from outfold.data.folds.table import FoldTable, first_few, read_folds, whole_numbers
from outfold.data.table import Samples
from outfold.errors import DataError
from outfold.settings.data import Folds


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
        fold, origin = whole_numbers(samples.frame, folds.column), f"column {folds.column!r}"
    else:
        path = (root or Path()) / str(folds.file)
        table = read_folds(path, samples.ids, id_column=samples.id_column, dropped=dropped)
        fold, origin = table.fold, str(path)
    if len(np.unique(fold)) < 2:
        raise DataError(f"{origin}: all rows are in fold {fold[0]}", expected="at least two folds")
    return fold


def _refuse_torn_groups(table: FoldTable) -> None:
    """The user's folds must not contradict the groups that the recipe names."""
    if table.groups is None:
        return
    folds_of = pd.Series(table.fold).groupby(table.groups).agg(lambda fold: sorted(set(fold)))
    torn = folds_of[folds_of.map(len) > 1]
    if len(torn):
        shown = [f"{first_few(table.ids[table.groups == group])} in folds {folds}" for group, folds in torn[:3].items()]
        raise DataError(
            f"the given folds tear {len(torn)} groups apart, which leaks",
            got="; ".join(shown) + ("; .." if len(torn) > 3 else ""),
            expected="all rows of a group, and rows with equal files, in one fold",
            fix="mend the folds; or say that it is meant, without folds.group and with folds.duplicates: ignore",
        )
