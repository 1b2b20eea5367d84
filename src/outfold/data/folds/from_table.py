"""The rows of a table as a fold search needs them: one for each sample, with its group and what to stratify by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns, value_like
from outfold.data.folds.cut import torn_groups
from outfold.data.folds.grouping import link_groups
from outfold.data.folds.make import cut_by_rules
from outfold.data.folds.search import FoldSearch
from outfold.data.folds.table import FoldTable, first_few
from outfold.data.reading import read_rows
from outfold.data.rows import SOURCE, SOURCE_ROW, name_rows
from outfold.errors import DataError
from outfold.settings.folds import Cut


@dataclass(frozen=True)
class Units:
    """What a search deals out."""

    ids: np.ndarray
    """object (n,) of str, all different."""
    groups: np.ndarray | None
    """(n,) labels; None: every row by itself."""
    strata: pd.DataFrame
    """n rows, any number of columns."""
    n_rows: int
    """Rows of the table; more than n where several are of one id."""
    n_unknown: int
    """Samples whose group is not known, each of them a group."""
    torn: dict[str, int]
    """Groups that a cut tore, and into how many."""

    def __len__(self) -> int:
        return len(self.ids)

    def table(self, found: FoldSearch) -> FoldTable:
        """The folds that were found, as folds.csv holds them."""
        groups = None if self.groups is None else link_groups(self.groups)
        return FoldTable(self.ids, found.fold, groups, found.strata.product if found.strata.columns else None)


def read_units(
    path: Path,
    id_column: str,
    group: Sequence[str] = (),
    stratify: Sequence[str] = (),
    *,
    unknown: Sequence[str] = (),
    cuts: Sequence[Cut] = (),
) -> Units:
    """Read a table and check what a search needs of it.

    Args:
        path: a CSV or parquet table. It may be long, with several rows for each id.
        id_column: names the sample of a row.
        group: columns whose equal values stay together; rows linked by any of them do. One column without gaps keeps
            its own values, by which scikit-learn numbers groups.
        stratify: columns to spread evenly.
        unknown: values of group columns that mean that the group is not known, as an empty cell does.
        cuts: rules that cut groups.

    Raises:
        DataError: a column or an id is missing, rows of one id differ, or a rule cannot be applied.
    """
    frame, lines = read_rows(path, exact={id_column})
    by = [name for rule in cuts for name in (*rule.where, rule.by)]
    for names, role in (([id_column], "the id"), (group, "the group"), (stratify, "strata"), (by, "a cut")):
        require_columns(frame, names, role=role, table=path.name)
    n_rows = len(frame)
    frame[SOURCE], frame[SOURCE_ROW] = path.name, lines
    frame = _one_row_a_sample(frame, id_column, [*group, *stratify, *by])
    ids = np.array(cell_texts(frame[id_column]), dtype=object)
    strata = frame[list(dict.fromkeys(stratify))]
    if not group:
        return Units(ids, None, strata, n_rows, 0, {})
    columns = [_known(frame[name], unknown) for name in group]
    n_unknown = int(np.logical_and.reduce([column.isna().to_numpy() for column in columns]).sum())
    linked, torn = link_groups(*columns), {}
    groups = columns[0].to_numpy() if len(columns) == 1 and not columns[0].isna().any() else linked
    if cuts:
        groups = cut_by_rules(linked, frame, cuts)
        torn = torn_groups(linked, groups, [", ".join(map(str, cells)) for cells in zip(*columns, strict=True)])
    return Units(ids, groups, strata, n_rows, n_unknown, torn)


def _one_row_a_sample(frame: pd.DataFrame, id_column: str, columns: Sequence[str]) -> pd.DataFrame:
    """The first row of each id."""
    empty = np.flatnonzero(frame[id_column].isna())
    if len(empty):
        raise DataError(f"{len(empty)} rows without an id in column {id_column!r}: {name_rows(frame, empty)}")
    if frame[id_column].is_unique:
        return frame
    by_id = frame.groupby(id_column, sort=False)
    for name in dict.fromkeys(columns):
        different = by_id[name].nunique(dropna=False)
        wrong = different.index[different > 1]
        if len(wrong):
            raise DataError(
                f"rows of one id differ in column {name!r}",
                got=f"{len(wrong)} ids, {first_few(list(map(str, wrong[:4])))}",
                expected="the same value in all rows of an id, so that they can share a fold",
                fix="choose another id column, or mend these rows",
            )
    return frame.drop_duplicates(id_column).reset_index(drop=True)


def _known(column: pd.Series, unknown: Sequence[str]) -> pd.Series:
    """A group column with empty cells where the group is not known."""
    return column.mask(column.isin([value_like(value, column) for value in unknown]))
