"""Sums of spectra over mel filters, compiled: every bin is read once or twice, and its power is never stored apart."""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def sum_bands(
    spectra: np.ndarray,
    magnitude: bool,
    first: np.ndarray,
    stop: np.ndarray,
    start: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the weighted sums of power, or of magnitude, of each frame.

    Args:
        spectra: complex64 or complex128 (frames, bins).
        magnitude: sum the square root of the power.
        first: int64 (mels,), as the other three those of `filters.Bands`.
        stop: int64 (mels,).
        start: int64 (mels,).
        weights: float32.
        out: float32 (mels, frames).
    """
    low, high = first.min(), stop.max()
    cells = np.empty(spectra.shape[1], np.float32)
    for frame in range(spectra.shape[0]):
        for i in range(low, high):
            value = spectra[frame, i]
            cells[i] = value.real * value.real + value.imag * value.imag
        if magnitude:
            for i in range(low, high):
                cells[i] = np.sqrt(cells[i])
        for mel in range(len(first)):
            total = np.float32(0)
            shift = start[mel] - first[mel]
            for i in range(first[mel], stop[mel]):
                total += cells[i] * weights[shift + i]
            out[mel, frame] = total
