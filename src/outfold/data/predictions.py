"""Predictions of any model: a matrix aligned by sample id, with its output names and its space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from outfold.data.targets import TargetCodec
from outfold.errors import DataError
from outfold.settings.task import TaskKind

Space = Literal["logit", "probability", "value", "rank"]

PREFIXES: dict[Space, str] = {"logit": "logit_", "probability": "prob_", "value": "pred_", "rank": "rank_"}
"""What prediction columns of a run's tables begin with, so that nobody takes one kind of number for another."""

NAMED = 3
"""How many ids an error names."""


@dataclass(frozen=True)
class Predictions:
    """What a model says about some samples.

    Attributes:
        ids: object (n,), the samples' ids as text; unique.
        values: float32 (n, k).
        outputs: names of the k columns.
        space: `logit`, `probability`, `value` (regression, in the target's own unit), or `rank` (0 to 1: only the order
            means something).

    Raises:
        DataError: shapes disagree, or an id occurs twice.
    """

    ids: np.ndarray
    values: np.ndarray
    outputs: tuple[str, ...]
    space: Space

    def __post_init__(self) -> None:
        # Text ids and float32 are what makes two sets comparable, whoever made them.
        object.__setattr__(self, "ids", np.asarray([str(value) for value in self.ids], dtype=object))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float32))
        object.__setattr__(self, "outputs", tuple(self.outputs))
        expected = (len(self.ids), len(self.outputs))
        if self.values.shape != expected:
            raise DataError(
                "predictions and their names do not fit together",
                got=f"values of shape {self.values.shape}",
                expected=f"{expected[0]} ids x {expected[1]} outputs",
            )
        index = pd.Index(self.ids)
        if not index.is_unique:
            raise DataError("predictions hold the same id twice", got=_first(index[index.duplicated()].unique()))

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Predictions":
        """The given rows (places or a mask), in that order."""
        return Predictions(self.ids[rows], self.values[rows], self.outputs, self.space)

    def aligned_to(self, ids: Sequence[str] | np.ndarray) -> "Predictions":
        """The same predictions in the order of `ids`.

        Raises:
            DataError: the two sets of ids differ; names the first few that are missing and that are too many.
        """
        wanted = pd.Index([str(value) for value in ids], dtype=object)
        own = pd.Index(self.ids, dtype=object)
        missing, surplus = wanted.difference(own, sort=False), own.difference(wanted, sort=False)
        if len(missing) or len(surplus):
            raise DataError(
                "predictions are for other samples than the ones asked for",
                got=f"{len(surplus)} ids too many: {_first(surplus)}" if len(surplus) else f"{len(own)} of the ids",
                expected=f"also {len(missing)} ids: {_first(missing)}" if len(missing) else f"only {len(wanted)} ids",
                fix="predict the same rows with every model, or select the common rows yourself",
            )
        return self.take(own.get_indexer(wanted))

    def only(self, outputs: Sequence[str]) -> "Predictions":
        """The columns of some outputs, in the order given.

        Raises:
            DataError: there is no such output.
        """
        missing = [name for name in outputs if name not in self.outputs]
        if missing:
            raise DataError("predictions lack outputs", got=list(self.outputs), expected=_first(missing))
        columns = [self.outputs.index(name) for name in outputs]
        return Predictions(self.ids, self.values[:, columns], tuple(outputs), self.space)

    def to_probability(self, kind: TaskKind) -> "Predictions":
        """Logits as probabilities: softmax over the outputs for multiclass, sigmoid per output otherwise.

        Probabilities are returned as they are, and so are the values of a regression and ranks.
        """
        if self.space != "logit":
            return self
        return Predictions(self.ids, probabilities_of(self.values, kind), self.outputs, "probability")

    def to_logit(self, kind: TaskKind) -> "Predictions":
        """Probabilities as logits, log(p) for multiclass and log(p / (1 - p)) otherwise.

        Probabilities of exactly 0 or 1 are moved in by float32's resolution first. Values stay as they are.
        """
        if self.space != "probability":
            return self
        return Predictions(self.ids, logits_of(self.values, kind), self.outputs, "logit")

    def to_frame(self, prefix: str = "", *, id_column: str = "id") -> pd.DataFrame:
        """A table of the id and one float32 column per output, named `prefix` + output."""
        columns = [f"{prefix}{output}" for output in self.outputs]
        frame = pd.DataFrame(self.values, columns=columns)
        if id_column in columns:
            raise DataError(f"a prediction column would be named {id_column!r}, like the id", fix="give a prefix")
        frame.insert(0, id_column, self.ids)
        return frame

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        outputs: Sequence[str],
        space: Space,
        *,
        prefix: str = "",
        id_column: str = "id",
    ) -> "Predictions":
        """The inverse of `to_frame`; other columns are left alone.

        Raises:
            DataError: the id or a prediction column is missing.
        """
        columns = [f"{prefix}{output}" for output in outputs]
        missing = [name for name in (id_column, *columns) if name not in frame.columns]
        if missing:
            raise DataError("predictions lack columns", got=list(frame.columns), expected=_first(missing))
        return cls(frame[id_column].to_numpy(object), frame[columns].to_numpy(np.float32), tuple(outputs), space)

    @classmethod
    def concat(cls, parts: "Sequence[Predictions]") -> "Predictions":
        """The rows of several sets under each other, e.g. the validation rows of all folds.

        Raises:
            DataError: outputs or spaces differ, or an id is in two parts.
        """
        first = _same_kind(parts)
        ids, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "values"))
        return cls(ids, values, first.outputs, first.space)

    @classmethod
    def mean(
        cls,
        parts: "Sequence[Predictions]",
        space: Space | None = None,
        kind: TaskKind = "multiclass",
        *,
        weights: Sequence[float] | None = None,
    ) -> "Predictions":
        """The average of several sets for the same samples, aligned by id to the first.

        Args:
            parts: at least one.
            space: where the average is taken, `logit` or `probability`; the parts' own when not given.
            kind: the task, which says how to come from one space to the other.
            weights: how much each part counts; they need not sum to 1. All alike when not given.

        Raises:
            DataError: ids, outputs or spaces differ.
        """
        if space is not None:
            parts = [part.to_logit(kind) if space == "logit" else part.to_probability(kind) for part in parts]
        first = _same_kind(parts)
        stacked = np.stack([part.aligned_to(first.ids).values for part in parts])
        values = stacked.mean(axis=0, dtype=np.float64) if weights is None else _weighted_mean(stacked, weights)
        return cls(first.ids, values, first.outputs, first.space)

    @classmethod
    def pooled(cls, parts: "Sequence[Predictions]") -> "Predictions":
        """Every id that occurs, in order of appearance, with the average of its predictions.

        As `mean`, for parts that cover different rows: folds of several seeds or repeats.

        Raises:
            DataError: outputs or spaces differ.
        """
        first = _same_kind(parts)
        codes, ids = pd.factorize(np.concatenate([part.ids for part in parts]))
        total = np.zeros((len(ids), len(first.outputs)))
        np.add.at(total, codes, np.concatenate([part.values for part in parts]))
        return cls(np.asarray(ids, dtype=object), total / np.bincount(codes)[:, None], first.outputs, first.space)


