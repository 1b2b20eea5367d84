"""Mel filter banks.

HTK's scale: Young et al., "The HTK Book", section 5.4. Slaney's scale and norm: Slaney, "Auditory Toolbox", 1998.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from outfold.settings.mel import LogMel, Scale

HTK_FACTOR, HTK_CORNER = 2595.0, 700.0
"""mel = 2595 log10(1 + Hz / 700)."""
SLANEY_STEP, SLANEY_CORNER, SLANEY_LOG_STEP = 200.0 / 3.0, 1000.0, np.log(6.4) / 27.0
"""Hz a mel below the corner in Hz; above it, a mel multiplies the frequency by exp(step)."""


def to_mel(hz: np.ndarray, scale: Scale) -> np.ndarray:
    """Frequencies in Hz, float64 of any shape, as mels."""
    if scale == "htk":
        return HTK_FACTOR * np.log10(1.0 + hz / HTK_CORNER)
    above = np.maximum(hz, SLANEY_CORNER)  # the logarithm is only used above the corner, but taken everywhere
    bent = SLANEY_CORNER / SLANEY_STEP + np.log(above / SLANEY_CORNER) / SLANEY_LOG_STEP
    return np.where(hz < SLANEY_CORNER, hz / SLANEY_STEP, bent)


def to_hz(mel: np.ndarray, scale: Scale) -> np.ndarray:
    """Mels, float64 of any shape, as frequencies in Hz."""
    if scale == "htk":
        return HTK_CORNER * (10.0 ** (mel / HTK_FACTOR) - 1.0)
    corner = SLANEY_CORNER / SLANEY_STEP
    bent = SLANEY_CORNER * np.exp(SLANEY_LOG_STEP * (np.maximum(mel, corner) - corner))
    return np.where(mel < corner, mel * SLANEY_STEP, bent)


@lru_cache(maxsize=32)
def mel_filters(settings: LogMel) -> np.ndarray:
    """The filter bank, float64 (mels, bins), read-only: triangles whose feet are their neighbours' peaks.

    The feet and peaks are `mels` + 2 points at equal distances in mels from `f_min` to `f_max`. With slopes along mels
    bin 0 counts for nothing, as in TensorFlow.
    """
    scale = settings.scale
    low, high = to_mel(np.array([settings.f_min, settings.upper]), scale)
    corners = np.linspace(low, high, settings.mels + 2)
    corners_hz = to_hz(corners, scale)
    bins = np.arange(settings.bins) * settings.sample_rate / settings.n_fft
    if settings.slope == "hz":
        filters = triangles(bins, corners_hz)
    else:
        filters = triangles(to_mel(bins, scale), corners)
        filters[:, 0] = 0.0
    if settings.norm == "slaney":
        filters *= (2.0 / (corners_hz[2:] - corners_hz[:-2]))[:, None]
    filters.setflags(write=False)
    return filters


def triangles(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Float64 (len(corners) - 2, len(points)): each triangle rises from 0 at one corner to 1 at the next, and falls."""
    steps = np.diff(corners)
    rising = (points - corners[:-2, None]) / steps[:-1, None]
    falling = (corners[2:, None] - points) / steps[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


def empty_filters(settings: LogMel) -> np.ndarray:
    """Rows that are silent whatever is heard, int64: filters so narrow that no bin of the spectrum falls into them."""
    return np.flatnonzero(~mel_filters(settings).any(axis=1))


class Bands(NamedTuple):
    """A filter bank without its zeros.

    Attributes:
        first: int64 (mels,), each filter's first bin.
        stop: int64 (mels,), the bin after its last.
        start: int64 (mels,), where its weights begin.
        weights: float32, all filters' weights one after another.
    """

    first: np.ndarray
    stop: np.ndarray
    start: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=32)
def mel_bands(settings: LogMel) -> Bands:
    """The filter bank of the settings as bands: two weights a bin in place of one for every filter."""
    filters = mel_filters(settings)
    hit = filters > 0
    first = hit.argmax(axis=1)
    stop = np.where(hit.any(axis=1), settings.bins - hit[:, ::-1].argmax(axis=1), first)
    start = np.concatenate([[0], np.cumsum(stop - first)[:-1]])
    weights = np.concatenate([row[a:b] for row, a, b in zip(filters, first, stop, strict=True)])
    return Bands(first, stop, start, weights.astype(np.float32))
