"""Mixing the clips of a batch: sounds added, as they add up outdoors.

Targets are soft, (b, k) in 0..1. A mask (b, k) says which cells the loss counts: 0 where a class is only a secondary
label, so that it is not known whether it is heard, and 1 elsewhere. `outfold.views.mix` blends waveforms and
pictures alike.
"""

import dataclasses

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from outfold.views.audio.loudness import normalise_tensor
from outfold.views.augment.parameters import STRICT, PositiveRange, Probability
from outfold.views.mix import BatchMixer, Mixed


@dataclass(frozen=True, config=STRICT)
class AdditiveMix:
    """Add another clip of the batch to a clip."""

    gain: PositiveRange = (0.2, 1.0)
    """Range of the factor of the clip that is added, drawn uniformly; a scalar v means exactly v."""
    p: Probability = 0.5
    """Chance of a clip to have another one added."""

    def draw(self, count: int, rng: np.random.Generator, device: torch.device | None = None) -> "Addition":
        """Draw partners and gains for a batch of `count` clips on a device, where not given the CPU."""
        order, gain, chosen = rng.permutation(count), rng.uniform(*self.gain, count), rng.random(count) < self.p
        gains = torch.from_numpy(np.where(chosen, gain, 0.0).astype(np.float32))
        return Addition(torch.from_numpy(order).to(device), gains.to(device))


@dataclasses.dataclass(frozen=True)
class Addition:
    """Which clips of a batch are added to which.

    Attributes:
        order: int64 (b,), each clip's partner.
        gain: float32 (b,), the factor of the partner; 0 where a clip stays alone.
    """

    order: Tensor
    gain: Tensor

    @property
    def mixed(self) -> Tensor:
        """Bool (b, 1): which clips are not alone."""
        return self.gain[:, None] > 0

    def waveforms(self, clips: Tensor) -> Tensor:
        """Float (b, n): sums, divided by their standard deviation; a clip that stays alone is left as it is."""
        sums = clips + self.gain[:, None].to(clips.dtype) * clips[self.order]
        return torch.where(self.mixed, normalise_tensor(sums), clips)

    def target(self, target: Tensor) -> Tensor:
        """Float (b, k): what either clip has (the larger cell, which is OR for labels of 0 and 1)."""
        return torch.where(self.mixed, torch.maximum(target, target[self.order]), target)

    def mask(self, mask: Tensor, target: Tensor) -> Tensor:
        """Float (b, k): the smaller mask of the two, but at least the joint target.

        A class that is a secondary label of one clip is not known in the sum, unless the other has it as a primary one.

        Args:
            mask: (b, k) of the clips before they were added.
            target: (b, k) of the clips before they were added.
        """
        joint = torch.maximum(torch.minimum(mask, mask[self.order]), self.target(target).to(mask.dtype))
        return torch.where(self.mixed, joint, mask)


def clip_adder(mix: AdditiveMix) -> BatchMixer:
    """Addition of clips in a batch whose inputs are all waveforms (b, n).

    The weight of a clip stays its own, that is of its best cell; what its mask says is joined with the other's.
    """

    def adder(inputs: dict[str, Tensor], target: Tensor, weight: Tensor | None, rng: np.random.Generator) -> Mixed:
        addition = mix.draw(len(target), rng, target.device)
        sums = {name: addition.waveforms(clips) for name, clips in inputs.items()}
        if weight is not None and weight.shape[1] > 1:
            own = weight.amax(dim=1, keepdim=True)
            mask = weight / own.clamp(min=torch.finfo(weight.dtype).tiny)
            weight = own * addition.mask(mask, target)
        return sums, addition.target(target), weight

    return adder
