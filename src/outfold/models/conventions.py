"""Names that other code gives to the tensors of a model that is also here: tables from their names to the model's.

Each table is built from the model itself, so block counts and widths need not be known; whether the tensors really fit
is decided by `match_state`, tensor by tensor.
"""

import re
from collections.abc import Callable, Iterable, Iterator

Table = dict[str, str]
"""Name in the file -> name in the timm model."""

_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.(.+)")

_SEPARABLE = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
"""timm's depthwise separable block -> efficientnet_pytorch: a block without expansion."""

_INVERTED = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
"""timm's inverted residual block -> efficientnet_pytorch."""

_SQUEEZE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_OUTER = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}

_TORCHVISION_SEPARABLE = {"conv_dw": "conv.0.0", "bn1": "conv.0.1", "conv_pw": "conv.1", "bn2": "conv.2"}
_TORCHVISION_INVERTED = {
    "conv_pw": "conv.0.0",
    "bn1": "conv.0.1",
    "conv_dw": "conv.1.0",
    "bn2": "conv.1.1",
    "conv_pwl": "conv.2",
    "bn3": "conv.3",
}


def timm_names(names: Iterable[str]) -> Table:
    """The model's own names."""
    return {name: name for name in names}


def efficientnet_pytorch_names(names: Iterable[str]) -> Table:
    """Names of the efficientnet_pytorch package and its kin: `_conv_stem`, `_blocks.7._depthwise_conv`, `_fc` .."""
    return _renamed(
        names,
        outer=_OUTER,
        block=lambda place: f"_blocks.{place}",
        separable=_SEPARABLE | _SQUEEZE,
        inverted=_INVERTED | _SQUEEZE,
    )


def torchvision_mobilenet_names(names: Iterable[str]) -> Table:
    """Names of torchvision's mobilenet_v2: `features.0.0` (stem), `features.1.conv.0.0` .., `classifier.1`."""
    names = list(names)
    last = len(_block_kinds(names)) + 1
    outer = {
        "conv_stem": "features.0.0",
        "bn1": "features.0.1",
        "conv_head": f"features.{last}.0",
        "bn2": f"features.{last}.1",
        "classifier": "classifier.1",
    }
    return _renamed(
        names,
        outer=outer,
        block=lambda place: f"features.{place + 1}",
        separable=_TORCHVISION_SEPARABLE,
        inverted=_TORCHVISION_INVERTED,
    )


def torchaudio_waveform_names(names: Iterable[str]) -> Table:
    """Names of torchaudio's `Wav2Vec2Model`: `encoder.transformer.layers.0..`, `encoder.feature_projection..`."""
    table: Table = {}
    for name in names:
        other = name
        if name.startswith("encoder."):
            other = f"encoder.transformer.{name.removeprefix('encoder.')}"
        elif name.startswith("feature_projection."):
            other = f"encoder.{name}"
        table |= _both_spellings(other, name)
    return table


def transformers_waveform_names(names: Iterable[str]) -> Table:
    """Names of transformers, also of files from before weight norm was a parametrization."""
    return {other: name for own in names for other, name in _both_spellings(own, own).items()}


def _both_spellings(other: str, name: str) -> Table:
    """A name in a file -> the model's, also as `weight_g` and `weight_v`, which a weight norm's parts once were."""
    spelt = {other: name}
    for part, old in (("original0", "weight_g"), ("original1", "weight_v")):
        if other.endswith(f"parametrizations.weight.{part}"):
            spelt[other.replace(f"parametrizations.weight.{part}", old)] = name
    return spelt


CONVENTIONS: dict[str, Callable[[Iterable[str]], Table]] = {
    "timm": timm_names,
    "efficientnet_pytorch": efficientnet_pytorch_names,
    "torchvision mobilenet_v2": torchvision_mobilenet_names,
    "transformers": transformers_waveform_names,
    "torchaudio": torchaudio_waveform_names,
}
"""Known ways to name tensors; the one that explains most of a file's names is used."""


def _renamed(
    names: Iterable[str],
    *,
    outer: Table,
    block: Callable[[int], str],
    separable: Table,
    inverted: Table,
) -> Table:
    """The table for a model of a stem, blocks in stages and a head; names without a counterpart are left out.

    Args:
        names: tensor names of the timm model, such as `blocks.1.0.conv_pw.weight`.
        outer: layer outside the blocks -> its name in the file.
        block: place of a block, counted over all stages -> its name in the file.
        separable: layer of a block without expansion -> its name in the file.
        inverted: layer of a block with expansion -> its name in the file.
    """
    names = list(names)
    kinds = _block_kinds(names)
    places = {key: place for place, key in enumerate(sorted(kinds))}
    table = {}
    for name in names:
        layer, _, leaf = name.rpartition(".")
        if match := _BLOCK.fullmatch(layer):
            key = (int(match[1]), int(match[2]))
            layers = inverted if kinds[key] else separable
            other = f"{block(places[key])}.{layers[match[3]]}" if match[3] in layers else None
        else:
            other = outer.get(layer)
        if other is not None:
            table[f"{other}.{leaf}"] = name
    return table


def _block_kinds(names: Iterable[str]) -> dict[tuple[int, int], bool]:
    """For each block (stage, number): whether it expands its channels first."""
    kinds: dict[tuple[int, int], bool] = {}
    for key, layer in _block_layers(names):
        kinds[key] = kinds.get(key, False) or layer.startswith("conv_pwl")
    return kinds


def _block_layers(names: Iterable[str]) -> Iterator[tuple[tuple[int, int], str]]:
    for name in names:
        if match := _BLOCK.fullmatch(name):
            yield (int(match[1]), int(match[2])), match[3]
