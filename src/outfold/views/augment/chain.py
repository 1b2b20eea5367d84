"""A recipe's list of transforms as one function from a photo to model input, with as few passes as it can.

Geometry and colour commute (a pixel's new colour does not depend on where the pixel goes), so between two transforms
that look at neighbours all geometry is done first, as one warp, and all colour after it, as one lookup table and at
most one colour matrix. Two consequences: a window cut from a photo and then turned shows the photo's own pixels at its
corners instead of a reflection; and contrast is measured on what remains visible.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from outfold.views.augment.base import Transform
from outfold.views.augment.geometry import Fit, Geometric, Sized
from outfold.views.augment.parse import parse_transform
from outfold.views.augment.tables import ColourStep, fuse
from outfold.views.augment.warp import Affine, compose, render
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
            if isinstance(drawn, Affine):
                height, width = drawn.height, drawn.width
            steps.extend(drawn if isinstance(drawn, tuple) else [drawn])
        return steps


Step = Affine | ColourStep | Callable[[np.ndarray], np.ndarray]


@dataclass
class _Pending:
    """Steps that wait to be joined."""

    geometry: list[Affine] = field(default_factory=list)
    colour: list[ColourStep] = field(default_factory=list)

    def flush(self, image: np.ndarray) -> np.ndarray:
        """Do what waits, in one warp and as few colour passes as possible."""
        own = bool(self.geometry)
        if own:
            image = render(image, compose(self.geometry))
        for step in fuse(self.colour):
            image = step.apply(image, out=image if own else None)
            own = True
        self.geometry, self.colour = [], []
        return image


def apply(image: np.ndarray, steps: Iterable[Step]) -> np.ndarray:
    """Apply drawn steps to uint8 (H, W, 3)."""
    pending = _Pending()
    for step in steps:
        if isinstance(step, Affine):
            pending.geometry.append(step)
        elif isinstance(step, ColourStep):
            pending.colour.append(step)
        else:
            image = step(pending.flush(image))
    return pending.flush(image)


def build_chain(augment: Sequence[str | dict[str, Any]], *, size: Size, crop_pct: float = 1.0) -> Chain:
    """The chain of a recipe's `augment`, ending at `size`.

    After the last geometric transform the image is fitted to `size` (height, width) as validation does: resized to
    cover it and cut to the centre. `crop_pct` is the share that this centre keeps, and only counts in a chain in which
    nothing cuts windows at random.

    Raises:
        RecipeError: an unknown transform or parameter (with the nearest name), or a value out of range.
    """
    transforms = [Maybe(*parse_transform(item, size)) for item in augment]
    cuts = any(isinstance(maybe.transform, Sized) for maybe in transforms)
    fit = Maybe(Fit(crop_pct=1.0 if cuts else crop_pct, size=size), 1.0)
    geometric = [i for i, maybe in enumerate(transforms) if isinstance(maybe.transform, Geometric)]
    place = geometric[-1] + 1 if geometric else 0
    return Chain((*transforms[:place], fit, *transforms[place:]))
