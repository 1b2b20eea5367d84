"""Transforms that move pixels. Each draws its parameters and returns one `Affine` step; see `warp` for the rest.

Those that bend the photo are in `distortion`.
"""

import math
from typing import Any, ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from outfold.views.augment.base import Transform
from outfold.views.augment.parameters import STRICT, PositiveRange, Share, ShareRange, Symmetric
from outfold.views.augment.warp import Affine, compose, crop_resize, similarity
from outfold.views.sizes import Size, centre, cover, enlarge


class Geometric(Transform):
    """A transform whose step is composed with its neighbours' into one warp."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Any:
        """Draw parameters for an image of this size: an `Affine`, a `Distortion`, or a tuple of them."""
        raise NotImplementedError


class Sized(Geometric):
    """A geometric transform that ends at the chain's output size, its field `size`, which no recipe sets."""

    @classmethod
    def parameter_names(cls) -> list[str]:
        """All but the size."""
        return [name for name in super().parameter_names() if name != "size"]


@dataclass(frozen=True, config=STRICT)
class HorizontalFlip(Geometric):
    """Mirror left to right."""

    p: ClassVar[float] = 0.5

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """Column x shows column width - 1 - x."""
        return Affine(np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1.0]]), height, width)


@dataclass(frozen=True, config=STRICT)
class VerticalFlip(Geometric):
    """Mirror upside down."""

    p: ClassVar[float] = 0.5

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """Row y shows row height - 1 - y."""
        return Affine(np.array([[1, 0, 0], [0, -1, height - 1], [0, 0, 1.0]]), height, width)


@dataclass(frozen=True, config=STRICT)
class Transpose(Geometric):
    """Swap rows and columns."""

    p: ClassVar[float] = 0.5

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """(x, y) -> (y, x)."""
        return Affine(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]]), width, height)


@dataclass(frozen=True, config=STRICT)
class QuarterTurns(Geometric):
    """Turn counter-clockwise by 0, 90, 180 or 270 degrees, each with the same chance."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """As numpy.rot90 does, k times."""
        return quarter_turns(int(rng.integers(4)), height, width)


def quarter_turns(k: int, height: int, width: int) -> Affine:
    """The step that equals numpy.rot90(image, k)."""
    x, y = width - 1, height - 1
    rows = {
        0: [[1, 0, 0], [0, 1, 0]],
        1: [[0, -1, x], [1, 0, 0]],
        2: [[-1, 0, x], [0, -1, y]],
        3: [[0, 1, 0], [-1, 0, y]],
    }[k]
    size = (height, width) if k % 2 == 0 else (width, height)
    return Affine(np.array([*rows, [0, 0, 1]], dtype=np.float64), *size)


@dataclass(frozen=True, config=STRICT)
class Rotate(Geometric):
    """Turn about the centre, keeping the size."""

    degrees: Symmetric = (-15.0, 15.0)
    """Range of the angle, counter-clockwise."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """An angle, uniformly."""
        return similarity(height, width, degrees=rng.uniform(*self.degrees))


@dataclass(frozen=True, config=STRICT)
class ShiftScaleRotate(Geometric):
    """Turn and zoom about the centre, and move, keeping the size."""

    shift: Symmetric = (-0.0625, 0.0625)
    """Range of the movement as a share of the width and, drawn apart, of the height."""
    scale: Symmetric = (-0.1, 0.1)
    """Range of the zoom minus one: 0.1 enlarges by a tenth."""
    rotate: Symmetric = (-15.0, 15.0)
    """Range of the angle in degrees, counter-clockwise."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """Angle, zoom and movement, each uniformly."""
        degrees, zoom = rng.uniform(*self.rotate), 1 + rng.uniform(*self.scale)
        shift = (rng.uniform(*self.shift) * width, rng.uniform(*self.shift) * height)
        return similarity(height, width, degrees=degrees, zoom=zoom, shift=shift)


@dataclass(frozen=True, config=STRICT)
class RandomResizedCrop(Sized):
    """Cut a window of random area and aspect ratio and bring it to the output size, as torchvision defines it."""

    scale: ShareRange = (0.08, 1.0)
    """Range of the window's share of the image's area; a scalar v means [v, 1]."""
    ratio: PositiveRange = (3 / 4, 4 / 3)
    """Range of width / height, drawn uniformly on a logarithmic scale."""
    size: Size = (224, 224)

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """Ten tries for a window that fits; then the largest central one whose ratio is allowed."""
        for _ in range(10):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            window = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < window[0] <= height and 0 < window[1] <= width:
                top = int(rng.integers(height - window[0] + 1))
                left = int(rng.integers(width - window[1] + 1))
                return crop_resize(top, left, window, self.size)
        return self._central(height, width)

    def _central(self, height: int, width: int) -> Affine:
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        window = min(height, round(width / ratio)), min(width, round(height * ratio))
        return crop_resize((height - window[0]) // 2, (width - window[1]) // 2, window, self.size)


@dataclass(frozen=True, config=STRICT)
class RandomCrop(Sized):
    """Cut a window of the output's shape at a random place; no stretching."""

    scale: ShareRange = (1.0, 1.0)
    """Range of the window's side as a share of the largest that fits; a scalar v means [v, 1]."""
    size: Size = (224, 224)

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """A window of whole pixels, placed uniformly."""
        largest = min(height / self.size[0], width / self.size[1]) * rng.uniform(*self.scale)
        window = max(1, round(self.size[0] * largest)), max(1, round(self.size[1] * largest))
        top, left = int(rng.integers(height - window[0] + 1)), int(rng.integers(width - window[1] + 1))
        return crop_resize(top, left, window, self.size)


@dataclass(frozen=True, config=STRICT)
class Fit(Sized):
    """Cover the output with the image and keep the centre: what validation does, and what ends every chain."""

    crop_pct: Share = 1.0
    """Share of the covering image's shorter side that is kept."""
    size: Size = (224, 224)

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Affine:
        """Nothing is drawn; an image that is already of the size stays as it is."""
        covering = cover(height, width, enlarge(self.size, self.crop_pct))
        resize = crop_resize(0, 0, (height, width), covering)
        return compose([resize, crop_resize(*centre(*covering, self.size), self.size, self.size)])


GEOMETRIC: dict[str, type[Geometric]] = {
    "hflip": HorizontalFlip,
    "vflip": VerticalFlip,
    "transpose": Transpose,
    "rot90": QuarterTurns,
    "rotate": Rotate,
    "shift_scale_rotate": ShiftScaleRotate,
    "random_resized_crop": RandomResizedCrop,
    "random_crop": RandomCrop,
}
"""The recipe's names."""
