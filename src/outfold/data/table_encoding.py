"""From columns of a table to the inputs of a network, by what the training rows of one fold show and nothing else.

An encoder keeps each column's mean and deviation, or its names, as the training rows have them. Every cell has an
encoding, whatever it holds:

    a missing number      the mean (or what the recipe says), and 1 in a second input
    a missing name        1 in the column's last input
    an unseen name        the same: nothing is known of it

An input that never fires in training keeps the random weights it began with. So where the training rows have no gap,
the inputs for gaps stay 0 everywhere: an unseen name is then all zeros, as in scikit-learn's
`OneHotEncoder(handle_unknown="ignore")`, and a missing number the mean. `TableEncoder.unfamiliar` counts such cells.

Derived columns enter as they are: batch norm follows the first layer of the network that reads them, unless the head
reads the inputs themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from outfold.data.table_columns import Columns, derived_key, name_key, number_key
from outfold.errors import DataError
from outfold.settings.table_inputs import Categorical, Numeric, TableInputs


@dataclass(frozen=True)
class Number:
    """(value - shift) / scale, and where the recipe names no stand-in for missing values a second input at them.

    With `log` the value is sign(number) log(1 + |number|), which is fine for any number.

    Attributes:
        key: of the column.
        name: of the input.
        shift: the training rows' mean, or 0.
        scale: the training rows' population standard deviation (1 for a constant column), or what to divide by.
        missing: what stands for a missing value, in the input's scale.
        flagged: whether there is a second input.
        gaps: whether training rows had missing values, so that the second input means something.
        log: whether logarithms are what is shifted and scaled.
    """

    kind: ClassVar[str] = "number"
    key: str
    name: str
    shift: float = 0.0
    scale: float = 1.0
    missing: float = 0.0
    flagged: bool = False
    gaps: bool = True
    log: bool = False

    @classmethod
    def fit(cls, settings: Numeric, values: np.ndarray) -> "Number":
        """Learn from the training rows' values (n,).

        Raises:
            DataError: the rows have no number to learn from.
        """
        missing = np.isnan(values)
        known = _logs(values[~missing]) if settings.log else values[~missing]
        needed = settings.divide is None or settings.missing is None
        if needed and not len(known):
            raise _nothing_known(settings.column, len(values))
        shift, scale = (0.0, settings.divide) if settings.divide is not None else _mean_and_deviation(known)
        stand_in = settings.missing if settings.missing is not None else (float(known.mean()) - shift) / scale
        flagged = settings.missing is None
        key = number_key(settings.column)
        gaps = bool(missing.any()) or not flagged
        return cls(key, settings.column, shift, scale, stand_in, flagged, gaps, settings.log)

    @property
    def names(self) -> tuple[str, ...]:
        """The input, and the one that says where it is missing."""
        return (self.name, f"{self.name} missing") if self.flagged else (self.name,)

    def transform(self, cells: np.ndarray) -> np.ndarray:
        """float64 (n,) with NaN where missing -> float64 (n, 1) or (n, 2)."""
        missing = np.isnan(cells)
        numbers = _logs(cells) if self.log else cells
        values = np.where(missing, self.missing, (numbers - self.shift) / self.scale)
        return np.stack([values, missing & self.gaps], axis=1) if self.flagged else values[:, None]

    def unfamiliar(self, cells: np.ndarray) -> np.ndarray:
        """Missing values, where the training rows had none."""
        return np.isnan(cells) & (not self.gaps)


@dataclass(frozen=True)
class Names:
    """One input a name, and a last one for missing cells and unseen names.

    Attributes:
        key: of the column.
        name: of the column.
        known: the training rows' names, sorted.
        gaps: whether training rows had missing cells, so that the last input means something.
    """

    kind: ClassVar[str] = "names"
    key: str
    name: str
    known: Sequence[str]
    gaps: bool

    @classmethod
    def fit(cls, settings: Categorical, cells: np.ndarray) -> "Names":
        """Learn from the training rows' cells (n,).

        Raises:
            DataError: the rows have no name to learn from.
        """
        known = sorted({cell for cell in cells if cell is not None})
        if not known:
            raise _nothing_known(settings.column, len(cells))
        return cls(name_key(settings.column), settings.column, known, any(cell is None for cell in cells))

    @property
    def names(self) -> tuple[str, ...]:
        """`site=torso` and so on, then `site missing`."""
        return (*(f"{self.name}={known}" for known in self.known), f"{self.name} missing")

    def transform(self, cells: np.ndarray) -> np.ndarray:
        """Object (n,) with None where missing -> float64 (n, w)."""
        onehot = np.eye(len(self.known) + 1)
        onehot[-1, -1] = self.gaps
        place = {name: code for code, name in enumerate(self.known)}
        return onehot[[place.get(cell, -1) for cell in cells]]

    def unfamiliar(self, cells: np.ndarray) -> np.ndarray:
        """Unseen names, and missing cells where the training rows had none."""
        familiar = {*self.known, *([None] if self.gaps else [])}
        return np.array([cell not in familiar for cell in cells], dtype=bool)


@dataclass(frozen=True)
class Codes:
    """One input: the number that the recipe gives each name, and another for missing cells and all other names."""

    kind: ClassVar[str] = "codes"
    key: str
    name: str
    codes: Mapping[str, float]
    missing: float

    @classmethod
    def fit(cls, settings: Categorical, cells: np.ndarray) -> "Codes":
        """Nothing is learned of the training rows' cells (n,), but some must have a name with a number.

        Raises:
            DataError: none has.
        """
        found = dict.fromkeys(cell for cell in cells if cell is not None)
        if not found:
            raise _nothing_known(settings.column, len(cells))
        if not found.keys() & settings.codes.keys():
            raise DataError(
                f"no name of the table input {settings.column!r} has a number in `codes`",
                got=", ".join(list(found)[:5]),
                expected=", ".join(settings.codes),
            )
        return cls(name_key(settings.column), settings.column, settings.codes, settings.missing)

    @property
    def names(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    def transform(self, cells: np.ndarray) -> np.ndarray:
        """Object (n,) with None where missing -> float64 (n, 1)."""
        return np.array([self.codes.get(cell, self.missing) for cell in cells], dtype=np.float64)[:, None]

    def unfamiliar(self, cells: np.ndarray) -> np.ndarray:
        """Names that the recipe gives no number."""
        return np.array([cell is not None and cell not in self.codes for cell in cells], dtype=bool)


Encoding = Number | Names | Codes
"""How one column becomes w inputs. The fields are plain values; `key` says which column of `Columns` it reads."""

KINDS: dict[str, type[Encoding]] = {kind.kind: kind for kind in (Number, Names, Codes)}


@dataclass(frozen=True)
class TableEncoder:
    """All table inputs of one member, as the training rows of one fold show them.

    Names that no training row has get no input, so that the width may differ between folds; each model keeps its own
    encoder beside its weights.
    """

    encodings: tuple[Encoding, ...]

    @classmethod
    def fit(cls, settings: TableInputs, columns: Columns, rows: np.ndarray) -> "TableEncoder":
        """Learn from the training rows of a fold; other rows are not looked at.

        Args:
            settings: which columns, and how.
            columns: of the whole table, as `read_columns` gives them.
            rows: int64 (m,), the training rows.

        Raises:
            DataError: a column is empty in all of these rows.
        """
        numeric = [Number.fit(one, columns[number_key(one.column)][rows]) for one in settings.numeric]
        categorical = [_fit_names(one, columns[name_key(one.column)][rows]) for one in settings.categorical]
        derived = [Number(derived_key(name, settings.group), name) for name in settings.derived]
        return cls((*numeric, *categorical, *derived))

    @property
    def names(self) -> tuple[str, ...]:
        """The f inputs."""
        return tuple(name for encoding in self.encodings for name in encoding.names)

    def transform(self, columns: Columns) -> np.ndarray:
        """Columns of n rows -> float32 (n, f)."""
        parts = [encoding.transform(columns[encoding.key]) for encoding in self.encodings]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def unfamiliar(self, columns: Columns, rows: np.ndarray) -> dict[str, int]:
        """By column how many of these rows, int64 (m,), have a cell that no training row was like, where there are any.

        Such a cell is an unseen name, or a missing cell where training had none; the model has not learned what to make
        of it.
        """
        counts = {one.key: int(one.unfamiliar(columns[one.key][rows]).sum()) for one in self.encodings}
        return {key: count for key, count in counts.items() if count}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which keeps every digit."""
        return {"columns": [{"kind": encoding.kind, **asdict(encoding)} for encoding in self.encodings]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TableEncoder":
        """The encoder that `to_dict` described."""
        return cls(tuple(_encoding(**one) for one in values["columns"]))


def _encoding(kind: str, **values: Any) -> Encoding:
    return KINDS[kind](**values)


def _fit_names(settings: Categorical, cells: np.ndarray) -> Names | Codes:
    return Codes.fit(settings, cells) if settings.codes else Names.fit(settings, cells)


def _logs(values: np.ndarray) -> np.ndarray:
    """log(1 + size) of each number with its sign; NaN stays NaN."""
    return np.sign(values) * np.log1p(np.abs(values))


def _mean_and_deviation(known: np.ndarray) -> tuple[float, float]:
    return float(known.mean()), 1.0 if np.ptp(known) == 0 else float(known.std())


def _nothing_known(column: str, rows: int) -> DataError:
    return DataError(
        f"the table input {column!r} is empty in all {rows} training rows of a fold",
        expected="some cells to learn from",
        fix="take it out of the inputs, or use folds that spread the rows which have it",
    )
