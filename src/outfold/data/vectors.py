"""Vectors that are given in files, by the ids of samples: .npy with a CSV of ids, or parquet.

What a row's vector is follows from its id alone, never from its place: files may hold rows in any order, and more rows
than a table has.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.paths import Confinement
from outfold.data.reading import read_rows
from outfold.data.rows import name_rows
from outfold.data.table import Samples
from outfold.errors import DataError

NAMED = 5
"""How many ids or columns an error spells out."""


@dataclass(frozen=True)
class Vectors:
    """The vectors of some rows.

    Attributes:
        values: float32 (n, f), finite.
    """

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def width(self) -> int:
        """The length f of a vector."""
        return self.values.shape[1]

    @cached_property
    def content(self) -> tuple[str, ...]:
        """A hash of each vector."""
        return tuple(hashlib.blake2b(row.tobytes(), digest_size=16).hexdigest() for row in self.values)

    def take(self, rows: np.ndarray) -> "Vectors":
        """Some rows, int64 (m,), in that order."""
        return Vectors(self.values[rows])


@dataclass(frozen=True)
class VectorFile:
    """One file.

    Attributes:
        name: as the recipe calls it.
        ids: object (n,) of str.
        places: what errors call each row, given its position.
        values: real numbers (n, f) of any type, possibly a memory map.
        columns: names of the numbers; empty for .npy, where they have none.
    """

    name: str
    ids: np.ndarray
    places: Sequence[str]
    values: np.ndarray
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class GivenVectors:
    """All files of a view together: each id once, all vectors of one length.

    Attributes:
        files: as `read_vectors` gives them.
    """

    files: tuple[VectorFile, ...]

    @cached_property
    def ids(self) -> pd.Index:
        """The ids of all files, one below the other."""
        return pd.Index(np.concatenate([file.ids for file in self.files]))

    def of(self, samples: Samples, table: str) -> Vectors:
        """The vectors of a table's rows, by their ids.

        Args:
            samples: the rows.
            table: what errors call the table.

        Raises:
            DataError: an id has no vector, or one that is not finite in single precision.
        """
        places = self.places(samples, table)
        values = self._gathered(places)
        self._refuse_endless(values, places)
        return Vectors(values)

    def places(self, samples: Samples, table: str) -> np.ndarray:
        """Where the vectors of a table's rows lie among all, int64 (n,); their numbers are not looked at.

        Raises:
            DataError: an id has no vector.
        """
        places = self.ids.get_indexer(pd.Index(samples.ids))
        missing = np.flatnonzero(places < 0)
        if len(missing):
            names = [repr(name) for name in samples.ids[missing[:NAMED]]]
            raise DataError(
                f"{len(missing)} of {len(samples)} rows of the {table} table have no vector in {self._names}",
                got=f"{', '.join(names)} ({name_rows(samples.frame, missing)})",
                expected="a vector for the id of every row",
                fix="add the vectors of these rows to a file, or another file to view.vectors",
            )
        return places

    @property
    def _names(self) -> str:
        return ", ".join(file.name for file in self.files)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(len(file.ids) for file in self.files)])

    def _gathered(self, places: np.ndarray) -> np.ndarray:
        """Rows of all files as float32; of a memory map these rows alone are read."""
        values = np.empty((len(places), self.files[0].values.shape[1]), np.float32)
        for file, start in zip(self.files, self._starts, strict=False):
            here = (places >= start) & (places < start + len(file.ids))
            with np.errstate(over="ignore"):  # what is too large for single precision is refused as infinite
                values[here] = file.values[places[here] - start]
        return values

    def _refuse_endless(self, values: np.ndarray, places: np.ndarray) -> None:
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(wrong):
            raise DataError(
                f"{len(wrong)} vectors hold numbers that are missing or not finite in single precision",
                got=", ".join(f"{self.ids[place]!r} ({self._place(place)})" for place in places[wrong[:NAMED]]),
                expected="finite numbers",
            )

    def _place(self, position: int) -> str:
        """What errors call a row of one of the files, given its position among all."""
        file = int(np.searchsorted(self._starts, position, side="right")) - 1
        return self.files[file].places[position - self._starts[file]]


def read_vectors(names: Sequence[str], ids: Sequence[str], id_column: str, root: Path) -> GivenVectors:
    """Open files of vectors.

    Args:
        names: `.npy` files (n, f), whose rows `ids` names, or parquet files of the id column and f columns of numbers.
        ids: for each .npy file, in their order, a CSV with the id column.
        id_column: the recipe's.
        root: folder that the paths start from and do not leave.

    Raises:
        DataError: a file is missing, outside the root or not of its kind, an id is missing or given twice, or the
            vectors of two files are not alike.
    """
    of_arrays = iter(ids)
    files = tuple(
        _read_array(name, next(of_arrays), id_column, root)
        if name.endswith(".npy")
        else _read_parquet(name, id_column, root)
        for name in names
    )
    _refuse_unlike(files)
    given = GivenVectors(files)
    _refuse_repeated(given)
    return given


def _read_array(name: str, ids_name: str, id_column: str, root: Path) -> VectorFile:
    path = _confined(name, root)
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{name}: not a readable .npy file", got=str(error).splitlines()[0]) from error
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise DataError(
            f"{name}: these are no vectors", got=f"{values.dtype} {values.shape}", expected="numbers (n, f)"
        )
    ids_path = _confined(ids_name, root)
    frame, lines = read_rows(ids_path, exact={id_column})
    if len(frame) != len(values):
        raise DataError(f"{ids_name} does not name the rows of {name}", got=len(frame), expected=f"{len(values)} ids")
    places = [f"{ids_name}:{line}" for line in lines]
    return VectorFile(name, _ids(frame, id_column, ids_name, places), places, values)


def _read_parquet(name: str, id_column: str, root: Path) -> VectorFile:
    if not name.endswith((".parquet", ".pq")):
        raise DataError(f"{name}: not a kind of file that holds vectors", expected=".npy (with `ids`) or .parquet")
    frame, numbers = read_rows(_confined(name, root))
    places = [f"{name}:{number}" for number in numbers]
    ids = _ids(frame, id_column, name, places)
    frame = frame.drop(columns=id_column)
    others = [str(column) for column, dtype in frame.dtypes.items() if not _is_number(dtype) or _is_index(column)]
    if others:
        raise DataError(
            f"{name}: a file of vectors holds the id column and numbers only",
            got=f"{len(others)} columns of other things: {', '.join(others[:NAMED])}",
            fix="write the file without them (pandas.DataFrame.to_parquet with index=False leaves its index out)",
        )
    if not len(frame.columns):
        raise DataError(f"{name}: a file of vectors without numbers", got=f"the column {id_column!r} alone")
    values = frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return VectorFile(name, ids, places, values, tuple(map(str, frame.columns)))


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _is_index(column: object) -> bool:
    """Whether pandas wrote a table's nameless index into this column: numbers of rows, which tell nothing of them."""
    return str(column).startswith("__index_level_")


