"""Mixing the samples of a batch: MixUp and CutMix, with targets mixed to match.

MixUp: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018. CutMix: Yun et al., "CutMix: Regularization
Strategy to Train Strong Classifiers with Localizable Features", 2019.

`lam` is always the share of a sample that stays its own; each sample's partner is `order` of its row.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from outfold.settings.train import Mix

BatchMixer = Callable[[dict[str, Tensor], Tensor, np.random.Generator], tuple[dict[str, Tensor], Tensor]]
"""(named inputs, target (b, k), generator) -> both, mixed."""

Box = tuple[int, int, int, int]
"""Top, bottom, left, right in pixels; bottom and right are not inside."""


def mix_batch(images: Tensor, target: Tensor, mix: Mix, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix one batch as the recipe says; the batch that came in is left as it is.

    Args:
        images: (b, 3, h, w), uint8 or float, in any memory format, which the result keeps.
        target: float (b, k), one-hot or soft.
        mix: which kinds, how strongly and how often.
        rng: decides whether, which kind, the weight, the partners and the box.

    Returns:
        Images and targets, mixed with the same weight.
    """
    if mix.probability < 1 and rng.random() >= mix.probability:
        return images, target
    kind = mix.one_of[int(rng.integers(len(mix.one_of)))]
    lam = float(rng.beta(mix.alpha, mix.alpha))
    order = torch.from_numpy(rng.permutation(len(images))).to(images.device)
    return MIXES[kind](images, target, lam, order, rng)


def photo_mixer(mix: Mix) -> BatchMixer:
    """Mixing of the photos of a batch, whatever other inputs a sample has."""

    def mixer(inputs: dict[str, Tensor], target: Tensor, rng: np.random.Generator) -> tuple[dict[str, Tensor], Tensor]:
        images, mixed = mix_batch(inputs["image"], target, mix, rng)
        return {**inputs, "image": images}, mixed

    return mixer


def mixup(images: Tensor, target: Tensor, lam: float, order: Tensor) -> tuple[Tensor, Tensor]:
    """Each sample becomes lam * itself + (1 - lam) * its partner; uint8 images are rounded."""
    return mix_rows(images, lam, order), mix_rows(target, lam, order)


def cutmix(images: Tensor, target: Tensor, box: Box, order: Tensor) -> tuple[Tensor, Tensor]:
    """Paste the partner's pixels of one box; targets are mixed by the area that was really pasted."""
    top, bottom, left, right = box
    pasted = images.clone()
    pasted[..., top:bottom, left:right] = images[order, :, top:bottom, left:right]
    return pasted, mix_rows(target, kept_share(box, *images.shape[-2:]), order)


def mix_rows(rows: Tensor, lam: float, order: Tensor) -> Tensor:
    """Each row becomes lam * itself + (1 - lam) * rows[order], in the rows' dtype and memory format."""
    partners = rows[order]  # unlike index_select, indexing keeps the memory format
    if rows.is_floating_point():
        return torch.lerp(rows, partners, 1 - lam)
    return torch.lerp(rows.float(), partners.float(), 1 - lam).round_().to(rows.dtype)


def kept_share(box: Box, height: int, width: int) -> float:
    """Share of the image outside the box."""
    top, bottom, left, right = box
    return 1.0 - (bottom - top) * (right - left) / (height * width)


def random_box(lam: float, height: int, width: int, rng: np.random.Generator) -> Box:
    """A box of the image's shape and of 1 - lam of its area, its centre anywhere, cut off at the border."""
    half_height, half_width = height * np.sqrt(1 - lam) / 2, width * np.sqrt(1 - lam) / 2
    centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
    top, bottom = (round(float(np.clip(edge, 0, height))) for edge in (centre_y - half_height, centre_y + half_height))
    left, right = (round(float(np.clip(edge, 0, width))) for edge in (centre_x - half_width, centre_x + half_width))
    return top, bottom, left, right


Mixer = Callable[[Tensor, Tensor, float, Tensor, np.random.Generator], tuple[Tensor, Tensor]]

MIXES: dict[str, Mixer] = {
    "mixup": lambda images, target, lam, order, rng: mixup(images, target, lam, order),
    "cutmix": lambda images, target, lam, order, rng: cutmix(
        images, target, random_box(lam, images.shape[-2], images.shape[-1], rng), order
    ),
}
"""How each kind of the recipe mixes a batch."""
