"""Encoders of raw waveforms, of the wav2vec 2.0 family: HuBERT, AVES and their kin, through `transformers`.

A convolutional front part makes a frame of every 20 ms, a transformer looks at all frames, and the mean over time of
its last layer is the feature vector of a clip. The parts are named `feature_extractor`, `feature_projection` and
`encoder`: a phase with `train: {blocks: [feature_extractor]}` leaves the front part as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from outfold.errors import DataError, RecipeError
from outfold.models.matching import MatchReport, match_state, require_fit
from outfold.models.waveform_config import FAMILIES, read_config
from outfold.models.weights import load_state, weights_path
from outfold.settings.network import Weights

SAMPLE_RATE = 16_000
"""Hz; what all published encoders of this family listen to."""

UNUSED = "masked_spec_embed"
"""What masks the input of pretraining; nothing is masked here, and files may hold it."""


class WaveformEncoder(nn.Module):
    """Waveforms (b, n) at 16 kHz -> features (b, f): the mean over time of the last layer.

    Padding takes no part: neither in attention nor in the mean. It is told by a mask or, without one, by exact zeros at
    a clip's beginning and end. Encoders whose first layer normalises over time ("group", as HuBERT base and AVES) still
    see how much of it there is; those with "layer" give a padded clip the features of the bare one.

    Args:
        model: a `HubertModel` or `Wav2Vec2Model` of transformers, whose layers it takes over.

    Attributes:
        num_features: f.
        windows: kernel and stride of each convolution of the front part, in the order they follow each other.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        config: Any = model.config
        self.feature_extractor = model.get_submodule("feature_extractor")
        self.feature_projection = model.get_submodule("feature_projection")
        self.encoder = model.get_submodule("encoder")
        self.num_features = int(config.hidden_size)
        self.windows = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.norm_last = bool(config.do_stable_layer_norm)

    def forward(self, waveforms: Tensor, mask: Tensor | None = None) -> Tensor:
        """Features of clips.

        Args:
            waveforms: (b, n), at the sample rate that the weights learned from.
            mask: bool (b, n), True where there is sound; every row's is one stretch.

        Returns:
            (b, f).

        Raises:
            DataError: the clips are shorter than a frame.
        """
        if waveforms.shape[1] < self.samples_of_a_frame:
            raise DataError(
                "the clips are shorter than a frame of the encoder",
                got=f"{waveforms.shape[1]} samples",
                expected=f"at least {self.samples_of_a_frame}",
            )
        heard = whole_frames(sounding(waveforms) if mask is None else mask, self.windows)
        frames = self.frames(waveforms, heard)
        weight = heard.unsqueeze(2).to(frames.dtype)
        return (frames * weight).sum(dim=1) / weight.sum(dim=1)

    def frames(self, waveforms: Tensor, heard: Tensor) -> Tensor:
        """The last layer's answer to every frame.

        Args:
            waveforms: (b, n).
            heard: bool (b, t), the frames that are attended to.

        Returns:
            (b, t, f).
        """
        found = self.feature_projection(self.feature_extractor(waveforms).transpose(1, 2))
        hidden = found[0] if isinstance(found, tuple) else found  # wav2vec 2.0 gives its normed input too
        return self.encoder(hidden, attention_mask=heard).last_hidden_state

    @property
    def samples_of_a_frame(self) -> int:
        """How many samples a single frame is made of."""
        length = 1
        for kernel, stride in reversed(self.windows):
            length = (length - 1) * stride + kernel
        return length

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """The layers from the input to the head, as timm's models tell theirs; for rates by layer."""
        norm = r"^encoder\.layer_norm"  # after the transformer's layers, or before them
        stem = r"^feature_extractor|^feature_projection|^encoder\.pos_conv_embed"
        blocks: list[tuple[str, tuple[int, ...] | None]] = [(r"^encoder\.layers\.(\d+)", None)]
        if self.norm_last:
            return {"stem": stem, "blocks": [*blocks, (norm, (99999,))]}
        return {"stem": f"{stem}|{norm}", "blocks": blocks}

    def no_weight_decay(self) -> set[str]:
        """The lengths of a convolution's weight vectors, which are scales."""
        return {"encoder.pos_conv_embed.conv.parametrizations.weight.original0"}


