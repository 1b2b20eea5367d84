"""Before and after the Fourier transform, compiled: cutting frames, and summing spectra over mel filters.

Frames lie next to one another in memory, so that all inner loops run along them and are vectorised; every bin is read
by the one or two filters that it belongs to.
"""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, error_model="numpy")
def cut_frames(clip: np.ndarray, window: np.ndarray, hop: int, begin: int, out: np.ndarray) -> None:
    """Write some frames of a clip, each times the window, and zeros below.

    Args:
        clip: float32 (n,).
        window: float64 (w,).
        hop: samples from one frame to the next.
        begin: number of the first frame.
        out: float64 (at least w, frames), contiguous.
    """
    for i in range(len(window)):
        for frame in range(out.shape[1]):
            out[i, frame] = clip[(begin + frame) * hop + i] * window[i]
    out[len(window) :] = 0


@njit(nogil=True, cache=True, error_model="numpy")
def sum_bands(
    spectra: np.ndarray,
    magnitude: bool,
    first: np.ndarray,
    stop: np.ndarray,
    start: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
    begin: int,
) -> None:
    """Write the weighted sums of the power, or of the magnitude, of some frames.

    Args:
        spectra: complex128 (bins, n), contiguous.
        magnitude: sum the square root of the power.
        first: int64 (mels,), as the other three those of `filters.Bands`.
        stop: int64 (mels,).
        start: int64 (mels,).
        weights: float32.
        out: float32 (mels, frames), contiguous.
        begin: where in `out` the n frames belong.
    """
    cells = _cells(spectra, magnitude, first.min(), stop.max())
    total = np.empty(spectra.shape[1], np.float32)
    for mel in range(len(first)):
        total[:] = 0
        for i in range(first[mel], stop[mel]):
            weight = weights[start[mel] + i - first[mel]]
            for frame in range(len(total)):
                total[frame] += weight * cells[i, frame]
        out[mel, begin : begin + len(total)] = total


@njit(nogil=True, cache=True, error_model="numpy")
def _cells(spectra: np.ndarray, magnitude: bool, low: int, high: int) -> np.ndarray:
    """Power or magnitude, float32 (bins, n), of the bins from low to high; the others are left as memory has them."""
    cells = np.empty(spectra.shape, np.float32)
    for i in range(low, high):
        for frame in range(spectra.shape[1]):
            value = spectra[i, frame]
            cells[i, frame] = value.real * value.real + value.imag * value.imag
        if magnitude:
            for frame in range(spectra.shape[1]):
                cells[i, frame] = np.sqrt(cells[i, frame])
    return cells
