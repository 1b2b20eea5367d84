"""The network: a pretrained backbone that makes features, and a head that makes logits of them."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from outfold.errors import RecipeError
from outfold.models.backbone import create_backbone
from outfold.models.heads import build_head
from outfold.settings.train import TrainSettings, Weights


@dataclass(frozen=True)
class InputStats:
    """What a backbone's input is normalised with: mean and deviation per channel on a 0..1 scale."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class Network(nn.Module):
    """Named inputs -> logits, in two steps that can be taken apart.

    Everything under `backbone` is the pretrained part that phases may freeze; every other part is new and belongs to
    the head when rates are given. A network of several streams, or one that adds a table's columns, overrides
    `features` and brings its own modules; freezing, rates, caching of features and training stay as they are.

    Attributes:
        backbone: model input -> features (b, f).
        head: features (b, f) -> logits (b, k).
        input_name: which of the named inputs the backbone reads.
        fixed: parameters that the model itself keeps constant, such as a sine-cosine position embedding.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, input_name: str = "image") -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.input_name = input_name
        self.fixed = frozenset(name for name, parameter in self.named_parameters() if not parameter.requires_grad)

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> features (b, f), what the head reads."""
        return self.backbone(inputs[self.input_name])

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> logits (b, k)."""
        return self.head(self.features(inputs))


def build_network(
    settings: TrainSettings, outputs: int, *, root: Path | None = None, pretrained: bool = True
) -> tuple[Network, InputStats]:
    """The network of a member and what its input is normalised with.

    Args:
        settings: backbone, weights and head.
        outputs: number of logits.
        root: folder that a relative weights path starts from.
        pretrained: False leaves the weights random and needs no file and no internet, for a network whose trained
            weights are loaded next.

    Raises:
        RecipeError: no backbone, an unknown one, or one without the stochastic depth that is asked for.
        WeightsError: the pretrained weights cannot be had or do not fit.
    """
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
    network = Network(backbone.module, build_head(settings.head, backbone.feature_count, outputs))
    return network, InputStats(backbone.mean, backbone.std)