def space_of(table: pd.DataFrame, codec: TargetCodec) -> Space:
    """What the predictions in a run's table are: values of a regression, else ranks where columns say so.

    Args:
        table: oof.parquet or predictions.parquet of a run.
        codec: of what is judged.
    """
    if codec.kind == "regression":
        return "value"
    return "rank" if all(f"{PREFIXES['rank']}{output}" in table.columns for output in codec.outputs) else "probability"


def probabilities_of(logits: np.ndarray, kind: TaskKind) -> np.ndarray:
    """Logits (n, k) as probabilities, of their float type: softmax over k for multiclass, sigmoid otherwise."""
    return softmax(logits) if kind == "multiclass" else sigmoid(logits)


def logits_of(probability: np.ndarray, kind: TaskKind) -> np.ndarray:
    """Probabilities (n, k) as float64 logits: log(p) for multiclass, log(p / (1 - p)) otherwise.

    Probabilities of exactly 0 or 1 are moved in by float32's resolution first.
    """
    edge = np.finfo(np.float32).eps
    inside = np.clip(probability.astype(np.float64), edge, 1 - edge)
    return np.log(inside) if kind == "multiclass" else np.log(inside) - np.log1p(-inside)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, without overflow; computed and returned in the input's float type."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) per element, without overflow; computed and returned in the input's float type."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, small) / (1 + small)


def _weighted_mean(values: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Mean over the first axis, float64."""
    return np.average(values.astype(np.float64), axis=0, weights=np.asarray(weights, dtype=np.float64))


def _same_kind(parts: Sequence[Predictions]) -> Predictions:
    if not parts:
        raise DataError("there are no predictions to join")
    first = parts[0]
    for part in parts[1:]:
        for name in ("outputs", "space"):
            if getattr(part, name) != getattr(first, name):
                raise DataError(
                    f"predictions of different {name} cannot be joined",
                    got=getattr(part, name),
                    expected=getattr(first, name),
                )
    return first


def _first(values: Sequence[str] | pd.Index) -> str:
    return ", ".join(map(str, values[:NAMED])) + (", .." if len(values) > NAMED else "")
