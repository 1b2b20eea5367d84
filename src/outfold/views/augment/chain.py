"""A recipe's list of transforms as one function from a photo to model input, with as few passes as it can.

Geometry and colour commute (a pixel's new colour does not depend on where the pixel goes), so between two transforms
that look at neighbours all geometry is done first, as one warp, distortions included, and all colour after it, as one
lookup table and at most one colour matrix. A CLAHE is a colour table that changes from place to place (`clahe`): it is
measured on the image as it stands where the recipe has it, and applied after the warp with the rest.

Exact: flips, turns by 90 degrees, whole-pixel crops, joined tables, and blur and noise, which are done where they
stand. Different from one step after another: interpolation is done once, where the steps would blur and round each
time, and before the colours instead of among them; a window cut from a photo, or a photo moved after a turn, shows the
photo's own pixels at its borders instead of a reflection; contrast is measured on what remains visible; a large CLAHE
is measured on a quarter of the pixels.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from outfold.views.augment.base import Transform
from outfold.views.augment.bend import Distortion, Geometry, warp
from outfold.views.augment.clahe import Equalise, LocalTables
from outfold.views.augment.geometry import Fit, Geometric, Sized
from outfold.views.augment.parse import parse_transform
from outfold.views.augment.tables import ColourStep, fuse
from outfold.views.augment.warp import Affine, compose
from outfold.views.sizes import Size


@dataclass(frozen=True)
class Maybe:
    """A transform and its chance of being applied."""

    transform: Transform
    p: float


@dataclass(frozen=True)
class Chain:
    """Transforms in order; the same generator state gives the same image, from any thread.

    Nothing global is touched. A process that runs chains in several threads should call cv2.setNumThreads(1), or
    OpenCV's own threads compete with them.
    """

    transforms: tuple[Maybe, ...]

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 RGB (H, W, 3) -> a new uint8 (h, w, 3), contiguous."""
        return apply(image, self.sample(rng, *image.shape[:2]))

    def sample(self, rng: np.random.Generator, height: int, width: int) -> list["Step"]:
        """Draw all parameters for an image of this size."""
        steps: list[Step] = []
        for maybe in self.transforms:
            if maybe.p < 1 and rng.random() >= maybe.p:
                continue
            drawn = maybe.transform.sample(rng, height, width)
            for step in drawn if isinstance(drawn, tuple) else (drawn,):
                if isinstance(step, Affine):
                    height, width = step.height, step.width
                steps.append(step)
        return steps


Step = Geometry | ColourStep | Equalise | Callable[[np.ndarray], np.ndarray]


def apply(image: np.ndarray, steps: Iterable[Step]) -> np.ndarray:
    """Apply drawn steps to uint8 (H, W, 3)."""
    canvas = Canvas(image)
    for step in steps:
        canvas.add(step)
    return canvas.finish()


class Canvas:
    """An image and the steps that wait to be joined."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.geometry: list[Geometry] = []
        self.colour: list[ColourStep] = []
        self.before_tables = 0
        """Geometric steps before the place-dependent tables, where there are such."""

    def add(self, step: Step) -> None:
        """Let the step wait, or do it where it cannot."""
        if isinstance(step, Affine | Distortion):
            if isinstance(step, Distortion) and self._has_tables():
                self.finish()  # a pixel's place before the distortion would not follow from a matrix
            self.geometry.append(step)
        elif isinstance(step, ColourStep):
            self.colour.append(step)
        elif isinstance(step, Equalise):
            self._measure(step)
        else:
            self.image = step(self.finish())

    def finish(self) -> np.ndarray:
        """Do what waits, in one warp and as few colour passes as possible."""
        own = bool(self.geometry)
        colour = [self._place(step) for step in self.colour]
        if own:
            self.image = warp(self.image, self.geometry)
        for step in fuse(colour):
            self.image = step.apply(self.image, out=self.image if own else None)
            own = True
        self.geometry, self.colour = [], []
        return self.image

    def _has_tables(self) -> bool:
        return any(isinstance(step, LocalTables) for step in self.colour)

    def _measure(self, step: Equalise) -> None:
        """Make the tables from the image as it stands, of which only the pixels at a stride are made."""
        if self._has_tables():
            self.finish()
        sample = self.image[:: step.stride, :: step.stride]
        if self.geometry:
            sample = warp(self.image, self.geometry, step.stride)
        for colour in fuse(self.colour):
            sample = colour.apply(sample)
        self.before_tables = len(self.geometry)
        self.colour.append(step.measure(sample))

    def _place(self, step: ColourStep) -> ColourStep:
        later = [each for each in self.geometry[self.before_tables :] if isinstance(each, Affine)]
        return step.seen_through(compose(later)) if isinstance(step, LocalTables) and later else step


def build_chain(augment: Sequence[str | dict[str, Any]], *, size: Size, crop_pct: float = 1.0) -> Chain:
    """The chain of a recipe's `augment`, ending at `size`.

    After the last geometric transform the image is fitted to `size` (height, width) as validation does: resized to
    cover it and cut to the centre. `crop_pct` is the share that this centre keeps, and only counts in a chain in which
    nothing cuts windows at random.

    Raises:
        RecipeError: an unknown transform or parameter (with the nearest name), or a value out of range.
    """
    transforms = [Maybe(*parse_transform(item, size)) for item in augment]
    cuts = any(_has(maybe, Sized) for maybe in transforms)
    fit = Maybe(Fit(crop_pct=1.0 if cuts else crop_pct, size=size), 1.0)
    geometric = [i for i, maybe in enumerate(transforms) if _has(maybe, Geometric)]
    place = geometric[-1] + 1 if geometric else 0
    return Chain((*transforms[:place], fit, *transforms[place:]))


def _has(maybe: Maybe, kind: type[Transform]) -> bool:
    return any(isinstance(leaf, kind) for leaf in maybe.transform.leaves())
