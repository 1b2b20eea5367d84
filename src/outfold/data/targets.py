"""Targets: from the user's labels to float32 matrices and back in the user's own values; scaling for regression."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import pandas_dtype

from outfold.data.columns import kind_of, require_columns, value_like
from outfold.data.label_sets import found_labels, label_indicators, list_texts
from outfold.data.rows import name_rows
from outfold.data.target_cells import finite_values, indicators, present, some
from outfold.errors import DataError
from outfold.settings.base import Label
from outfold.settings.task import Task, TaskKind

_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class TargetCodec:
    """Turns target columns into a matrix (n, outputs) and predictions back into target columns."""

    kind: TaskKind
    columns: tuple[str, ...]
    classes: tuple[Label, ...]
    """Multiclass and label sets: the labels in output order. Binary: (negative, positive). Else empty."""
    outputs: tuple[str, ...]
    """Names of the model's outputs: the classes, the positive class, or the columns."""
    dtypes: tuple[str, ...]
    """The pandas dtype of each target column, which `labels` gives back (regression: always float64)."""
    rest: bool = False
    """Binary: every label but the positive one is negative, whatever it is; see `against_rest`."""
    label_sets: bool = False
    """Multilabel: the one column holds all labels of a row; see `outfold.data.label_sets`."""

    @classmethod
    def fit(cls, task: Task, frame: pd.DataFrame) -> "TargetCodec":
        """Learn classes and types from the training table.

        Classes come in natural order (numbers by value, then text with its digits by value) or as `task.classes` lists
        them. The positive label is `task.positive`, else the second class.

        Raises:
            DataError: a column or label is missing, a label is not among `task.classes`, or there are fewer than two
                classes (binary: other than two).
        """
        require_columns(frame, task.target, role="a target", table="training table")
        columns, dtypes = task.target, tuple(str(frame[name].dtype) for name in task.target)
        if task.label_sets:
            names = _label_names(task, frame)
            codec = cls(task.kind, columns, names, names, dtypes, label_sets=True)
        elif task.kind in ("multilabel", "regression"):
            codec = cls(task.kind, columns, (), columns, dtypes)
        else:
            classes = _classes(task, frame[columns[0]])
            outputs = classes if task.kind == "multiclass" else classes[1:]
            codec = cls(task.kind, columns, classes, _output_names(outputs), dtypes)
        codec.encode(frame)
        return codec

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """The targets of `frame` as float32 (n, outputs).

        Multiclass: one-hot. Binary: 1 for the positive label. Multilabel: 0 or 1; of label sets 1 for the labels in the
        target column, whatever secondary labels say. Regression: the values.

        Raises:
            DataError: a label is missing, unknown, or not a number; the rows are named.
        """
        require_columns(frame, self.columns, role="a target", table="table")
        if self.label_sets:
            return label_indicators(frame, self.columns[0], self.outputs)
        if self.kind == "multiclass":
            return np.eye(len(self.classes), dtype=np.float32)[self._codes(frame)]
        if self.kind == "binary":
            return self._codes(frame).astype(np.float32)[:, None]
        read = indicators if self.kind == "multilabel" else finite_values
        return np.stack([read(frame, name) for name in self.columns], axis=1)

    def labels(self, predictions: np.ndarray) -> pd.DataFrame:
        """The target columns that predictions (n, outputs) say, in the user's own values and types.

        A label set comes back as the text of a list, such as `['a', 'b']`.

        Args:
            predictions: probabilities (multiclass: the largest wins; binary and multilabel: at least 0.5 is positive)
                or, for regression, values.

        Raises:
            DataError: the shape does not fit, or a prediction is not a number.
        """
        if predictions.ndim != 2 or predictions.shape[1] != len(self.outputs):
            raise DataError(
                "predictions do not fit the target", got=predictions.shape, expected=("n", len(self.outputs))
            )
        if np.isnan(predictions).any():
            raise DataError(f"{np.isnan(predictions).any(axis=1).sum()} rows of the predictions are not numbers")
        if self.kind in ("multiclass", "binary"):
            codes = predictions.argmax(axis=1) if self.kind == "multiclass" else (predictions[:, 0] >= 0.5).astype(int)
            return pd.DataFrame({self.columns[0]: _restore([self.classes[code] for code in codes], self.dtypes[0])})
        if self.label_sets:
            return pd.DataFrame({self.columns[0]: list_texts(predictions >= 0.5, self.outputs)})
        values = predictions >= 0.5 if self.kind == "multilabel" else predictions.astype(np.float64)
        dtypes = self.dtypes if self.kind == "multilabel" else ("float64",) * len(self.columns)
        return pd.DataFrame(
            {
                name: pd.Series(values[:, place]).astype(pandas_dtype(dtypes[place]))
                for place, name in enumerate(self.columns)
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, which keeps the difference between 1, 1.0, true and "1"."""
        lists = {name: list(getattr(self, name)) for name in ("columns", "classes", "outputs", "dtypes")}
        sets = {"label_sets": True} if self.label_sets else {}
        return {"kind": self.kind, **lists, "rest": self.rest, **sets}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TargetCodec":
        """The codec that `to_dict` described."""
        lists = {name: tuple(values[name]) for name in ("columns", "classes", "outputs", "dtypes")}
        rest, sets = (bool(values.get(name, False)) for name in ("rest", "label_sets"))
        return cls(values["kind"], **lists, rest=rest, label_sets=sets)

    def against_rest(self, label: Label) -> "TargetCodec":
        """The binary codec of one class of a multiclass target against all others together.

        Args:
            label: one of `classes`.

        Returns:
            A codec of one output, named like the class; what is not it is called `not <label>`.
        """
        place = list(map(str, self.classes)).index(str(label))
        classes = (f"not {self.outputs[place]}", self.classes[place])
        return TargetCodec("binary", self.columns, classes, (self.outputs[place],), ("object",), rest=True)

    def merged(self, into: Mapping[str, str]) -> "tuple[TargetCodec, np.ndarray]":
        """The codec of fewer classes, and how one comes to the other.

        Args:
            into: output name -> name of the output that stands for it from now on.

        Returns:
            The codec, its classes in the old order, and float32 (k, m): a row for each old class, a one in the column
            of its new one, so that `target @ matrix` are the new targets.
        """
        kept = [place for place, name in enumerate(self.outputs) if name not in into]
        outputs = tuple(self.outputs[place] for place in kept)
        matrix = np.zeros((len(self.outputs), len(outputs)), dtype=np.float32)
        for place, name in enumerate(self.outputs):
            matrix[place, outputs.index(into.get(name, name))] = 1
        classes = tuple(self.classes[place] for place in kept)
        return TargetCodec("multiclass", self.columns, classes, outputs, self.dtypes), matrix

    def _codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Position of each row's label in `classes`, int64 (n,)."""
        column = present(frame, self.columns[0])
        texts = all(isinstance(label, str) for label in self.classes) and kind_of(column) != "text"
        position = {label: code for code, label in enumerate(self.classes)}
        cells = [str(cell) for cell in column.tolist()] if texts else column.tolist()
        codes = np.array([position.get(cell, 0 if self.rest else -1) for cell in cells], dtype=np.int64)
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            found = list(dict.fromkeys(cells[row] for row in unknown))
            raise DataError(
                f"{len(unknown)} labels in column {self.columns[0]!r} are not among the classes: "
                + name_rows(frame, unknown),
                got=some(found),
                expected=f"one of {some(self.classes)}",
            )
        return codes


@dataclass(frozen=True)
class TargetScaler:
    """Standardises regression targets: (value - mean) / std, column by column."""

    mean: np.ndarray
    """float64 (k,)."""
    std: np.ndarray
    """float64 (k,), population standard deviation; 1 for a constant column."""

    @classmethod
    def fit(cls, values: np.ndarray, rows: np.ndarray | None = None) -> "TargetScaler":
        """Mean and deviation of `values` (n, k) over `rows` (positions or mask): the training rows of a fold, only."""
        chosen = np.asarray(values if rows is None else values[rows], dtype=np.float64)
        constant = np.ptp(chosen, axis=0) == 0
        return cls(chosen.mean(axis=0), np.where(constant, 1.0, chosen.std(axis=0)))

    @classmethod
    def identity(cls, count: int) -> "TargetScaler":
        """The scaler of so many columns that changes nothing."""
        return cls(np.zeros(count), np.ones(count))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Standardised values, float32 (n, k)."""
        return ((values - self.mean) / self.std).astype(np.float32)

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Values in the user's units, float32 (n, k)."""
        return self.in_units(values).astype(np.float32)

    def in_units(self, values: np.ndarray) -> np.ndarray:
        """The same in full precision, float64 (n, k)."""
        return values * self.std + self.mean

    def to_dict(self) -> dict[str, list[float]]:
        """Plain values for JSON."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_dict(cls, values: dict[str, list[float]]) -> "TargetScaler":
        """The scaler that `to_dict` described."""
        return cls(np.array(values["mean"], dtype=np.float64), np.array(values["std"], dtype=np.float64))


def natural_key(label: Label) -> tuple[Any, ...]:
    """Sorting key: numbers by value, then text, where runs of digits compare by value (`img2` before `img10`)."""
    if not isinstance(label, str):
        return (0, label)
    parts = _DIGITS.split(label)
    return (1, *((text, int(digits)) for text, digits in zip(parts[::2], [*parts[1::2], -1], strict=True)), label)


def _classes(task: Task, column: pd.Series) -> tuple[Label, ...]:
    """The labels in output order; for a binary task (negative, positive)."""
    if task.classes is not None:
        classes = tuple(value_like(label, column) for label in task.classes)
    else:
        classes = tuple(sorted(_distinct(column), key=natural_key))
    if len(set(classes)) != len(classes):
        raise DataError(f"task.classes names a class twice for column {column.name!r}", got=task.classes)
    if len(classes) < 2 or (task.kind == "binary" and len(classes) > 2):
        counts = {label: int(count) for label, count in column.value_counts().head(10).items()}
        expected = "two classes" if task.kind == "binary" else "at least two classes"
        raise DataError(f"column {column.name!r} has {len(classes)} classes", got=counts, expected=expected)
    return _positive_last(task, classes, column) if task.kind == "binary" else classes


def _label_names(task: Task, frame: pd.DataFrame) -> tuple[str, ...]:
    """The labels of label sets in output order."""
    if task.classes is not None:
        return _output_names(task.classes)
    classes = tuple(sorted(found_labels(frame, task.target[0]), key=natural_key))
    if not classes:
        raise DataError(f"column {task.target[0]!r} holds no label in any row")
    return classes


def _positive_last(task: Task, classes: tuple[Label, ...], column: pd.Series) -> tuple[Label, ...]:
    if task.positive is None:
        return classes
    positive = value_like(task.positive, column)
    if positive not in classes:
        raise DataError(f"task.positive is no label of column {column.name!r}", got=positive, expected=list(classes))
    return classes if positive == classes[1] else classes[::-1]


def _distinct(column: pd.Series) -> list[Label]:
    labels = column.dropna().tolist()
    other = next((label for label in labels if not isinstance(label, str | int | float | bool)), None)
    if other is not None:
        raise DataError(
            f"column {column.name!r} holds labels of type {type(other).__name__}", expected="text, numbers or booleans"
        )
    return list(dict.fromkeys(labels))


def _output_names(labels: Sequence[Label]) -> tuple[str, ...]:
    names = tuple(str(label) for label in labels)
    if len(set(names)) != len(names):
        raise DataError("two classes look the same as text", got=[repr(label) for label in labels])
    return names


def _restore(labels: list[Label], dtype: str) -> pd.Series:
    """Labels as a column of the user's type; a category column comes back as its values."""
    series = pd.Series(labels)
    return series if dtype in ("category", "object") else series.astype(pandas_dtype(dtype))
