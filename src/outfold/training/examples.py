"""What a training learns from: rows with targets, and which of them train and which judge."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from outfold.views.inputs import Input


@dataclass(frozen=True)
class Examples:
    """What is learned from: all rows of the table; a split says which of them train.

    Attributes:
        ids: object (n,), the samples' ids.
        inputs: by name, how a row becomes model input.
        target: float32 (n, k), soft or hard, on the scale the loss sees.
        weight: float32 (n, 1) or (n, k), how much a sample (or cell) counts in the loss; None: all the same.
    """

    ids: np.ndarray
    inputs: Mapping[str, Input]
    target: np.ndarray
    weight: np.ndarray | None = None


@dataclass(frozen=True)
class Split:
    """Rows that train and rows that judge.

    Attributes:
        train: int64 (n,), places in the table.
        valid: int64 (m,), places in the table; empty when all rows train.
        chances: float64 (n,), relative chance of each training row to be drawn, with replacement; None: each once.
    """

    train: np.ndarray
    valid: np.ndarray
    chances: np.ndarray | None = None
