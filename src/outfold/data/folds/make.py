"""The folds a recipe asks for: made from groups and strata, or brought by the user."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import require_columns, value_like
from outfold.data.folds.cut import cut_groups, order_of
from outfold.data.folds.grouping import group_column, link_groups, strata_of
from outfold.data.folds.searched import Progress, searched_folds
from outfold.data.folds.splits import group_kfold, kfold, leave_one_group_out, stratified_group_kfold, stratified_kfold
from outfold.data.folds.table import FoldTable, first_few, read_folds, whole_numbers, whole_table
from outfold.data.folds.time import moments_of, time_blocks
from outfold.data.table import Samples
from outfold.errors import DataError
from outfold.settings.folds import Cut, Folds


def make_folds(
    folds: Folds,
    samples: Samples,
    *,
    content_keys: Sequence[str] | None = None,
    copies: Sequence[object] | np.ndarray | None = None,
    root: Path | None = None,
    dropped: Collection[str] = (),
    progress: Progress | None = None,
) -> FoldTable:
    """The folds that a recipe asks for.

    Args:
        folds: the recipe's part; `column` and `file` take the user's own folds, and `k` and `seed` then mean nothing.
        samples: the training rows, n.
        content_keys: (n,) one text per row's file; equal ones share a fold unless `duplicates` is `ignore`. Empty
            texts link nothing.
        copies: (n,) rows of one value are near-duplicates and share a fold, unless `duplicates` is `ignore`; None (or
            -1) links nothing.
        root: where `folds.file` is looked for when it is a relative path.
        dropped: ids that were left out of the samples, and that `folds.file` may still hold.
        progress: is told how far a search is: seeds tried, seeds in all, the imbalance of the best folds so far.

    Raises:
        DataError: a column is missing, rows, groups or a class are too few for k folds, or the user's own folds are
            not integers, are for other ids, or tear a group apart.
    """
    named = (*folds.group, *folds.stratify, *([folds.time] if folds.time else []))
    require_columns(samples.frame, named, role="the folds", table="training table")
    if folds.full:
        return whole_table(samples.ids)
    groups = _groups(folds, samples, content_keys, copies)
    if folds.column is not None or folds.file is not None:
        table = _own_folds(folds, samples, groups, root, dropped)
        _refuse_torn_groups(table)
        return table
    if folds.time is not None:
        blocks = time_blocks(moments_of(samples.frame, folds.time), folds.k)
        return FoldTable(samples.ids, blocks, groups, ordered=True)
    if folds.leave_one_group_out:
        assert groups is not None  # the settings ask for group columns
        return FoldTable(samples.ids, leave_one_group_out(groups), groups)
    # A search looks at each column for itself, and takes classes that are too rare for a stratum of their own.
    strata = strata_of(samples.frame, folds.stratify, folds.k) if folds.stratify and not folds.search else None
    repeats = [_repeat(folds, number) for number in range(folds.repeats)]
    if folds.search:
        dealt = [searched_folds(repeat, samples.frame, groups, progress) for repeat in repeats]
    else:
        dealt = [_split(repeat, groups, strata, len(samples)) for repeat in repeats]
    for fold in dealt:
        _refuse_empty(fold, folds.k)
    again = np.stack([fold + number * folds.k for number, fold in enumerate(dealt)][1:], axis=1) if dealt[1:] else None
    return FoldTable(samples.ids, dealt[0], groups, strata, again)


def _groups(
    folds: Folds, samples: Samples, content_keys: Sequence[str] | None, copies: Sequence[object] | np.ndarray | None
) -> np.ndarray | None:
    """Rows linked by the group columns, as far as no rule cuts them, and by equal or nearly equal files."""
    columns: list[Sequence[object] | pd.Series | np.ndarray] = [
        group_column(samples.frame[name], folds.unknown_group) for name in folds.group
    ]
    if folds.cut and columns:
        columns = [cut_by_rules(link_groups(*columns), samples.frame, folds.cut)]
    if folds.duplicates == "group":
        columns += [cells for cells in (_linking(content_keys, ""), _linking(copies, -1)) if cells is not None]
    return link_groups(*columns) if columns else None


def cut_by_rules(groups: np.ndarray, frame: pd.DataFrame, rules: Sequence[Cut]) -> np.ndarray:
    """Groups after every rule has cut the rows that it names.

    Args:
        groups: int64 (n,).
        frame: the table, n rows.
        rules: in the order that they are applied.

    Returns:
        int64 (n,).

    Raises:
        DataError: a column is missing or cannot be put in order, or a rule finds no rows.
    """
    for rule in rules:
        groups = cut_groups(groups, rows_of_rule(frame, rule), rule.parts, order_of(frame, rule.by)).groups
    return groups


def rows_of_rule(frame: pd.DataFrame, rule: Cut) -> np.ndarray:
    """Bool (n,): the rows whose groups a rule cuts."""
    require_columns(frame, (*rule.where, rule.by), role="folds.cut", table="training table")
    cells = [(frame[name] == value_like(value, frame[name])).to_numpy(bool) for name, value in rule.where.items()]
    return np.logical_and.reduce(cells)


def _linking(cells: Sequence[object] | np.ndarray | None, nothing: object) -> list[object] | None:
    """The cells with None for those that link nothing; None where no two rows share a cell."""
    linking = [None if cell is None or cell == nothing else cell for cell in (() if cells is None else cells)]
    known = [cell for cell in linking if cell is not None]
    return linking if len(set(known)) < len(known) else None


def _repeat(folds: Folds, number: int) -> Folds:
    """The folds of one repeat: seeds, or ranges of seeds, that follow each other."""
    return folds.model_copy(update={"seed": (folds.seed + number * (folds.search or 1)) % 2**32})


def _split(folds: Folds, groups: np.ndarray | None, strata: np.ndarray | None, n: int) -> np.ndarray:
    if groups is None:
        return kfold(n, folds.k, folds.seed) if strata is None else stratified_kfold(strata, folds.k, folds.seed)
    if strata is None:
        return group_kfold(groups, folds.k, folds.seed)
    return stratified_group_kfold(strata, groups, folds.k, folds.seed)


def _refuse_empty(fold: np.ndarray, k: int) -> None:
    empty = sorted(set(range(k)) - set(fold.tolist()))
    if empty:
        raise DataError(f"no group is left for fold {empty[0]}", got=f"{len(np.unique(fold))} folds", fix="lower k")


def _own_folds(
    folds: Folds, samples: Samples, groups: np.ndarray | None, root: Path | None, dropped: Collection[str]
) -> FoldTable:
    if folds.column is not None:
        require_columns(samples.frame, [folds.column], role="the fold (folds.column)", table="training table")
        table = FoldTable(samples.ids, whole_numbers(samples.frame, folds.column), groups)
        origin = f"column {folds.column!r}"
    else:
        path = (root or Path()) / str(folds.file)
        own = read_folds(path, samples.ids, id_column=samples.id_column, dropped=dropped)
        table, origin = FoldTable(samples.ids, own.fold, groups, again=own.again), str(path)
    if len(np.unique(table.fold)) < 2:
        raise DataError(f"{origin}: all rows are in fold {table.fold[0]}", expected="at least two folds")
    return table


def _refuse_torn_groups(table: FoldTable) -> None:
    """The user's folds must not contradict the groups that the recipe names."""
    if table.groups is None:
        return
    for assignment in table.assignments:
        folds_of = pd.Series(assignment).groupby(table.groups).agg(lambda fold: sorted(set(fold)))
        torn = folds_of[folds_of.map(len) > 1]
        if not len(torn):
            continue
        shown = [f"{first_few(table.ids[table.groups == group])} in folds {folds}" for group, folds in torn[:3].items()]
        raise DataError(
            f"the given folds tear {len(torn)} groups apart, which leaks",
            got="; ".join(shown) + ("; .." if len(torn) > 3 else ""),
            expected="all rows of a group, and rows with equal files, in one fold",
            fix="mend the folds; or say that it is meant, without folds.group and with folds.duplicates: ignore",
        )
