"""The last layer of a regression whose outputs are kept positive or added up, and the way back to the user's unit."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from outfold.data.target_space import TargetSpace


class TargetLayer(nn.Module):
    """The head's outputs -> all targets on the scale that the loss sees.

    The head works on numbers of order one: each is brought to the user's unit by its target's mean and deviation, or by
    a softplus and the deviation alone; sums are added up there, so that they hold; then all are standardised. It learns
    nothing and keeps nothing in the weights: what it is made of is fitted on a fold's training rows and stands in the
    model's record.

    Args:
        space: what the outputs are.
    """

    mean: Tensor
    std: Tensor
    own_mean: Tensor
    own_std: Tensor
    sums: Tensor | None

    def __init__(self, space: TargetSpace) -> None:
        super().__init__()
        own = [space.columns.index(name) for name in space.raw_columns]
        mean, std = _single(space.scaler.mean), _single(space.scaler.std)
        self.softplus = space.outputs.positive == "softplus"
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.register_buffer("own_mean", mean[own], persistent=False)
        self.register_buffer("own_std", std[own], persistent=False)
        self.register_buffer("sums", None if space.sums is None else _single(space.sums), persistent=False)

    def forward(self, raw: Tensor) -> Tensor:
        """The head's outputs (b, m) -> standardised targets (b, k), float32 at least."""
        raw = raw.float() if raw.dtype in (torch.float16, torch.bfloat16) else raw
        values = F.softplus(raw) * self.own_std if self.softplus else raw * self.own_std + self.own_mean
        if self.sums is not None:  # no matrix product, which autocast would compute in half precision
            values = (values[:, None, :] * self.sums).sum(dim=2)
        return (values - self.mean) / self.std


def target_layer(space: TargetSpace | None) -> TargetLayer | None:
    """The layer that a network needs behind its head; None where the head's outputs are what the loss sees."""
    if space is None or (space.outputs.positive != "softplus" and space.sums is None):
        return None
    return TargetLayer(space)


def units_of(space: TargetSpace, device: torch.device | None = None) -> Callable[[Tensor], Tensor]:
    """A function that brings what the loss sees, (b, k), to the user's unit, with a gradient.

    Args:
        space: of the network's outputs.
        device: where it computes.
    """
    mean, std = _single(space.scaler.mean).to(device), _single(space.scaler.std).to(device)

    def natural(outputs: Tensor) -> Tensor:
        values = outputs * std + mean
        if space.outputs.log:
            return torch.expm1(values)
        return values * values.abs() if space.outputs.sqrt else values

    return natural


def _single(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).float()
