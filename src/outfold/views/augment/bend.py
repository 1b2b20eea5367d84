"""Geometry that bends, joined with its neighbours into one resampling.

A bending step has a size, which it keeps, and says for any output point where in its input it reads. A chain of steps
is followed from the last to the first, for all output pixels at once: that gives a dense map of float32 coordinates,
exact but for float32, and cv2.remap reads the photo once.

Beyond a bending step's frame its input's reflection is shown (`dcb|abcd|cba`), as if the step had been done by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from outfold.views.augment.warp import BORDER, Affine, compose, render, shrink, warp_affine

Points = tuple[np.ndarray, np.ndarray]
"""Coordinates x and y, float32 (h, w) each."""


@dataclass(frozen=True)
class Distortion:
    """One bending step on a frame of height x width pixels."""

    height: int
    width: int

    def locate(self, x: np.ndarray, y: np.ndarray) -> None:
        """Replace output points, float32 arrays of one shape, by the points of the input that they read.

        Points beyond the frame read what their reflection inside it reads.
        """
        raise NotImplementedError


Geometry = Affine | Distortion
IDENTITY = np.eye(3)


def warp(image: np.ndarray, steps: Sequence[Geometry], stride: int = 1) -> np.ndarray:
    """Do all steps in one resampling: uint8 (H, W, 3) -> a new uint8 (h, w, 3).

    Where the affine steps shrink by 2 or more, the photo is first averaged over boxes, as `render` does.

    Args:
        image: uint8 (H, W, 3).
        steps: at least one.
        stride: make only every pixel whose row and column are multiples of this.
    """
    affine = [step for step in steps if isinstance(step, Affine)]
    if len(affine) == len(steps) and stride == 1:
        return render(image, compose(affine))
    image, to_boxes = shrink(image, compose(affine).matrix if affine else IDENTITY)
    last = steps[-1]
    spread = Affine(np.diag([stride, stride, 1.0]), -(-last.height // stride), -(-last.width // stride))
    path = join([Affine(to_boxes, *image.shape[:2]), *steps, spread])
    if isinstance(only := path[0], Affine) and len(path) == 1:
        return warp_affine(image, only.matrix, only.height, only.width)
    return _read(image, *dense_map(path))


def join(steps: Sequence[Geometry]) -> list[Geometry]:
    """The same steps: neighbouring affine ones as one, and none but the last, whose size counts, that moves nothing."""
    joined: list[Geometry] = []
    for step in steps:
        before = joined[-1] if joined else None
        if isinstance(step, Affine) and isinstance(before, Affine):
            joined[-1] = compose([before, step])
        else:
            joined.append(step)
    return [*(step for step in joined[:-1] if not _is_identity(step)), joined[-1]]


def _is_identity(step: Geometry) -> bool:
    return isinstance(step, Affine) and np.array_equal(step.matrix, IDENTITY)


def dense_map(steps: Sequence[Geometry]) -> Points:
    """Float32 (h, w) each: the input coordinates that every output pixel reads."""
    from outfold.views.augment import maps

    *earlier, last = steps
    matrix = last.matrix if isinstance(last, Affine) else IDENTITY
    x, y = maps.grid(matrix.astype(np.float32), last.height, last.width)
    for step in reversed(earlier if isinstance(last, Affine) else steps):
        if isinstance(step, Affine):
            maps.transform(x, y, step.matrix.astype(np.float32))
        else:
            step.locate(x, y)
    return x, y


def _read(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear. Through four channels, because OpenCV's kernel for four is 2.3 times as fast as for three."""
    from outfold.views.augment import maps

    maps.fold(x, y, *image.shape[:2])
    pixels = cv2.remap(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), x, y, cv2.INTER_LINEAR, borderMode=BORDER)
    return cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB)


@dataclass(frozen=True)
class Lens(Distortion):
    """The radial distortion of a camera: a point at (u, v) from the centre reads at (1 + k r^2 + k r^4) (u, v).

    u is in widths, v in heights, and r^2 = u^2 + v^2: Brown's model as in OpenCV's calibration, with the focal lengths
    equal to the sides and both radial coefficients equal to k.
    """

    k: float

    def locate(self, x: np.ndarray, y: np.ndarray) -> None:
        """In closed form."""
        from outfold.views.augment import maps

        maps.bend_radially(x, y, self.height, self.width, self.k)


@dataclass(frozen=True)
class Stretch(Distortion):
    """A grid of equal cells whose columns and rows are stretched; the upper left corner stays.

    Attributes:
        columns: the factors of the cells from left to right: how much input width one pixel of the cell spans.
        rows: the same from the top down.
    """

    columns: tuple[float, ...]
    rows: tuple[float, ...]

    def locate(self, x: np.ndarray, y: np.ndarray) -> None:
        """Each axis by itself."""
        from outfold.views.augment import maps

        maps.stretch(x, self.width, np.array(self.columns, dtype=np.float32))
        maps.stretch(y, self.height, np.array(self.rows, dtype=np.float32))


@dataclass(frozen=True)
class Displacement(Distortion):
    """A field of displacements, given on a grid of nodes and linear in between.

    Attributes:
        field: float32 (rows, columns, 2) in pixels: how far right and how far down of itself a point reads.
        spacing: pixels between nodes; the first node is the first pixel, and the nodes reach the last.
    """

    field: np.ndarray
    spacing: float

    def locate(self, x: np.ndarray, y: np.ndarray) -> None:
        """The point and its displacement."""
        from outfold.views.augment import maps

        maps.displace(x, y, self.height, self.width, self.field, self.spacing)
