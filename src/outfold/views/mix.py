"""Mixing the samples of a batch: MixUp and CutMix, with targets mixed to match.

MixUp: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018. CutMix: Yun et al., "CutMix: Regularization
Strategy to Train Strong Classifiers with Localizable Features", 2019.

`lam` is always the share of a sample that stays its own; each sample's partner is `order` of its row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from outfold.settings.learning import Mix

Mixed = tuple[dict[str, Tensor], Tensor, Tensor | None]
"""Named inputs, target (b, k), weight (b, 1) or (b, k) or None."""

BatchMixer = Callable[[dict[str, Tensor], Tensor, Tensor | None, np.random.Generator], Mixed]
"""(named inputs, target (b, k), weight, generator) -> the first three, mixed."""

Box = tuple[int, int, int, int]
"""Top, bottom, left, right in pixels; bottom and right are not inside."""


@dataclass(frozen=True)
class Mixing:
    """How one batch is mixed.

    Attributes:
        order: int64 (b,), each sample's partner.
        share: how much of a sample stays its own, 0 to 1.
        box: the partner's pixels of this box are pasted (CutMix); None blends whole photos (MixUp).
    """

    order: Tensor
    share: float
    box: Box | None = None

    def photos(self, images: Tensor) -> Tensor:
        """Images (b, 3, h, w), mixed; uint8 is rounded."""
        if self.box is None:
            return mix_rows(images, self.share, self.order)
        return paste(images, self.box, self.order)

    def vectors(self, rows: Tensor) -> Tensor:
        """Float (b, ...), such as targets or encoded table rows, mixed by the share."""
        return mix_rows(rows, self.share, self.order)


def draw_mixing(mix: Mix, samples: Tensor, rng: np.random.Generator) -> Mixing | None:
    """Draw how a batch is mixed, or None where it is not.

    Args:
        mix: which kinds, how strongly and how often.
        samples: images (b, 3, h, w), or without CutMix any tensor (b, ..); its shape and device count, nothing else.
        rng: decides whether, which kind, the weight, the partners and the box.
    """
    if mix.probability < 1 and rng.random() >= mix.probability:
        return None
    kind = mix.one_of[int(rng.integers(len(mix.one_of)))]
    lam = float(rng.beta(mix.alpha, mix.alpha))
    order = torch.from_numpy(rng.permutation(len(samples))).to(samples.device)
    if kind == "mixup":
        return Mixing(order, lam)
    height, width = samples.shape[-2:]
    box = random_box(lam, height, width, rng)
    return Mixing(order, kept_share(box, height, width), box)


def mix_batch(images: Tensor, target: Tensor, mix: Mix, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix one batch as the recipe says; the batch that came in is left as it is.

    Args:
        images: (b, 3, h, w), uint8 or float, in any memory format, which the result keeps.
        target: float (b, k), one-hot or soft.
        mix: which kinds, how strongly and how often.
        rng: as for `draw_mixing`.

    Returns:
        Images and targets, mixed with the same weight.
    """
    inputs, mixed, _ = batch_mixer(mix)({"image": images}, target, None, rng)
    return inputs["image"], mixed


def batch_mixer(mix: Mix) -> BatchMixer:
    """Mixing of a batch: photos by MixUp or CutMix, all other inputs and the targets by each sample's share.

    CutMix has no box for a table row, which is mixed as the target is: by the area that the photo was left with.
    Without photos there is MixUp alone. Where cells have weights, targets are mixed by them: see `mix_cells`.
    """

    def mixer(inputs: dict[str, Tensor], target: Tensor, weight: Tensor | None, rng: np.random.Generator) -> Mixed:
        mixing = draw_mixing(mix, inputs.get("image", target), rng)
        if mixing is None:
            return inputs, target, weight
        ways = {"image": mixing.photos}
        mixed = {name: ways.get(name, mixing.vectors)(tensor) for name, tensor in inputs.items()}
        if weight is None:
            return mixed, mixing.vectors(target), None
        return mixed, *mix_cells(target, weight, mixing.share, mixing.order)

    return mixer


def mixup(images: Tensor, target: Tensor, lam: float, order: Tensor) -> tuple[Tensor, Tensor]:
    """Each sample becomes lam * itself + (1 - lam) * its partner; uint8 images are rounded."""
    return mix_rows(images, lam, order), mix_rows(target, lam, order)


def cutmix(images: Tensor, target: Tensor, box: Box, order: Tensor) -> tuple[Tensor, Tensor]:
    """Paste the partner's pixels of one box; targets are mixed by the area that was really pasted."""
    return paste(images, box, order), mix_rows(target, kept_share(box, *images.shape[-2:]), order)


def paste(images: Tensor, box: Box, order: Tensor) -> Tensor:
    """Each image with its partner's pixels inside the box."""
    top, bottom, left, right = box
    pasted = images.clone()
    pasted[..., top:bottom, left:right] = images[order, :, top:bottom, left:right]
    return pasted


def mix_rows(rows: Tensor, lam: float, order: Tensor) -> Tensor:
    """Each row becomes lam * itself + (1 - lam) * rows[order], in the rows' dtype and memory format."""
    partners = rows[order]  # unlike index_select, indexing keeps the memory format
    if rows.is_floating_point():
        return torch.lerp(rows, partners, 1 - lam)
    return torch.lerp(rows.float(), partners.float(), 1 - lam).round_().to(rows.dtype)


def mix_cells(target: Tensor, weight: Tensor, share: float, order: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and weights of clips blended by MixUp, such that a loss linear in the target, as BCE is, is blended too.

    The loss of a mixed cell is then share * w L(t) + (1 - share) * v L(u), with weight w and target t of the clip and
    v and u of its partner: a target that a mask hides stays hidden.

    Args:
        target: float (b, k).
        weight: float (b, k).
        share: how much of a clip stays its own, 0 to 1.
        order: int64 (b,), each clip's partner.

    Returns:
        Targets and weights, (b, k) each; where no weight is left, the target is 0.
    """
    mixed = mix_rows(weight, share, order)
    weighted = mix_rows(weight * target, share, order)
    return torch.where(mixed > 0, weighted / mixed.clamp(min=torch.finfo(mixed.dtype).tiny), 0.0), mixed


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
