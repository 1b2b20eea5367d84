"""Contrast-limited adaptive histogram equalisation (CLAHE) as a table that changes from place to place.

A CLAHE has two halves: to measure a table of lightness for each tile of the image it meets, and to look every pixel up
in the tables of the four tiles around it. The second half is a change of colour that depends on the place, so it
commutes with geometry as any colour does, if the place is carried along. Geometry before and after it is therefore one
warp; the tables are measured on a sample of the image as it stands in between, and pixels are looked up once, at the
output's size.
"""

from dataclasses import dataclass as plain_dataclass
from dataclasses import field, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from outfold.views.augment.base import Transform
from outfold.views.augment.parameters import STRICT, UpTo
from outfold.views.augment.tables import ColourStep
from outfold.views.augment.warp import Affine

SAMPLED_SIDE = 64
"""Tiles of this many pixels a side, and larger ones, are measured on every second pixel of every second row."""


@dataclass(frozen=True, config=STRICT)
class Clahe(Transform):
    """Contrast-limited adaptive histogram equalisation of the lightness (CIE L*), on a grid of tiles.

    Tables as OpenCV makes them, on L* in 256 levels; a* and b* are kept, in floating point.
    """

    clip_limit: UpTo = (1.0, 4.0)
    """Range of the limit, in multiples of a flat histogram's count; a scalar v means [0, v]."""
    tiles: Annotated[int, Field(ge=1)] = 8
    """Tiles along each side."""

    p: ClassVar[float] = 0.5

    def sample(self, rng: np.random.Generator, height: int, width: int) -> "Equalise":
        """A limit."""
        return Equalise(height, width, clip_limit=rng.uniform(*self.clip_limit), tiles=self.tiles)


@plain_dataclass(frozen=True)
class Equalise:
    """What is to be done with an image of height x width pixels, before it is measured."""

    height: int
    width: int
    clip_limit: float
    tiles: int

    @property
    def stride(self) -> int:
        """Which rows and columns are measured: every one, or every second one where tiles are large."""
        return 2 if min(self.height, self.width) >= SAMPLED_SIDE * self.tiles else 1

    def measure(self, sample: np.ndarray) -> "LocalTables":
        """The tables, from the image's pixels uint8 (h, w, 3) at multiples of the stride."""
        from outfold.views.augment.lightness import tile_tables

        tables = tile_tables(sample, self.tiles, self.clip_limit, weight=self.stride**2)
        return LocalTables(tables, (self.height, self.width))


@plain_dataclass(frozen=True)
class LocalTables(ColourStep):
    """Look the lightness of each pixel up in the tables of the four tiles around it, linearly in between.

    Attributes:
        tables: float32 (tiles, tiles, 256): new lightness, 0..255, for each old one.
        frame: height and width of the image that the tiles divide.
        matrix: float64 (3, 3), index (x, y, 1) in the image that is looked up -> index in the frame.
    """

    tables: np.ndarray
    frame: tuple[int, int]
    matrix: np.ndarray = field(default_factory=lambda: np.eye(3))

    def seen_through(self, later: Affine) -> "LocalTables":
        """The same tables for the image as a later step shows it."""
        return replace(self, matrix=self.matrix @ later.matrix)

    def apply(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """One pass."""
        from outfold.views.augment.lightness import look_up

        return look_up(image, self.tables, self.frame, self.matrix, np.empty_like(image) if out is None else out)
