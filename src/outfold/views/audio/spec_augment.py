"""SpecAugment: bands of frequency and stretches of time painted over in log-mel pictures.

Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", 2019, without its time
warp. Widths are shares of the picture, so that settings hold for pictures of any size.
"""

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from outfold.views.augment.parameters import STRICT, Probability

Count = Annotated[int, Field(ge=0)]
Width = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=STRICT)
class SpecAugment:
    """Paint over whole rows and whole columns of each picture of a batch, drawn anew for each."""

    frequency_masks: Count = 2
    """Bands of rows in a picture; they may overlap."""
    frequency_width: Width = 0.1
    """Largest width of a band as a share of the rows; whole numbers from 0 to this are equally likely."""
    time_masks: Count = 2
    """Stretches of columns in a picture; they may overlap."""
    time_width: Width = 0.1
    """Largest width of a stretch as a share of the columns; whole numbers from 0 to this are equally likely."""
    fill: float | Literal["mean"] = "mean"
    """What is painted: a level, or the picture's own mean."""
    p: Probability = 1.0
    """Chance of a picture to be painted at all."""

    def __call__(self, pictures: Tensor, rng: np.random.Generator) -> Tensor:
        """Float (b, h, w), height being frequency -> a new tensor."""
        count, height, width = pictures.shape
        return paint(pictures, self.masks(count, height, width, rng), self.fill)

    def masks(self, count: int, height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns that are painted over in each picture: bool (count, height) and (count, width)."""
        chosen = rng.random((count, 1)) < self.p
        rows = draw_mask(count, height, self.frequency_masks, self.frequency_width, rng)
        columns = draw_mask(count, width, self.time_masks, self.time_width, rng)
        return rows & chosen, columns & chosen


def draw_mask(count: int, length: int, masks: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Bool (count, length): what `masks` stretches cover, each of a width from 0 to `share` of the length.

    Args:
        count: rows, drawn independently.
        length: places along the side.
        masks: stretches in a row.
        share: largest width of a stretch, 0 to 1 of the length, rounded to whole places.
        rng: decides widths and places, both uniformly over whole numbers.
    """
    widths = rng.integers(round(share * length) + 1, size=(count, masks, 1))
    starts = rng.integers(length - widths + 1)
    places = np.arange(length)
    covered: np.ndarray = (places >= starts) & (places < starts + widths)
    return np.logical_or.reduce(covered, axis=1)


def paint(pictures: Tensor, masks: tuple[np.ndarray, np.ndarray], fill: float | Literal["mean"]) -> Tensor:
    """Float (b, h, w) with the rows (b, h) and columns (b, w) of two masks replaced by `fill`: a new tensor."""
    rows, columns = (torch.from_numpy(mask).to(pictures.device) for mask in masks)
    hidden = rows[:, :, None] | columns[:, None, :]
    if fill == "mean":
        return torch.where(hidden, pictures.mean((1, 2), keepdim=True), pictures)
    return pictures.masked_fill(hidden, fill)
