"""Transforms that look at a pixel's neighbours or at its place: blur, noise, holes, local contrast.

Each returns a function on uint8 (h, w, 3). What geometry and colour stand before it in the recipe is done first.
"""

from collections.abc import Callable
from functools import cache, partial
from statistics import NormalDist
from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from outfold.views.augment.base import Transform
from outfold.views.augment.parameters import STRICT, ShareRange, UpTo

PixelStep = Callable[[np.ndarray], np.ndarray]


class Pixel(Transform):
    """A transform that is applied by itself."""

    p: ClassVar[float] = 0.5

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """Draw parameters for an image of this size."""
        raise NotImplementedError


@dataclass(frozen=True, config=STRICT)
class GaussianBlur(Pixel):
    """Blur by a Gaussian whose standard deviation is drawn uniformly; the kernel reaches 3 deviations."""

    sigma: UpTo = (0.1, 2.0)
    """Range of the standard deviation in pixels of the image it meets; a scalar v means [0, v]."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """A standard deviation."""
        return partial(gaussian_blur, sigma=rng.uniform(*self.sigma))


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Separable Gaussian over 2 * ceil(3 sigma) + 1 pixels, border reflected."""
    side = 2 * int(np.ceil(3 * sigma)) + 1
    return cv2.GaussianBlur(image, (side, side), sigma) if side > 1 else image


@dataclass(frozen=True, config=STRICT)
class GaussianNoise(Pixel):
    """Add independent Gaussian noise to every value."""

    sigma: UpTo = (2.0, 6.0)
    """Range of the standard deviation in grey levels; a scalar v means [0, v]."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """A standard deviation, and 16 random bits a value."""
        table = np.rint(rng.uniform(*self.sigma) * gaussian_quantiles()).astype(np.int16)
        noise = np.take(table, rng.integers(0, 65536, size=(height, width, 3), dtype=np.uint16))
        return partial(add_noise, noise=noise)


@cache
def gaussian_quantiles() -> np.ndarray:
    """Quantiles float64 (65536,) of the standard normal: a random index is a normal value, up to 4.3 deviations.

    Three times as fast as drawing normal values, and the noise is rounded to whole grey levels anyway.
    """
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / 65536) for i in range(65536)])


def add_noise(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Add int16 noise of the image's shape and clip."""
    return cv2.add(image, noise, dtype=cv2.CV_8U)


@dataclass(frozen=True, config=STRICT)
class Cutout(Pixel):
    """Paint rectangles of one grey level over the image, wholly inside it."""

    size: ShareRange = (0.25, 0.25)
    """Range of a hole's height and, drawn apart, width, as shares of the image's."""
    holes: Annotated[int, Field(ge=1)] = 1
    fill: Annotated[int, Field(ge=0, le=255)] = 0

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """Sizes and places, each uniformly."""
        return partial(cut, boxes=[self._box(rng, height, width) for _ in range(self.holes)], fill=self.fill)

    def _box(self, rng: np.random.Generator, height: int, width: int) -> tuple[slice, slice]:
        rows, columns = (max(1, round(rng.uniform(*self.size) * side)) for side in (height, width))
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        return slice(top, top + rows), slice(left, left + columns)


def cut(image: np.ndarray, boxes: list[tuple[slice, slice]], fill: int) -> np.ndarray:
    """A copy with the boxes (rows, columns) painted."""
    image = image.copy()
    for box in boxes:
        image[box] = fill
    return image


@dataclass(frozen=True, config=STRICT)
class Clahe(Pixel):
    """Contrast-limited adaptive histogram equalisation of the lightness (CIE L*), on a grid of tiles."""

    clip_limit: UpTo = (1.0, 4.0)
    """Range of the limit, in multiples of a flat histogram's count; a scalar v means [0, v]."""
    tiles: Annotated[int, Field(ge=1)] = 8
    """Tiles along each side."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """A limit."""
        return partial(equalise_lightness, clip_limit=rng.uniform(*self.clip_limit), tiles=self.tiles)


def equalise_lightness(image: np.ndarray, clip_limit: float, tiles: int) -> np.ndarray:
    """RGB -> L*a*b*, equalise L*, and back."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lightness = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(tiles, tiles)).apply(lab[..., 0])
    return cv2.cvtColor(cv2.merge([lightness, lab[..., 1], lab[..., 2]]), cv2.COLOR_LAB2RGB)


PIXEL: dict[str, type[Pixel]] = {
    "gaussian_blur": GaussianBlur,
    "gaussian_noise": GaussianNoise,
    "cutout": Cutout,
    "clahe": Clahe,
}
"""The recipe's names."""