@dataclass(frozen=True)
class WaveformBackbone:
    """A model that maps waveforms (b, n) to features (b, f).

    Attributes:
        module: the encoder.
        feature_count: f.
        report: how the weights file fitted; None for random weights.
    """

    module: WaveformEncoder
    feature_count: int
    report: MatchReport | None = None


def create_waveform_encoder(
    config: Path | Mapping[str, Any], weights: Weights, *, root: Path | None = None
) -> WaveformBackbone:
    """Build an encoder and load its weights.

    Args:
        config: what it is made of: a JSON file, a folder with `config.json`, or the values themselves; as transformers
            writes it, or as AVES publishes it for torchaudio.
        weights: a file or a package with tensors named by transformers or torchaudio, a folder with `model.safetensors`
            or `pytorch_model.bin`, or none for random weights.
        root: folder that relative paths start from.

    Raises:
        RecipeError: transformers is not installed, or the configuration is of another family.
        WeightsError: a file cannot be read, or the weights do not fit in full.
    """
    if weights.source == "hub":
        raise RecipeError(
            "encoders of waveforms are not fetched from the hub",
            fix="give `file:path/to/folder`, which holds model.safetensors beside config.json",
        )
    module = WaveformEncoder(_model_of(read_config(config, root)))
    report = None if weights.source == "none" else _load(module, weights, root)
    return WaveformBackbone(module, module.num_features, report)


def sounding(waveforms: Tensor) -> Tensor:
    """Where clips are not padded with zeros at their beginning and end: bool (b, n).

    A clip of nothing but zeros counts as sound.
    """
    nonzero = waveforms != 0
    begun = nonzero.cumsum(dim=1) > 0
    not_over = nonzero.flip(1).cumsum(dim=1).flip(1) > 0
    return (begun & not_over) | ~nonzero.any(dim=1, keepdim=True)


def whole_frames(mask: Tensor, windows: Sequence[tuple[int, int]]) -> Tensor:
    """The frames that lie within the sound: bool (b, t).

    A clip with less sound than a frame counts as sound from end to end.

    Args:
        mask: bool (b, n), of samples.
        windows: kernel and stride of each convolution between samples and frames.
    """
    silence = (~mask).float().unsqueeze(1)
    for kernel, stride in windows:
        silence = F.max_pool1d(silence, kernel, stride)
    frames = silence.squeeze(1) == 0
    return frames | ~frames.any(dim=1, keepdim=True)


def _model_of(config: Mapping[str, Any]) -> nn.Module:
    """A model of transformers with random weights."""
    try:
        import transformers
    except ImportError as error:
        raise RecipeError(
            "encoders of waveforms need the package transformers, which is not installed",
            fix="install it: `uv pip install 'outfold[waveform]'`, or `uv pip install transformers`",
        ) from error
    family = FAMILIES[config["model_type"]]
    shape = {name: value for name, value in config.items() if name != "model_type"}
    silent = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "apply_spec_augment": False}
    try:
        return getattr(transformers, f"{family}Model")(getattr(transformers, f"{family}Config")(**shape, **silent))
    except Exception as error:  # whatever a configuration that fits nothing leads to
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise RecipeError("transformers cannot build an encoder of this configuration", got=said) from error


def _load(module: WaveformEncoder, weights: Weights, root: Path | None) -> MatchReport:
    """Load a file's tensors; all must fit, but for a head of an earlier training."""
    given = {name: tensor for name, tensor in load_state(weights, root).items() if not name.endswith(UNUSED)}
    state, report = match_state(given, module, classifier=("aux",))
    require_fit(report, str(weights_path(weights, root)), "this encoder of waveforms")
    module.load_state_dict(state, strict=False)  # what may be missing was decided above
    return report
