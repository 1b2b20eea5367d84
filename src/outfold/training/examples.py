"""What a training learns from: rows with targets, and which of them train and which judge."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from outfold.data.balance import ClassBounds
from outfold.settings.label import PseudoBatch
from outfold.views.batches import BOUNDS, training_batches
from outfold.views.inputs import Input
from outfold.views.student_batches import student_batches


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
class Beside:
    """Pseudo-labelled rows of which every batch has some beside its labelled ones.

    Attributes:
        rows: int64 (m,), places in the table.
        batch: what every batch has of them.
        recording: (m,), whatever names the recording of each; None where recordings do not matter.
    """

    rows: np.ndarray
    batch: PseudoBatch
    recording: np.ndarray | None = None

    @property
    def most(self) -> int:
        """How many of them a batch has at most."""
        if self.batch.windows is not None or self.recording is None:
            return self.batch.windows or 0
        sizes = np.unique(self.recording, return_counts=True)[1]
        return int(np.sort(sizes)[-(self.batch.recordings or 0) :].sum())


@dataclass(frozen=True)
class Split:
    """Rows that train and rows that judge.

    Attributes:
        train: int64 (n,), places in the table.
        valid: int64 (m,), places in the table; empty when all rows train.
        chances: float64 (n,), relative chance of each training row to be drawn, with replacement; None: each once.
        bounds: how many training rows of a class an epoch has; None: all of them, once.
        beside: rows that are learned from beside the training rows, batch by batch; None where there are none.
    """

    train: np.ndarray
    valid: np.ndarray
    chances: np.ndarray | None = None
    bounds: ClassBounds | None = None
    beside: Beside | None = None

    def batches(self, batch_size: int, seed: tuple[int, ...]) -> list[np.ndarray]:
        """The batches of one epoch, int64 arrays of places; how many there are is the same in every epoch.

        Args:
            batch_size: rows in a batch, without those beside them.
            seed: integers that identify this epoch: the same ones give the same batches, whatever was drawn before.

        Raises:
            DataError: there are fewer rows to stand beside the others than a batch needs.
        """
        rows = self.train
        if self.bounds is not None:
            rows = self.bounds.drawn(rows, np.random.default_rng([*seed, BOUNDS]))
        if self.beside is None:
            return training_batches(rows, batch_size, seed, weights=self.chances)
        return student_batches(
            rows,
            self.beside.rows,
            self.beside.recording,
            seed,
            batch_size=batch_size,
            recordings=self.beside.batch.recordings,
            windows=self.beside.batch.windows,
            weights=self.chances,
        )
