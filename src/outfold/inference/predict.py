"""One code path from rows to predictions, for validation, out of fold, test and later rows alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from outfold.inference.tta import VIEWS
from outfold.views.batches import Loader, Waiting, prediction_batches
from outfold.views.inputs import Input

Forward = Callable[[dict[str, Tensor]], Tensor]
"""What an engine offers: named float32 inputs -> logits (b, k)."""


CPU = torch.device("cpu")


@dataclass(frozen=True)
class Predictor:
    """How rows are predicted by one model.

    Attributes:
        inputs: by name, how rows become model input.
        views: names of the test-time views whose answers are averaged; see `outfold.inference.tta.VIEWS`.
        activation: logits -> probabilities, applied before averaging; None averages what the model gives.
        batch_size: rows in a batch.
        device: where the model computes.
        workers: threads that read.
    """

    inputs: Mapping[str, Input]
    views: Sequence[str] = ("identity",)
    activation: Callable[[Tensor], Tensor] | None = None
    batch_size: int = 64
    device: torch.device = CPU
    workers: int = 2

    def __call__(
        self, forward: Forward, rows: np.ndarray, *, advance: Callable[[int], None] | None = None
    ) -> tuple[np.ndarray, Waiting]:
        """Predict rows in their order.

        Args:
            forward: the model.
            rows: int64 (n,), places in the table.
            advance: is told how many rows were finished, batch by batch.

        Returns:
            float32 (n, k), the views' mean, and the time spent waiting for data.
        """
        readers = {name: source.reader(augment=False) for name, source in self.inputs.items()}
        loader = Loader(readers, prediction_batches(rows, self.batch_size), seed=(0,), workers=self.workers)
        answers = []
        with torch.inference_mode():
            for batch in loader:
                answers.append(self._batch(forward, batch.inputs))
                if advance is not None:
                    advance(len(batch.rows))
        return torch.cat(answers).numpy() if answers else np.zeros((0, 0), np.float32), loader.waiting

    def _batch(self, forward: Forward, arrays: dict[str, Tensor]) -> Tensor:
        tensors = {
            name: self.inputs[name].to_model(array.to(self.device, non_blocking=True)) for name, array in arrays.items()
        }
        views = [forward(turned(tensors, view)).float() for view in self.views]
        if self.activation is not None:
            views = [self.activation(logits) for logits in views]
        return torch.stack(views).mean(dim=0).cpu()


def turned(tensors: dict[str, Tensor], view: str) -> dict[str, Tensor]:
    """The same inputs with every photo (b, c, h, w) seen in another orientation."""
    return {name: VIEWS[view](tensor) if tensor.ndim == 4 else tensor for name, tensor in tensors.items()}
