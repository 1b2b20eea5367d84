"""The network: a pretrained backbone that makes features, and a head that makes logits of them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from outfold.data.target_space import TargetSpace
from outfold.errors import RecipeError
from outfold.models.backbone import create_backbone, feature_maps
from outfold.models.heads import build_head
from outfold.models.sed import SedHead, SedLogits, frames_of
from outfold.models.table_branch import TableBranch
from outfold.models.target_layer import target_layer
from outfold.models.tiles import Grid, cut, side_by_side
from outfold.models.waveform import create_waveform_encoder
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.network import Weights
from outfold.settings.train import TrainSettings
from outfold.settings.view import EmbeddingView, ImageView

TABLE = "table"
"""Name of the input that a table branch reads."""

VECTORS = "vectors"
"""Name of the input that a head on given vectors reads."""

WAVEFORM = "waveform"
"""Name of the input that an encoder of waveforms reads."""


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
    computed once; `logits` joins what the other inputs say. With a grid, photos are cut into tiles here, after they
    were augmented or turned as a whole, and all go through the one backbone. A network of other streams overrides the
    two and brings its own modules; freezing, rates, caching of features and training stay as they are.

    Attributes:
        backbone: model input, or a tile of it, -> features.
        head: features (b, f) of all tiles, then those of the table branch, -> logits (b, m).
        table: encoded table rows -> features, or None.
        last: logits (b, m) -> (b, k), what the loss sees of a regression; None where they are the same.
        input_name: which of the named inputs the backbone reads.
        grid: rows and columns of tiles.
        fixed: parameters that the model itself keeps constant, such as a sine-cosine position embedding.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        input_name: str = "image",
        table: nn.Module | None = None,
        *,
        grid: Grid = (1, 1),
        last: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.table = table
        self.last = last
        self.input_name = input_name
        self.grid = grid
        self.fixed = frozenset(name for name, parameter in self.named_parameters() if not parameter.requires_grad)

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> features (b, f) of the backbone, those of a photo's tiles one after the other."""
        photos = inputs[self.input_name]
        if self.grid == (1, 1):
            return self.backbone(photos)
        return side_by_side(self.backbone(cut(photos, self.grid)), self.grid)

    def logits(self, features: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """Features (b, f) of the backbone and the other named inputs -> logits (b, k)."""
        if self.table is not None:
            features = torch.cat([features, self.table(inputs[TABLE])], dim=1)
        logits = self.head(features)
        return logits if self.last is None else self.last(logits)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> logits (b, k)."""
        return self.logits(self.features(inputs), inputs)


class SedNetwork(Network):
    """A network whose head attends to the frames of a picture of sound, time along its width.

    The backbone's features are read before they are pooled; they are cached, and reach the head, as frames (b, t, c).
    """

    head: SedHead

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> features of frames (b, t, c)."""
        return frames_of(feature_maps(self.backbone, inputs[self.input_name]))

    def clip_and_frames(self, inputs: dict[str, Tensor]) -> SedLogits:
        """Named inputs -> logits of clips, as `forward` gives them, and of their frames."""
        return self.head.clip_and_frames(self.features(inputs))


class PatchNetwork(Network):
    """A network whose backbone sees several patches of a sample, (b, p, c, h, w); features are the mean over them."""

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        """Named inputs -> features (b, f) of the backbone."""
        patches = inputs[self.input_name]
        return self.backbone(patches.flatten(0, 1)).unflatten(0, patches.shape[:2]).mean(dim=1)


def build_network(
    settings: TrainSettings,
    outputs: int,
    *,
    space: TargetSpace | None = None,
    table_inputs: int = 0,
    vector_inputs: int = 0,
    root: Path | None = None,
    channels: int | None = None,
    pretrained: bool = True,
) -> tuple[Network, InputStats]:
    """The network of a member and what its input is normalised with.

    Args:
        settings: backbone, weights, head, table branch and tiles.
        outputs: number of logits that the network gives.
        space: what they mean in a regression; its head may then make fewer, and the last layer all of them.
        table_inputs: length of an encoded row of the table, for a member with `table`.
        vector_inputs: length of a vector, for a member whose view is vectors: its backbone passes them on, and they are
            normalised by what their training rows show, which is not known here.
        root: folder that a relative weights path starts from.
        channels: of the pictures that the backbone reads; as many as the view gives when None.
        pretrained: False leaves the weights random and needs no file and no internet, for a network whose trained
            weights are loaded next.

    Raises:
        RecipeError: no backbone, an unknown one, or one without the stochastic depth or the options that are asked
            for.
        WeightsError: the pretrained weights cannot be had or do not fit.
    """
    stem, stats = _stem(settings, vector_inputs, channels, root, pretrained)
    table, branch = settings.table, None
    if table is not None:
        branch = TableBranch(
            table_inputs, table.widths, table.dropout, table.activation, table.last_dropout, table.weight
        )
    features = stem.width + (branch.width if branch else 0)
    made = outputs if space is None else len(space.raw_columns)
    head = build_head(settings.head, features, made, learns_frames=settings.learns_frames)
    return _kind(settings, head)(
        stem.module, head, stem.input_name, branch, grid=stem.grid, last=target_layer(space)
    ), stats


def _kind(settings: TrainSettings, head: nn.Module) -> type[Network]:
    if isinstance(head, SedHead):
        return SedNetwork
    in_patches = isinstance(settings.view, AudioView) and settings.view.patches is not None
    return PatchNetwork if in_patches else Network


@dataclass(frozen=True)
class _Stem:
    """What lies before the head: the backbone, how many features it makes of a row, and of which input."""

    module: nn.Module
    width: int
    input_name: str = "image"
    grid: Grid = (1, 1)


def _stem(
    settings: TrainSettings, vector_inputs: int, channels: int | None, root: Path | None, pretrained: bool
) -> tuple[_Stem, InputStats]:
    """The part of a member's network that reads photos or sound, or passes vectors on."""
    view, weights = settings.view, settings.weights if pretrained else Weights(source="none")
    if isinstance(view, EmbeddingView):
        return _Stem(nn.Identity(), vector_inputs, VECTORS), InputStats((), ())
    if isinstance(view, WaveformView):
        encoder = create_waveform_encoder(view.encoder, weights, root=root)
        return _Stem(encoder.module, encoder.feature_count, WAVEFORM), InputStats((), ())
    if settings.backbone is None:
        raise RecipeError("a member has no backbone", expected="the name of a timm model")
    backbone = create_backbone(
        settings.backbone,
        weights,
        root=root,
        drop_path_rate=settings.drop_path_rate,
        in_chans=channels or (view.channel_count if isinstance(view, AudioView) else 3),
        image_size=view.tile_height_width,
        options=settings.backbone_options,
    )
    of_one = backbone.map_channels if settings.head.name == "sed" else backbone.feature_count
    grid = view.tiles if isinstance(view, ImageView) else (1, 1)
    return _Stem(backbone.module, of_one * grid[0] * grid[1], grid=grid), InputStats(backbone.mean, backbone.std)
