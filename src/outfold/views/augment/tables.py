"""Colour steps: lookup tables, colour matrices, and how neighbours of one kind become one.

A step has `apply(image, out)`, uint8 (h, w, 3) to the same, where `out` may be the image itself, and
`then(following)`: the one step that equals both in turn, or None where two passes are needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

LEVELS = np.arange(256, dtype=np.float64)
GREY_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in grey: ITU-R BT.601."""


def to_levels(values: np.ndarray) -> np.ndarray:
    """Round to the nearest grey level and clip to 0..255, as uint8."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


IDENTITY = to_levels(LEVELS)


class ColourStep:
    """One pass over the colours of an image."""

    def apply(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """uint8 (h, w, 3) -> the same, written into `out` where it is given."""
        raise NotImplementedError

    def then(self, following: "ColourStep") -> "ColourStep | None":
        """One step for both, or None where each needs its own pass."""
        return None


def fuse(steps: Iterable[ColourStep]) -> list[ColourStep]:
    """Join neighbours as far as they can be joined."""
    fused: list[ColourStep] = []
    for step in steps:
        joined = fused[-1].then(step) if fused else None
        fused[-1:] = [joined] if joined is not None else [*fused[-1:], step]
    return fused


@dataclass(frozen=True)
class Table(ColourStep):
    """A lookup table uint8 (256,) for all channels. Joining tables is exact."""

    values: np.ndarray

    def apply(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Look every value up."""
        return cv2.LUT(image, self.values, dst=out)

    def then(self, following: ColourStep) -> ColourStep | None:
        """A table of the table's values."""
        return Table(following.values[self.values]) if isinstance(following, Table) else None


@dataclass(frozen=True)
class Contrast(ColourStep):
    """Each value v becomes factor * v + (1 - factor) * mean grey of the image; tables that follow join it.

    The mean is that of the image it meets, so a table before it is applied first.
    """

    factor: float
    following: Table = field(default_factory=lambda: Table(IDENTITY))

    def apply(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Measure the mean, then look every value up."""
        mean = float(GREY_WEIGHTS @ cv2.mean(image)[:3])
        table = Table(to_levels(self.factor * LEVELS + (1 - self.factor) * mean))
        return Table(self.following.values[table.values]).apply(image, out)

    def then(self, following: ColourStep) -> ColourStep | None:
        """The same contrast with a longer table."""
        joined = self.following.then(following)
        return Contrast(self.factor, joined) if isinstance(joined, Table) else None


@dataclass(frozen=True)
class Matrix(ColourStep):
    """A colour matrix float64 (3, 4): each channel becomes a weighted sum of the three and a constant, in 0..255.

    OpenCV keeps 10 bits of the weights: values are right to 0.75 of a grey level. Joined matrices round and clip once.
    """

    weights: np.ndarray

    def apply(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Multiply, round, clip."""
        return cv2.transform(image, self.weights, dst=out)

    def then(self, following: ColourStep) -> ColourStep | None:
        """The product."""
        if not isinstance(following, Matrix):
            return None
        product = following.weights[:, :3] @ self.weights
        product[:, 3] += following.weights[:, 3]
        return Matrix(product)


@dataclass(frozen=True)
class HueShift(ColourStep):
    """Turn the hue by this many whole turns, in floating point, as torchvision does."""

    turns: float

    def apply(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """RGB -> HSV, turn, and back."""
        hsv: np.ndarray = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] += 360 * (self.turns % 1)  # OpenCV takes angles beyond one turn, but not below 0
        rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        return cv2.convertScaleAbs(rgb, dst=out, alpha=255)

    def then(self, following: ColourStep) -> ColourStep | None:
        """Two turns are one."""
        return HueShift(self.turns + following.turns) if isinstance(following, HueShift) else None


@dataclass(frozen=True)
class HsvShift(ColourStep):
    """Shift hue (in 2 degrees, going round), saturation and value (clipped) in OpenCV's 8-bit HSV."""

    hue: float
    saturation: float
    value: float

    def apply(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """RGB -> HSV, three tables as one, and back."""
        tables = np.stack(
            [
                ((LEVELS + self.hue) % 180).astype(np.uint8),
                to_levels(LEVELS + self.saturation),
                to_levels(LEVELS + self.value),
            ],
            axis=-1,
        )
        hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables[None])
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB, dst=out)
