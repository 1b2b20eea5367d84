"""Transforms that look at a pixel's neighbours or at its place: blur, noise, holes.

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
from outfold.views.augment.parameters import STRICT, FixedShare, OddSide, UpTo

PixelStep = Callable[[np.ndarray], np.ndarray]


class Pixel(Transform):
    """A transform that is applied by itself."""

    p: ClassVar[float] = 0.5

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """Draw parameters for an image of this size."""
        raise NotImplementedError


@dataclass(frozen=True, config=STRICT)
class GaussianBlur(Pixel):
    """Blur by a Gaussian whose standard deviation is drawn uniformly; the kernel reaches 3 deviations.

    Standard deviations of 0.8 and 1.1 stand for the kernels that OpenCV takes where it is given 3 or 5 pixels alone.
    """

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
class MedianBlur(Pixel):
    """Replace every value by the median of its channel in a square; the border is repeated."""

    side: OddSide = 5
    """Largest side of the square in pixels; odd ones from 3 to this are equally likely."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """A side."""
        return partial(cv2.medianBlur, ksize=draw_odd(rng, self.side))


@dataclass(frozen=True, config=STRICT)
class MotionBlur(Pixel):
    """Average along a line, drawn between two random pixels of a square kernel; the border is reflected."""

    side: OddSide = 5
    """Largest side of the kernel in pixels; odd ones from 3 to this are equally likely."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """A side, and two different pixels."""
        return partial(cv2.filter2D, ddepth=-1, kernel=line_kernel(rng, draw_odd(rng, self.side)))


def draw_odd(rng: np.random.Generator, largest: int) -> int:
    """An odd number from 3 to the largest."""
    return 3 + 2 * int(rng.integers((largest - 1) // 2))


def line_kernel(rng: np.random.Generator, side: int) -> np.ndarray:
    """Float32 (side, side), summing to 1: the line between two different pixels, equally thick (Bresenham)."""
    first, second = (divmod(int(pixel), side) for pixel in rng.choice(side * side, size=2, replace=False))
    kernel = np.zeros((side, side), dtype=np.uint8)
    cv2.line(kernel, first, second, color=1)
    return kernel.astype(np.float32) / np.float32(kernel.sum())


@dataclass(frozen=True, config=STRICT)
class GaussianNoise(Pixel):
    """Add independent Gaussian noise to every value."""

    sigma: UpTo | None = None
    """Range of the standard deviation in grey levels, drawn uniformly; a scalar v means [0, v]; 2 to 6 where nothing is
    given."""
    variance: UpTo | None = None
    """In place of sigma, a range of the variance in squared grey levels, drawn uniformly; a scalar v means [0, v]."""

    def __post_init__(self) -> None:
        if self.sigma is not None and self.variance is not None:
            raise ValueError("give either sigma or variance")

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """A standard deviation, and 16 random bits a value."""
        if self.variance is None:
            sigma = rng.uniform(*(self.sigma or (2.0, 6.0)))
        else:
            sigma = np.sqrt(rng.uniform(*self.variance))
        return partial(add_noise, noise=normal_noise(rng, sigma, (height, width, 3)))


def normal_noise(rng: np.random.Generator, sigma: float, shape: tuple[int, int, int]) -> np.ndarray:
    """Normal values int16 of this shape, rounded: 64 random bits look four of them up in a table."""
    table = np.rint(np.float32(sigma) * gaussian_quantiles()).astype(np.int16)
    count = shape[0] * shape[1] * shape[2]
    bits = rng.integers(0, 2**64, size=-(-count // 4), dtype=np.uint64).view(np.uint16)[:count]
    return np.take(table, bits).reshape(shape)


@cache
def gaussian_quantiles() -> np.ndarray:
    """Quantiles float32 (65536,) of the standard normal: a random index is a normal value, up to 4.3 deviations.

    Three times as fast as drawing normal values, and the noise is rounded to whole grey levels anyway.
    """
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / 65536) for i in range(65536)], dtype=np.float32)


def add_noise(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Add int16 noise of the image's shape and clip."""
    return cv2.add(image, noise, dtype=cv2.CV_8U)


@dataclass(frozen=True, config=STRICT)
class Cutout(Pixel):
    """Paint rectangles of one grey level over the image, wholly inside it."""

    size: FixedShare = (0.25, 0.25)
    """Range of a hole's height and, drawn apart, width, as shares of the image's; a scalar is the share of both."""
    square: bool = False
    """One side for both, as a share of the image's shorter side."""
    holes: Annotated[int, Field(ge=1)] = 1
    fill: Annotated[int, Field(ge=0, le=255)] = 0

    def sample(self, rng: np.random.Generator, height: int, width: int) -> PixelStep:
        """Sizes and places, each uniformly."""
        return partial(cut, boxes=[self._box(rng, height, width) for _ in range(self.holes)], fill=self.fill)

    def _box(self, rng: np.random.Generator, height: int, width: int) -> tuple[slice, slice]:
        rows, columns = self._sides(rng, height, width)
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        return slice(top, top + rows), slice(left, left + columns)

    def _sides(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
        if self.square:
            side = max(1, round(rng.uniform(*self.size) * min(height, width)))
            return side, side
        rows, columns = (max(1, round(rng.uniform(*self.size) * side)) for side in (height, width))
        return rows, columns


def cut(image: np.ndarray, boxes: list[tuple[slice, slice]], fill: int) -> np.ndarray:
    """A copy with the boxes (rows, columns) painted."""
    image = image.copy()
    for box in boxes:
        image[box] = fill
    return image


PIXEL: dict[str, type[Pixel]] = {
    "gaussian_blur": GaussianBlur,
    "median_blur": MedianBlur,
    "motion_blur": MotionBlur,
    "gaussian_noise": GaussianNoise,
    "cutout": Cutout,
}
"""The recipe's names."""
