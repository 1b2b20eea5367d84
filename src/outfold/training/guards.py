"""Training stops with a useful sentence when the loss is not finite or memory runs out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from outfold.errors import TrainingError


@dataclass
class LossGuard:
    """Collects losses and stops at the first that is NaN or infinite.

    Looking at a loss waits for an accelerator, so losses are looked at `every` steps together; the step that went
    wrong is named all the same.

    Attributes:
        ids: object (n,), the samples' ids by row.
        where: place in the training for the error, e.g. "phase all, epoch 3".
        every: steps between looks; 1 on CPU.
    """

    ids: np.ndarray
    where: str
    every: int = 1
    total: float = 0.0
    steps: int = 0
    _pending: list[tuple[Tensor, np.ndarray]] = field(default_factory=list)

    def watch(self, loss: Tensor, rows: np.ndarray) -> None:
        """Remember one step's loss and the rows it was computed on."""
        self._pending.append((loss.detach(), rows))
        if len(self._pending) >= self.every:
            self.flush()

    def flush(self) -> None:
        """Look at the losses collected since the last time.

        Raises:
            TrainingError: one is NaN or infinite; names the epoch, the batch and the samples.
        """
        if not self._pending:
            return
        values = torch.stack([loss for loss, _ in self._pending]).float().cpu().numpy()
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            rows = self._pending[bad[0]][1]
            raise TrainingError(
                f"the loss became {values[bad[0]]} in {self.where}, batch {self.steps + bad[0] + 1}",
                got=f"samples {', '.join(map(str, self.ids[rows]))}",
                expected="a finite loss",
                fix="lower the learning rate, set clip_grad_norm: 1.0, use precision: fp32, or look at these samples",
            )
        self.total += float(values.sum())
        self.steps += len(values)
        self._pending.clear()

    @property
    def mean(self) -> float:
        """Mean loss over the steps so far."""
        self.flush()
        return self.total / max(self.steps, 1)


@contextmanager
def explained_memory(batch_size: int, height_width: tuple[int, int], beside: int = 0) -> Iterator[None]:
    """Turn an out-of-memory error into a sentence that says which setting to lower.

    Args:
        batch_size: rows in a batch.
        height_width: pixels of a view.
        beside: pseudo-labelled rows that a batch has beside them.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _memory_error(batch_size, height_width, beside) from error
    except RuntimeError as error:
        if "not enough memory" not in str(error) and "out of memory" not in str(error):
            raise
        raise _memory_error(batch_size, height_width, beside) from error


def _memory_error(batch_size: int, height_width: tuple[int, int], beside: int) -> TrainingError:
    height, width = height_width
    half, more = max(batch_size // 2, 1), f" and {beside} beside them" if beside else ""
    fewer = ", half the pseudo_batch," if beside else ""
    return TrainingError(
        f"memory ran out with batches of {batch_size}{more} at {height} x {width} pixels",
        fix=f"set batch_size={half}{fewer} and accumulate=2 (the same gradient in half the memory), a smaller "
        "view.size, or precision=bf16 on a GPU",
    )
