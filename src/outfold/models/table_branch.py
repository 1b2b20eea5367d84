"""The part of a network that reads a row of a table: linear layers beside the backbone, or none."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from outfold.errors import TrainingError

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "relu": nn.ReLU}


class TableBranch(nn.Module):
    """Linear, batch norm and an activation for each width, with dropout before each layer but the first.

    Without further settings as the metadata part of the winning solution of SIIM-ISIC 2020 (Ha, Liu, Liu 2020,
    arXiv:2010.05351): 512 and 128 units, SiLU (Swish), dropout 0.3. Without widths the row itself is passed on.

    Args:
        inputs: length f of an encoded row.
        widths: units of each layer; the last is the length of the result.
        dropout: share of units that rest in training.
        activation: after each batch norm.
        last_dropout: share of units that rest after the last layer.
        weight: what a row is multiplied by.

    Attributes:
        width: length of the result.
        compares: whether it has batch norms, which compare the rows of a batch.
    """

    def __init__(
        self,
        inputs: int,
        widths: Sequence[int] = (512, 128),
        dropout: float = 0.3,
        activation: Literal["silu", "relu"] = "silu",
        last_dropout: float = 0.0,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((inputs, *widths)):
            layers += [nn.Dropout(dropout)] if layers else []
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), ACTIVATIONS[activation]()]
        layers += [nn.Dropout(last_dropout)] if last_dropout else []
        self.layers = nn.Sequential(*layers)
        self.width = widths[-1] if widths else inputs
        self.compares = bool(widths)
        self.weight = weight

    def forward(self, rows: Tensor) -> Tensor:
        """Encoded rows (b, f) -> features (b, width).

        Raises:
            TrainingError: one row alone in training, which batch norm cannot compare with any other.
        """
        if self.training and self.compares and len(rows) == 1:
            raise TrainingError(
                "a batch of one row cannot train table inputs, for batch norm compares the rows of a batch",
                expected="batches of at least two rows",
                fix="raise batch_size",
            )
        return self.layers(rows * self.weight)
