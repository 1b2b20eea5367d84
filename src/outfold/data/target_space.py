"""What the outputs of a regression's network are: from the user's values to the scale of the loss, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.identities import add_up, free_targets, sum_matrix
from outfold.data.rows import name_rows
from outfold.data.targets import TargetScaler
from outfold.errors import DataError
from outfold.settings.network import Outputs
from outfold.settings.sums import Sums

LARGEST_LOG = float(np.log(np.finfo(np.float32).max)) - 1e-6
"""No logarithm is taken to be larger: its value would not fit into a float32."""

LARGEST_ROOT = float(np.sqrt(np.finfo(np.float32).max)) * (1 - 1e-6)
"""No root is taken to be larger in size, for the same reason."""


@dataclass(frozen=True)
class TargetSpace:
    """Between the user's values (n, k) and the scale on which a network is trained, (n, k) too.

    Values go forward as log(1 + value) or as square roots where asked for, then standardised; predictions come back the
    other way and are then cut at zero and added up, as `outputs` say.
    """

    columns: tuple[str, ...]
    """The k targets."""
    outputs: Outputs
    scaler: TargetScaler
    """Of what the loss sees; it changes nothing where `outputs.scale` is `none`."""
    identities: Sums = field(default_factory=dict)
    """Targets that are sums of others."""

    @classmethod
    def fit(
        cls,
        values: np.ndarray,
        columns: Sequence[str],
        outputs: Outputs,
        identities: Sums | None = None,
    ) -> "TargetSpace":
        """The space that fits the training rows of a fold.

        Args:
            values: (n, k), the training rows' targets alone.
            columns: names of the k targets.
            outputs: what the member asks for.
            identities: the task's sums.

        Raises:
            DataError: a value is negative and its logarithm is to be learned.
        """
        learned = _learned(values, columns, outputs)
        scaler = TargetScaler.identity(len(columns)) if outputs.scale == "none" else TargetScaler.fit(learned)
        return cls(tuple(columns), outputs, scaler, identities or {})

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """The targets that the head itself makes: all, or those that are no sums where the network adds them up."""
        constructs = self.outputs.identities == "construct"
        return free_targets(self.columns, self.identities) if constructs else self.columns

    @property
    def sums(self) -> np.ndarray | None:
        """How all targets follow from the head's own, float64 (k, m); None where the head makes them all."""
        constructs = self.outputs.identities == "construct"
        return sum_matrix(self.columns, self.identities) if constructs else None

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Values in the user's units on the scale that the loss sees, float32 (n, k).

        Raises:
            DataError: a value is negative and its logarithm is to be learned.
        """
        return self.scaler.transform(_learned(values, self.columns, self.outputs))

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """What a network gives, (n, k), as values in the user's units, float32 (n, k).

        Values are never negative where `outputs.positive` says so, and sums hold where `outputs.identities` is
        `derive` or `construct`; a sum that the network made is added up again, without its rounding.
        """
        values = self.scaler.in_units(outputs)
        if self.outputs.log:
            values = np.expm1(np.minimum(values, LARGEST_LOG))
        if self.outputs.sqrt:
            values = np.clip(values, -LARGEST_ROOT, LARGEST_ROOT)
            values = values * np.abs(values)
        if self.outputs.positive != "none":
            values = np.maximum(values, 0)
        values = values.astype(np.float32)
        return values if self.outputs.identities == "report" else add_up(values, self.columns, self.identities)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "columns": list(self.columns),
            "outputs": self.outputs.model_dump(mode="json"),
            "scaler": self.scaler.to_dict(),
            "identities": {name: list(parts) for name, parts in self.identities.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TargetSpace":
        """The space that `to_dict` described."""
        identities = {name: tuple(parts) for name, parts in values["identities"].items()}
        outputs = Outputs.model_validate(values["outputs"])
        return cls(tuple(values["columns"]), outputs, TargetScaler.from_dict(values["scaler"]), identities)

    @classmethod
    def of_record(cls, record: Mapping[str, Any], columns: Sequence[str]) -> "TargetSpace | None":
        """The space in the record of a trained model; None for a task of classes.

        Args:
            record: fit.json; those of earlier versions hold the scaler alone.
            columns: the model's targets.
        """
        if record.get("space") is not None:
            return cls.from_dict(record["space"])
        scaler = record.get("scaler")
        return None if scaler is None else cls(tuple(columns), Outputs(), TargetScaler.from_dict(scaler))


def refuse_negative(values: np.ndarray, columns: Sequence[str], frame: pd.DataFrame | None = None) -> None:
    """Refuse targets whose logarithm cannot be learned.

    Args:
        values: (n, k).
        columns: names of the k targets.
        frame: the table they are from, n rows, for the error.

    Raises:
        DataError: a value is negative; names the first column with one and, where there is a table, its rows.
    """
    for name, column in zip(columns, values.T, strict=True):
        rows = np.flatnonzero(column < 0)
        if len(rows):
            where = "" if frame is None else f": {name_rows(frame, rows)}"
            raise DataError(
                f"{len(rows)} values of target {name!r} are negative, but outputs.log learns log(1 + value){where}",
                got=f"down to {column.min():g}",
                expected="0 or more",
                fix="set outputs.log: false; or cut them at 0, predictions that are learned from by "
                "outputs.positive: clip",
            )


def _learned(values: np.ndarray, columns: Sequence[str], outputs: Outputs) -> np.ndarray:
    """Values (n, k) on the scale that is learned, before they are standardised: float64 where that is another one.

    Raises:
        DataError: a value is negative and its logarithm is to be learned.
    """
    if outputs.log:
        refuse_negative(values, columns)
        return np.log1p(values.astype(np.float64))
    if outputs.sqrt:
        return np.sign(values) * np.sqrt(np.abs(values.astype(np.float64)))
    return values
