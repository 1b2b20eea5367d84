"""Transforms that bend the photo; `bend` joins them with the other geometry into one warp."""

from typing import Annotated

import cv2
import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from outfold.views.augment.base import Transform
from outfold.views.augment.bend import Displacement, Geometry, Lens, Stretch
from outfold.views.augment.geometry import Geometric
from outfold.views.augment.parameters import STRICT, NonNegative, Positive, Symmetric
from outfold.views.augment.warp import Affine

NODES_PER_SIGMA = 4
"""Nodes of an elastic field per standard deviation of its smoothing: linear in between is then right to 1 %."""


@dataclass(frozen=True, config=STRICT)
class OpticalDistortion(Geometric):
    """The barrel and pincushion of a lens; see `bend.Lens` for the formula."""

    limit: Symmetric = (-0.05, 0.05)
    """Range of the radial coefficients k1 = k2: positive shrinks towards the corners, negative enlarges."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Lens:
        """A coefficient, uniformly."""
        return Lens(height, width, k=rng.uniform(*self.limit))


@dataclass(frozen=True, config=STRICT)
class GridDistortion(Geometric):
    """Columns and rows of a grid, each stretched by its own factor; see `bend.Stretch`.

    The factors are not scaled to fill the frame: where they sum to more, the photo's reflection is seen at the far end,
    where they sum to less, the far end is cut off.
    """

    steps: Annotated[int, Field(ge=1)] = 5
    """Cells along each side."""
    limit: Symmetric = (-0.3, 0.3)
    """Range of a cell's factor minus one: 1 takes cells from a standstill to twice their content."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Stretch:
        """The factors of all columns, then of all rows, each uniformly."""
        columns, rows = 1 + rng.uniform(*self.limit, size=(2, self.steps))
        return Stretch(height, width, columns=tuple(columns.tolist()), rows=tuple(rows.tolist()))


@dataclass(frozen=True, config=STRICT)
class Elastic(Geometric):
    """Displace points by smoothed noise (Simard, 2003), and before that move three of them at random.

    A field is noise of mean 0 and variance 1/3 at every pixel (that of a number between -1 and 1), smoothed by a
    Gaussian and multiplied by `alpha`: displacements have a standard deviation of alpha / (2 sigma sqrt(3 pi)) pixels
    along each axis, 0.0098 for an alpha of 3 and a sigma of 50. With such values the three points make all that can be
    seen.
    """

    alpha: NonNegative = 1.0
    """Pixels by which the smoothed noise is multiplied."""
    sigma: Positive = 50.0
    """Standard deviation of the smoothing in pixels."""
    affine: NonNegative = 0.0
    """Furthest movement, along each axis, of three points a third of the shorter side from the centre, in pixels."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[Geometry, ...]:
        """The three points' movements, uniformly, and the field."""
        field = smooth_field(rng, height, width, self.sigma)
        displacement = Displacement(height, width, field=np.float32(self.alpha) * field, spacing=_spacing(self.sigma))
        return (anchored(rng, height, width, self.affine), displacement) if self.affine else (displacement,)


def smooth_field(rng: np.random.Generator, height: int, width: int, sigma: float) -> np.ndarray:
    """Smoothed noise float32 (rows, columns, 2) at nodes `_spacing(sigma)` pixels apart that cover the frame.

    A node stands for spacing^2 pixels: its noise is their mean, which is normal and has that much less variance.
    """
    spacing = _spacing(sigma)
    rows, columns = (int(np.ceil((side - 1) / spacing)) + 1 for side in (height, width))
    noise = rng.standard_normal((rows, columns, 2), dtype=np.float32) * np.float32(1 / np.sqrt(3) / spacing)
    return cv2.GaussianBlur(noise, (0, 0), sigma / spacing, borderType=cv2.BORDER_REFLECT)


def _spacing(sigma: float) -> float:
    return max(1.0, sigma / NODES_PER_SIGMA)


def anchored(rng: np.random.Generator, height: int, width: int, reach: float) -> Affine:
    """The affine step that moves three corners of a square about the centre by up to `reach` pixels along each axis."""
    arm = min(height, width) / 3
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    before = (centre + arm * np.array([[1, 1], [1, -1], [-1, -1]])).astype(np.float32)
    after = before + rng.uniform(-reach, reach, before.shape).astype(np.float32)
    matrix = cv2.getAffineTransform(after, before)
    return Affine(np.vstack([matrix, [0, 0, 1.0]]), height, width)


DISTORTIONS: dict[str, type[Transform]] = {
    "optical_distortion": OpticalDistortion,
    "grid_distortion": GridDistortion,
    "elastic": Elastic,
}
"""The recipe's names."""
