"""What should be spread evenly over folds: classes of one or more columns, on plain arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.folds.grouping import MAX_BINS, MISSING, class_texts, is_quantity
from outfold.errors import DataError

FOLD_SIZE = "rows"
"""Name of the folds' own sizes among the weights."""
GROUP_SIZE = "group_size"
"""Name of the column that says how many rows a row's group has."""

StrataLike = pd.DataFrame | Mapping[str, Any] | pd.Series | np.ndarray | Sequence[Any]


@dataclass(frozen=True)
class Strata:
    """Columns whose classes should be spread evenly. Each column counts by itself, never only their product."""

    columns: tuple[str, ...]
    """B names."""
    labels: tuple[tuple[str, ...], ...]
    """The classes (strata) of each column, as text."""
    codes: np.ndarray
    """int64 (n, B): which class of the column each row has."""
    product: np.ndarray
    """(n,) one label a row for rules that know one column only: the column's own values where there is one, given as an
    array; else the texts of all columns, joined by ` | `."""

    def __len__(self) -> int:
        return len(self.product)

    @property
    def offsets(self) -> np.ndarray:
        """int64 (B + 1,): where each column's strata begin when all strata of all columns are numbered through."""
        return np.cumsum([0, *map(len, self.labels)])


def read_strata(strata: StrataLike | None, n: int, *, k: int, groups: np.ndarray | None = None) -> Strata:
    """Columns in any form as strata.

    Quantities (see `is_quantity`) are cut into at most MAX_BINS parts with equally many rows; missing values are a
    stratum of their own. Of a multilabel task, every label is a 0/1 column and so has strata of its own.

    Args:
        strata: a table of n rows; a mapping of names to columns; one column (n,); an array (n, B); None for none.
        n: rows.
        k: folds.
        groups: (n,) labels, where large and small groups should be spread evenly too: the column GROUP_SIZE then has
            the rows of each row's group, in at most MAX_BINS parts with equally many groups.

    Raises:
        DataError: lengths differ, or a name is taken.
    """
    frame = _frame(strata, n)
    if groups is not None:
        _refuse_taken(frame, GROUP_SIZE)
        frame = frame.assign(**{GROUP_SIZE: _group_sizes(groups, k)})
    _refuse_taken(frame, FOLD_SIZE)
    texts = {str(name): _texts(frame[name], k) for name in frame.columns}
    coded = [np.unique(column, return_inverse=True) for column in texts.values()]
    codes = np.stack([codes for _, codes in coded], axis=1) if coded else np.zeros((n, 0), dtype=np.int64)
    labels = tuple(tuple(map(str, names)) for names, _ in coded)
    return Strata(tuple(texts), labels, codes.astype(np.int64), _product(strata, list(texts.values()), n))


def _frame(strata: StrataLike | None, n: int) -> pd.DataFrame:
    if strata is None:
        return pd.DataFrame(index=range(n))
    if isinstance(strata, Mapping):
        strata = pd.DataFrame({name: list(column) for name, column in strata.items()})
    elif not isinstance(strata, pd.DataFrame):
        strata = pd.DataFrame({"strata": strata} if np.ndim(strata) == 1 else np.asarray(strata))
    if len(strata) != n:
        raise DataError("strata and groups have different lengths", got=f"{len(strata)} and {n} rows")
    return strata.reset_index(drop=True)


def _refuse_taken(frame: pd.DataFrame, name: str) -> None:
    if name in frame.columns:
        raise DataError(f"a column is named {name!r}, which has a meaning of its own here", fix="rename the column")


def _texts(column: pd.Series, k: int) -> np.ndarray:
    """Object (n,) of str: the class of each row."""
    if is_quantity(column, k):
        values = pd.Series(pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan))
        column = pd.qcut(values, _bins(int(values.notna().sum()), k), duplicates="drop")
    return np.array(class_texts(column), dtype=object)


def _group_sizes(groups: np.ndarray, k: int) -> np.ndarray:
    """Object (n,) of str, e.g. `4 to 9 rows`."""
    _, group_of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, _bins(len(sizes), k) + 1)[1:], method="inverted_cdf"))
    part = np.searchsorted(edges, sizes)
    spans = [(sizes[part == number].min(), sizes[part == number].max()) for number in range(len(edges))]
    names = [f"{low} to {high} rows" if low < high else f"{low} rows" for low, high in spans]
    return np.array(names, dtype=object)[part][group_of_row]


def _bins(count: int, k: int) -> int:
    """As many parts as may each be in every fold."""
    return int(np.clip(count // k, 1, MAX_BINS))


def _product(strata: StrataLike | None, texts: list[np.ndarray], n: int) -> np.ndarray:
    plain = not isinstance(strata, (pd.DataFrame, Mapping, type(None))) and np.ndim(strata) == 1
    if plain and len(texts) == 1 and _as_written(strata, texts[0]):
        return np.asarray(strata)
    if not texts:
        return np.full(n, "", dtype=object)
    return np.array([" | ".join(cells) for cells in zip(*texts, strict=True)], dtype=object)


def _as_written(values: Any, texts: np.ndarray) -> bool:
    """Whether the classes are the values themselves: not cut into bins, none missing."""
    return [str(value) for value in np.asarray(values).tolist()] == texts.tolist() and MISSING not in texts
