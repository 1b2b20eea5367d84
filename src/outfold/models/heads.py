"""Heads: from pooled features (b, f), or those of frames (b, t, c), to logits (b, k)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from outfold.models.sed import SedHead
from outfold.settings.network import Head


class LinearHead(nn.Module):
    """Dropout and one linear layer."""

    def __init__(self, features: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.linear = nn.Linear(features, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Features (b, f) -> logits (b, k)."""
        return self.linear(F.dropout(features, self.dropout, self.training))


class MultiSampleDropoutHead(LinearHead):
    """The mean logits of several dropout masks that share one linear layer (Inoue 2019, arXiv:1905.09788).

    A linear layer of a mean is the mean of the linear layers, so the masked features are averaged first and multiplied
    once. In evaluation it equals `LinearHead`, and both keep their weights under the same names.
    """

    def __init__(self, features: int, outputs: int, dropout: float = 0.5, copies: int = 5) -> None:
        super().__init__(features, outputs, dropout)
        self.copies = copies

    def forward(self, features: Tensor) -> Tensor:
        """Features (b, f) -> logits (b, k)."""
        if not self.training or self.dropout == 0:
            return self.linear(features)
        masked = F.dropout(features.expand(self.copies, *features.shape), self.dropout, training=True)
        return self.linear(masked.mean(dim=0))


class MlpHead(nn.Module):
    """Hidden layers with ReLU and dropout after each, and a linear layer.

    Args:
        features: length f of the pooled features.
        outputs: number k of logits.
        widths: units of each hidden layer.
        dropout: share of units that rest in training, after each hidden layer.
    """

    def __init__(self, features: int, outputs: int, widths: Sequence[int], dropout: Sequence[float]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for (before, after), share in zip(pairwise((features, *widths)), dropout, strict=True):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(share)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], outputs))

    def forward(self, features: Tensor) -> Tensor:
        """Features (b, f) -> logits (b, k)."""
        return self.layers(features)


class MlpPerOutput(nn.Module):
    """An `MlpHead` of one output for each of several outputs, all computed at once.

    Args:
        features: length f of the pooled features.
        outputs: number k of logits.
        widths: units of each hidden layer, of each output.
        dropout: share of units that rest in training, after each hidden layer.
    """

    def __init__(self, features: int, outputs: int, widths: Sequence[int], dropout: Sequence[float]) -> None:
        super().__init__()
        sizes = pairwise((features, *widths, 1))
        self.layers = nn.ModuleList(SeparateLinear(outputs, before, after) for before, after in sizes)
        self.dropout = tuple(dropout)
        self.outputs = outputs

    def forward(self, features: Tensor) -> Tensor:
        """Features (b, f) -> logits (b, k)."""
        *hidden, last = self.layers
        units = features.expand(self.outputs, *features.shape)
        for layer, share in zip(hidden, self.dropout, strict=True):
            units = F.dropout(F.relu(layer(units)), share, self.training)
        return last(units).squeeze(2).T


class SeparateLinear(nn.Module):
    """Several linear layers of one size side by side, each with an input of its own.

    Its parameters start as those of `torch.nn.Linear` do.

    Args:
        count: how many layers.
        inputs: inputs f of each.
        outputs: outputs g of each.
    """

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(count, outputs).uniform_(-bound, bound))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (count, b, f) -> outputs (count, b, g)."""
        return torch.baddbmm(self.bias[:, None], inputs, self.weight.mT)


def build_head(head: Head, features: int, outputs: int, *, learns_frames: bool = False) -> nn.Module:
    """The head a recipe names, with fresh weights.

    Args:
        head: its name, dropout and hidden layers.
        features: length of the pooled features, or of a frame's.
        outputs: number of logits.
        learns_frames: a SED head gives the logits of frames too in training.
    """
    if head.name == "mlp":
        kind = MlpPerOutput if head.per_output else MlpHead
        return kind(features, outputs, head.widths, head.dropouts)
    (dropout,) = head.dropouts
    if head.name == "multi_sample_dropout":
        return MultiSampleDropoutHead(features, outputs, dropout, head.copies)
    if head.name == "sed":
        return SedHead(features, outputs, dropout, learns_frames=learns_frames)
    return LinearHead(features, outputs, dropout)
