"""Inputs: what a model is fed by name. Each knows how to read a row and how to bring a batch to the model.

A later input (log-mel audio, a waveform, a table row, a given vector) is another class with these two methods.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from outfold.settings.view import ImageView
from outfold.views.augment import build_chain
from outfold.views.batches import InMemory
from outfold.views.image import evaluate, normalise

Size = tuple[int, int]


class Input(Protocol):
    """One named input of a network."""

    def reader(self, *, augment: bool, size: Size | None = None) -> Callable[[int, np.random.Generator], np.ndarray]:
        """How one row is read: at random for training, or the same way every time."""
        ...

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """A batch of what the reader gave, already on the device, as float32 model input.

        In training `rng` decides what is drawn at random here, where a view has such a thing; None draws nothing.
        """
        ...


class PhotoSource(Protocol):
    """Photos by row, uint8 (h, w, 3)."""

    def __getitem__(self, row: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class ImageInput:
    """Photos: read from the cache, augmented as uint8, normalised on the device.

    Attributes:
        photos: the cached photos, one per row of the table.
        view: size and way of resizing.
        augment: the recipe's transforms, in order.
        mean: per channel on a 0..1 scale.
        std: per channel on a 0..1 scale.
    """

    photos: PhotoSource
    view: ImageView
    augment: tuple[str | dict[str, Any], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def reader(self, *, augment: bool, size: Size | None = None) -> Callable[[int, np.random.Generator], np.ndarray]:
        """A function (row, generator) -> uint8 (h, w, 3)."""
        height_width = size or self.view.height_width
        if not augment:
            return lambda row, generator: evaluate(self.photos[row], self.view, height_width)
        crop_pct = self.view.crop_pct if self.view.resize == "crop" else 1.0
        chain = build_chain(self.augment, size=height_width, crop_pct=crop_pct)
        return lambda row, generator: chain(self.photos[row], generator)

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """uint8 (b, h, w, 3) -> float32 (b, 3, h, w), channels last in memory, normalised."""
        return normalise(batch.permute(0, 3, 1, 2), self.mean, self.std)


@dataclass(frozen=True)
class JoinedInput:
    """The rows of one table, and below them those of another.

    Attributes:
        first: of the first table.
        second: of the other, brought to the model as the first is.
        count: rows of the first table.
    """

    first: Input
    second: Input
    count: int

    def reader(self, *, augment: bool, size: Size | None = None) -> Callable[[int, np.random.Generator], np.ndarray]:
        """A function (row, generator) -> what the row's own table gives."""
        first, second = (part.reader(augment=augment, size=size) for part in (self.first, self.second))
        if isinstance(first, InMemory) and isinstance(second, InMemory):
            return InMemory(np.concatenate([first.rows, second.rows]))
        return lambda row, generator: first(row, generator) if row < self.count else second(row - self.count, generator)

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """The batch as the first table's input makes it."""
        return self.first.to_model(batch, rng)


@dataclass(frozen=True)
class VectorInput:
    """Rows of a float32 matrix (n, f), such as given vectors, or the cached features of a frozen backbone.

    Attributes:
        vectors: the rows.
        noise: deviation of the Gaussian noise that training adds to each number.
    """

    vectors: np.ndarray
    noise: float = 0.0

    def reader(self, *, augment: bool, size: Size | None = None) -> Callable[[int, np.random.Generator], np.ndarray]:
        """A function (row, generator) -> float32 (f,); without noise there is nothing random about a vector."""
        if not augment or self.noise == 0:
            return InMemory(self.vectors)

        def read(row: int, generator: np.random.Generator) -> np.ndarray:
            drawn = generator.standard_normal(self.vectors.shape[1], dtype=np.float32)
            return self.vectors[row] + np.float32(self.noise) * drawn

        return read

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """The batch as it is."""
        return batch


@dataclass(frozen=True)
class DrawnInput:
    """Rows of which training sees one of two readings each time; everything else sees the first alone.

    Attributes:
        first: what predictions and plain views read.
        second: brought to the model as the first is.
        chance: how often training draws the second, 0 to 1.
    """

    first: Input
    second: Input
    chance: float = 0.5

    def reader(self, *, augment: bool, size: Size | None = None) -> Callable[[int, np.random.Generator], np.ndarray]:
        """A function (row, generator) -> what either reading gives."""
        first = self.first.reader(augment=augment, size=size)
        if not augment:
            return first
        second = self.second.reader(augment=augment, size=size)

        def read(row: int, generator: np.random.Generator) -> np.ndarray:
            # A stream of its own: the generators of all inputs of a row start alike, and the draw that flips its photo
            # must not decide this too.
            drawn = generator.spawn(1)[0].random() < self.chance
            return second(row, generator) if drawn else first(row, generator)

        return read

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """The batch as the first reading makes it."""
        return self.first.to_model(batch, rng)
