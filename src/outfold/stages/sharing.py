"""The rows of a table, predicted by several processes where there are some, with the numbers that one would give."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions
from outfold.data.targets import TargetCodec
from outfold.inference.child import Slot
from outfold.inference.processes import slices
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute, Emit
from outfold.stages.predicting import network_predictions, predict_rows, prediction_batch, tell_unfamiliar
from outfold.training.device import prepare_process, tiny_numbers_as_zero


class Piece(Protocol):
    """Work that another process may do, with all that it needs."""

    def performed(self, compute: Compute) -> object:
        """Its outcome, computed as `compute` says."""
        ...


@dataclass(frozen=True)
class Slice:
    """Some rows of a table, to be predicted by each of some networks.

    Attributes:
        folders: the networks' fit jobs.
        settings: their member's settings.
        codec: of the member's own outputs.
        source: these rows alone.
        start: place of the first of them in the table.
        whole: rows of the whole table.
    """

    folders: tuple[Path, ...]
    settings: TrainSettings
    codec: TargetCodec
    source: Rows
    start: int
    whole: int

    @property
    def title(self) -> str:
        """How errors call it."""
        return rows_title(self.source.samples.ids, self.start, self.whole)

    def performed(self, compute: Compute) -> list[Predictions]:
        """Its rows by each of the networks."""
        own = self.settings, self.codec, self.source, np.arange(len(self.source)), compute
        return [network_predictions(folder, *own)[0] for folder in self.folders]

    def fault(self, answer: Sequence[Predictions]) -> str | None:
        """What is wrong with an answer: it must be one prediction of each row by each network."""
        expected = len(self.folders), len(self.source)
        for predictions in answer:
            if predictions.ids.tolist() != self.source.samples.ids.tolist():
                return f"it predicted {len(predictions)} rows, and not the {expected[1]} that were asked for"
        if len(answer) != expected[0]:
            return f"it predicted by {len(answer)} models of {expected[0]}"
        return None


def predict_table(
    folders: Sequence[Path], settings: TrainSettings, codec: TargetCodec, source: Rows, compute: Compute
) -> list[Predictions]:
    """Predictions of all rows of a table by each of some networks of one member.

    Args:
        folders: the networks' fit jobs.
        settings: the member's settings.
        codec: of the member's own outputs.
        source: the table.
        compute: device, who is told, and the processes that share the rows, if any.

    Raises:
        WorkerError: some rows cost two processes.
    """
    rows = np.arange(len(source))
    if compute.pool is None:
        return [predict_rows(folder, settings, codec, source, rows, compute) for folder in folders]
    for folder in folders:
        tell_unfamiliar(folder, source, rows, compute)
    runs = shared_out(len(source), prediction_batch(settings), compute)
    pieces = [Slice(tuple(folders), settings, codec, source.take(rows[run]), run.start, len(source)) for run in runs]
    parts = compute.pool.map(pieces, name=lambda piece: piece.title, fault=Slice.fault)
    ids = source.samples.ids
    return [Predictions.concat(by_slice).aligned_to(ids) for by_slice in zip(*parts, strict=True)]


def shared_out(rows: int, batch: int, compute: Compute) -> list[range]:
    """A run of rows for each process, cut between batches only; tells where some processes have none.

    Args:
        rows: how many.
        batch: rows that stay together.
        compute: has the processes, and who is told.
    """
    processes = max(len(compute.pool or ()), 1)
    runs = slices(rows, processes, batch)
    if len(runs) < processes:
        text = f"{len(runs)} of {processes} processes have work: whole batches of {batch} rows are shared out"
        compute.emit({"event": "warning", "text": text})
    return runs


def rows_title(ids: np.ndarray, start: int, whole: int) -> str:
    """How errors call rows that follow each other in a table.

    Args:
        ids: theirs.
        start: place of the first of them in the table.
        whole: rows of the whole table.
    """
    return f"rows {start + 1} to {start + len(ids)} of {whole} ({ids[0]} to {ids[-1]})"


class OwnPiece(Piece, Protocol):
    """A piece that leaves files, and names itself."""

    @property
    def title(self) -> str:
        """How errors call it."""
        ...

    def elsewhere(self) -> Piece:
        """The same without what ties it to this process."""
        ...


def perform_all(pieces: Sequence[OwnPiece], compute: Compute) -> None:
    """Do all pieces, by several processes where there are some; a single one has this process to itself.

    Raises:
        WorkerError: a piece cost two processes.
    """
    if compute.pool is None or len(pieces) == 1:
        for piece in pieces:
            piece.performed(compute)
        return
    compute.pool.map([piece.elsewhere() for piece in pieces], name=lambda piece: piece.title)


def perform(piece: Piece, slot: Slot, emit: Emit) -> object:
    """What the processes of `Compute.pool` do with a piece."""
    prepare_process()
    with tiny_numbers_as_zero():
        return piece.performed(Compute(torch.device(slot.device), slot.readers, emit))
