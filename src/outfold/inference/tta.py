"""Test-time augmentation: the eight orientations of a square, by the names a recipe uses.

Turns are counter-clockwise, as in numpy.rot90. Every view keeps a batch's memory format; the transposes and
the quarter turns swap height and width.
"""

from collections.abc import Callable

import torch
from torch import Tensor

View = Callable[[Tensor], Tensor]
ROWS, COLUMNS = -2, -1


def _keeping_format(view: View) -> View:
    """The view, with its result laid out in memory as the batch is."""

    def laid_out(batch: Tensor) -> Tensor:
        channels_last = batch.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return view(batch).contiguous(memory_format=layout)

    return laid_out


def _identity(batch: Tensor) -> Tensor:
    return batch


VIEWS: dict[str, View] = {
    "identity": _identity,
    "hflip": _keeping_format(lambda batch: batch.flip(COLUMNS)),
    "vflip": _keeping_format(lambda batch: batch.flip(ROWS)),
    "rot180": _keeping_format(lambda batch: batch.flip(ROWS, COLUMNS)),
    "rot90": _keeping_format(lambda batch: batch.transpose(ROWS, COLUMNS).flip(ROWS)),
    "rot270": _keeping_format(lambda batch: batch.transpose(ROWS, COLUMNS).flip(COLUMNS)),
    "transpose": _keeping_format(lambda batch: batch.transpose(ROWS, COLUMNS)),
    "transverse": _keeping_format(lambda batch: batch.transpose(ROWS, COLUMNS).flip(ROWS, COLUMNS)),
}
"""Name -> a function of a batch (b, c, h, w)."""
