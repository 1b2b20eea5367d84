"""The network: a pretrained backbone that makes features, and a head that makes logits of them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from outfold.errors import RecipeError
from outfold.models.backbone import create_backbone
from outfold.models.heads import build_head
from outfold.models.table_branch import TableBranch
from outfold.settings.network import Weights
from outfold.settings.train import TrainSettings
from outfold.settings.view import EmbeddingView

TABLE = "table"
"""Name of the input that a table branch reads."""

VECTORS = "vectors"
"""Name of the input that a head on given vectors reads."""


@dataclass(frozen=True)
class InputStats:
    """What a network's main input is normalised with: mean and deviation.

    Of photos per channel on a 0..1 scale; of vectors each number's over the training rows.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Network(nn.Module):
    """Named inputs -> logits, in two steps that can be taken apart.

    Everything under `backbone` is the pretrained part that phases may freeze; every other part is new and belongs to
    the head when rates are given. `features` are the backbone's alone, so that those of a frozen backbone can be
    computed once; `logits` joins what the other inputs say. A network of several streams overrides the two and brings
    its own modules; freezing, rates, caching of features and training stay as they are.

    Attributes:
        backbone: model input -> features (b, f).
        head: features (b, f), then those of the table branch, -> logits (b, k).
        table: encoded table rows -> features, or None.
        input_name: which of the named inputs the backbone reads.
        fixed: parameters that the model itself keeps constant, such as a sine-cosine position embedding.
    """

    def __init__(
        self, backbone: nn.Module, head: nn.Module, input_name: str = "image", table: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.table = table
        self.input_name = input_name
        self.fixed = frozenset(name for name, parameter in self.named_parameters() if not parameter.requires_grad)

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> features (b, f) of the backbone."""
        return self.backbone(inputs[self.input_name])

    def logits(self, features: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """Features (b, f) of the backbone and the other named inputs -> logits (b, k)."""
        if self.table is not None:
            features = torch.cat([features, self.table(inputs[TABLE])], dim=1)
        return self.head(features)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> logits (b, k)."""
        return self.logits(self.features(inputs), inputs)


def build_network(
    settings: TrainSettings,
    outputs: int,
    *,
    table_inputs: int = 0,
    vector_inputs: int = 0,
    root: Path | None = None,
    pretrained: bool = True,
) -> tuple[Network, InputStats]:
    """The network of a member and what its input is normalised with.

    Args:
        settings: backbone, weights, head and table branch.
        outputs: number of logits.
        table_inputs: length of an encoded row of the table, for a member with `table`.
        vector_inputs: length of a vector, for a member whose view is vectors: its backbone passes them on, and they are
            normalised by what their training rows show, which is not known here.
        root: folder that a relative weights path starts from.
        pretrained: False leaves the weights random and needs no file and no internet, for a network whose trained
            weights are loaded next.

    Raises:
        RecipeError: no backbone, an unknown one, or one without the stochastic depth that is asked for.
        WeightsError: the pretrained weights cannot be had or do not fit.
    """
    if isinstance(settings.view, EmbeddingView):
        features, table = _with_table(settings, vector_inputs, table_inputs)
        return Network(nn.Identity(), build_head(settings.head, features, outputs), VECTORS, table), InputStats((), ())
    if settings.backbone is None:
        raise RecipeError("a member has no backbone", expected="the name of a timm model")
    weights = settings.weights if pretrained else Weights(source="none")
    backbone = create_backbone(
        settings.backbone,
        weights,
        root=root,
        drop_path_rate=settings.drop_path_rate,
        image_size=settings.view.height_width,
    )
    features, table = _with_table(settings, backbone.feature_count, table_inputs)
    network = Network(backbone.module, build_head(settings.head, features, outputs), table=table)
    return network, InputStats(backbone.mean, backbone.std)


def _with_table(settings: TrainSettings, features: int, table_inputs: int) -> tuple[int, TableBranch | None]:
    """How many features the head reads, and the branch that adds some of a table's row where a member has one."""
    if settings.table is None:
        return features, None
    table = TableBranch(table_inputs, settings.table.widths, settings.table.dropout)
    return features + table.width, table
