"""Transforms that change each pixel by its own colour; `tables` says how neighbours join into one pass."""

from typing import Any, ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from outfold.views.augment.base import Transform
from outfold.views.augment.parameters import STRICT, Factor, PositiveFactor, Symmetric
from outfold.views.augment.tables import (
    GREY_WEIGHTS,
    LEVELS,
    ColourStep,
    Contrast,
    HsvShift,
    HueShift,
    Matrix,
    Table,
    to_levels,
)


class Colour(Transform):
    """A transform whose steps are joined with its neighbours'."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[ColourStep, ...]:
        """Draw parameters; the steps in order."""
        raise NotImplementedError


@dataclass(frozen=True, config=STRICT)
class ColorJitter(Colour):
    """Brightness, contrast, saturation and hue as torchvision defines them, rounded instead of cut off.

    torchvision shuffles their order. The first three commute but for clipping at black and white, so they are always
    applied in the order that needs one table: contrast, brightness, saturation, hue.
    """

    brightness: Factor = (1.0, 1.0)
    """Range of the factor."""
    contrast: Factor = (1.0, 1.0)
    """Range of the factor about the image's mean grey."""
    saturation: Factor = (1.0, 1.0)
    """Range of the factor about each pixel's grey."""
    hue: Symmetric = (0.0, 0.0)
    """Range of the turn of the colour circle, in whole turns: -0.5 to 0.5."""

    @classmethod
    def from_value(cls, value: Any) -> dict[str, Any]:
        """A scalar is for all but the hue."""
        return dict.fromkeys(("brightness", "contrast", "saturation"), value)

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[ColourStep, ...]:
        """Those of the four that the recipe asks for."""
        brightness, contrast, saturation = (
            rng.uniform(*bounds) for bounds in (self.brightness, self.contrast, self.saturation)
        )
        hue = rng.uniform(*self.hue)
        steps = (
            Contrast(contrast) if contrast != 1 else None,
            brightness_table(brightness) if brightness != 1 else None,
            saturation_matrix(saturation) if saturation != 1 else None,
            HueShift(hue) if hue != 0 else None,
        )
        return tuple(step for step in steps if step is not None)


def brightness_table(factor: float) -> Table:
    """A table of v -> factor * v."""
    return Table(to_levels(LEVELS * factor))


def saturation_matrix(factor: float) -> Matrix:
    """A matrix of c -> factor * c + (1 - factor) * grey, for each channel c."""
    weights = factor * np.eye(3) + (1 - factor) * GREY_WEIGHTS
    return Matrix(np.hstack([weights, np.zeros((3, 1))]))


@dataclass(frozen=True, config=STRICT)
class BrightnessContrast(Colour):
    """Each value v becomes (1 + contrast) * v + 255 * brightness."""

    brightness: Symmetric = (-0.2, 0.2)
    """Range of the shift as a share of white."""
    contrast: Symmetric = (-0.2, 0.2)
    """Range of the factor minus one, about black."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[ColourStep, ...]:
        """Both, uniformly."""
        brightness, contrast = rng.uniform(*self.brightness), rng.uniform(*self.contrast)
        return (Table(to_levels((1 + contrast) * LEVELS + 255 * brightness)),)


@dataclass(frozen=True, config=STRICT)
class Gamma(Colour):
    """Each value v becomes v ** gamma, on a scale of 0 to 1."""

    gamma: PositiveFactor = (0.8, 1.25)
    """Range of the exponent, drawn uniformly on a logarithmic scale."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[ColourStep, ...]:
        """An exponent."""
        exponent = np.exp(rng.uniform(*np.log(self.gamma)))
        return (Table(to_levels(255 * (LEVELS / 255) ** exponent)),)


@dataclass(frozen=True, config=STRICT)
class ToGrey(Colour):
    """All channels become the pixel's grey: 0.299 R + 0.587 G + 0.114 B."""

    p: ClassVar[float] = 0.1

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[ColourStep, ...]:
        """Nothing is drawn."""
        return (saturation_matrix(0.0),)


@dataclass(frozen=True, config=STRICT)
class HueSaturationValue(Colour):
    """Shifts in OpenCV's 8-bit HSV, where hue is in units of 2 degrees (0..179) and the others are 0..255."""

    hue: Symmetric = (-10.0, 10.0)
    saturation: Symmetric = (-20.0, 20.0)
    value: Symmetric = (-10.0, 10.0)

    @classmethod
    def from_value(cls, value: Any) -> dict[str, Any]:
        """A list gives hue, saturation and value; a scalar turns the hue alone."""
        values = value if isinstance(value, list | tuple) else (value, (0, 0), (0, 0))
        return dict(zip(cls.parameter_names(), values, strict=True))

    def sample(self, rng: np.random.Generator, height: int, width: int) -> tuple[ColourStep, ...]:
        """Three shifts, each uniformly."""
        return (HsvShift(*(rng.uniform(*bounds) for bounds in (self.hue, self.saturation, self.value))),)


COLOUR: dict[str, type[Colour]] = {
    "color_jitter": ColorJitter,
    "brightness_contrast": BrightnessContrast,
    "gamma": Gamma,
    "to_gray": ToGrey,
    "hue_saturation_value": HueSaturationValue,
}
"""The recipe's names."""
