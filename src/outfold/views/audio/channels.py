"""From log-mel pictures to the channels of an image model: tensors (b, h, w) to (b, c, h, w).

Height is frequency, its first row the lowest; width is time.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from scipy import signal
from torch import Tensor
from torch.nn import functional as F

from outfold.errors import DataError

Channels = Callable[[Tensor], Tensor]
"""Pictures (b, h, w) -> channels (b, c, h, w)."""

DELTA_WIDTH = 9
"""Frames that a slope is fitted to."""


def single(pictures: Tensor) -> Tensor:
    """One channel: (b, 1, h, w)."""
    return pictures[:, None]


def repeated(pictures: Tensor, count: int = 3) -> Tensor:
    """The picture as often as an image model has colours: (b, count, h, w), without a copy."""
    return pictures[:, None].expand(-1, count, -1, -1)


def with_ramp(pictures: Tensor) -> Tensor:
    """The picture twice and a ramp along frequency, 0 in the lowest row and 1 in the highest: (b, 3, h, w).

    The ramp tells a network without a sense of place how high a sound is.
    """
    ramp = torch.linspace(0, 1, pictures.shape[-2], dtype=pictures.dtype, device=pictures.device)
    return torch.stack([pictures, pictures, ramp[:, None].expand_as(pictures)], dim=1)


def with_deltas(pictures: Tensor, width: int = DELTA_WIDTH) -> Tensor:
    """The picture, its slope over time and its curvature: (b, 3, h, w); see `delta`.

    Raises:
        DataError: fewer frames than `width`.
    """
    return torch.stack([pictures, delta(pictures, width, order=1), delta(pictures, width, order=2)], dim=1)


def delta(pictures: Tensor, width: int = DELTA_WIDTH, *, order: int = 1) -> Tensor:
    """The derivative over time of a polynomial fitted to each frame's surroundings, as `librosa.feature.delta`.

    A Savitzky-Golay filter whose polynomial has the degree of the derivative, so that the derivative is the same all
    over the fit: the first and last `width` // 2 frames take it from the first and the last whole fit.

    Args:
        pictures: float (b, h, w).
        width: frames of a fit, an odd number above `order`.
        order: 1 is the slope a frame, 2 the second derivative.

    Raises:
        DataError: fewer frames than `width`.
    """
    if pictures.shape[-1] < width:
        expected = f"at least {width}, the width of the fit"
        raise DataError("a log-mel is too short for its deltas", got=f"{pictures.shape[-1]} frames", expected=expected)
    kernel = torch.from_numpy(_derivative(width, order)).to(pictures)
    rows = pictures.reshape(-1, 1, pictures.shape[-1])
    fitted = F.conv1d(rows, kernel[None, None])
    return F.pad(fitted, (width // 2, width // 2), mode="replicate").view_as(pictures)


@lru_cache(maxsize=8)
def _derivative(width: int, order: int) -> np.ndarray:
    """Float64 (width,): weights of the frames in a derivative, for a correlation."""
    return signal.savgol_coeffs(width, order, deriv=order, use="dot")


CHANNELS: dict[str, Channels] = {
    "single": single,
    "repeat": repeated,
    "ramp": with_ramp,
    "deltas": with_deltas,
}
"""Name -> a function of pictures (b, h, w)."""