def _confined(name: str, root: Path) -> Path:
    """The path of a file that is there, inside the root."""
    path = Confinement(root).resolve(name)
    if path is None:
        raise DataError(f"{name!r} lies outside the data root", expected=f"a path inside {root}")
    if not Path(path).is_file():
        raise DataError(f"{name}: there is no such file", expected=f"a file below {root}")
    return Path(path)


def _ids(frame: pd.DataFrame, column: str, name: str, places: Sequence[str]) -> np.ndarray:
    require_columns(frame, [column], role="the id of each vector", table=name)
    ids = cell_texts(frame[column])
    missing = [place for place, text in zip(places, ids, strict=True) if text is None]
    if missing:
        raise DataError(f"{name}: {len(missing)} vectors have no id", got=", ".join(missing[:NAMED]))
    return np.array(ids, dtype=object)


def _refuse_unlike(files: Sequence[VectorFile]) -> None:
    """Vectors of one view mean the same in all its files: as many numbers, of the same names where they have names."""
    first = files[0]
    for file in files[1:]:
        if file.values.shape[1] != first.values.shape[1]:
            got = f"{first.values.shape[1]} and {file.values.shape[1]} numbers"
            raise DataError(f"the vectors of {first.name} and {file.name} differ in length", got=got)
    named = [file for file in files if file.columns]
    for file in named[1:]:
        if file.columns != named[0].columns:
            pairs = zip(named[0].columns, file.columns, strict=True)
            raise DataError(
                f"the columns of {named[0].name} and {file.name} differ, or stand in another order",
                got=next(f"{one!r} and {other!r}" for one, other in pairs if one != other),
            )


def _refuse_repeated(given: GivenVectors) -> None:
    repeated = given.ids.duplicated(keep=False)
    if repeated.any():
        names = list(dict.fromkeys(given.ids[repeated]))
        where = [
            f"{name!r} in {' and '.join(given._place(place) for place in np.flatnonzero(given.ids == name)[:2])}"
            for name in names[:3]
        ]
        raise DataError(
            f"{len(names)} ids have more than one vector", got="; ".join(where), expected="one vector for each id"
        )


def mean_and_deviation(values: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of each number over some rows, float64 (f,) each.

    A number whose deviation is below what single precision tells apart at its mean is constant: its deviation is 1.

    Args:
        values: float32 (n, f).
        rows: int64 (m,), the training rows of a fold.
    """
    chosen = values[rows].astype(np.float64)
    mean, deviation = chosen.mean(axis=0), chosen.std(axis=0)
    resolved = deviation > np.finfo(np.float32).eps * np.abs(mean)
    return mean, np.where(resolved, deviation, 1.0)
