"""Heads: from pooled features (b, f) to logits (b, k)."""

from torch import Tensor, nn
from torch.nn import functional as F

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


def build_head(head: Head, features: int, outputs: int) -> nn.Module:
    """The head a recipe names, with fresh weights.

    Args:
        head: its name and dropout.
        features: length of the pooled features.
        outputs: number of logits.
    """
    if head.name == "multi_sample_dropout":
        return MultiSampleDropoutHead(features, outputs, head.dropout, head.copies)
    return LinearHead(features, outputs, head.dropout)
