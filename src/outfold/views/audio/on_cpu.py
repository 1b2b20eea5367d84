"""Log-mel pictures from arrays, clip by clip: for threads that read ahead, and for inference without an accelerator.

The Fourier transform, the sums over filters and NumPy's loops all release the GIL.
"""

from functools import lru_cache

import numpy as np
from scipy import fft, signal

from outfold.views.audio.bands import sum_bands
from outfold.views.audio.filters import mel_bands
from outfold.views.audio.mel import Decibels, LogMel, NaturalLog
from outfold.views.audio.resize import resize_picture

CHUNK = 64
"""Frames that are transformed at once: few enough to stay in a core's cache."""
PAD_MODES = {"zero": "constant", "reflect": "reflect"}
"""Our names of paddings -> numpy.pad's."""


def log_mel(waveform: np.ndarray, settings: LogMel) -> np.ndarray:
    """The log-mel picture of a clip, or of each clip of a batch.

    Equal to librosa's `power_to_db(melspectrogram(...))` to 1e-3 dB; see `LogMel` for what librosa does not have.

    Args:
        waveform: float32 (n,) or (b, n), at the settings' sample rate.
        settings: see `LogMel`.

    Returns:
        Float32 (mels, frames) or (b, mels, frames); with `size`, (height, width) in their place.

    Raises:
        DataError: the clips are too short for a frame.
    """
    clips = waveform.reshape(-1, waveform.shape[-1])
    pictures = np.empty((len(clips), settings.mels, settings.frames(clips.shape[1])), np.float32)
    for clip, picture in zip(clips, pictures, strict=True):
        _mel_sums(clip, settings, picture)
        _to_level(picture, settings)
    if settings.size is not None:
        pictures = resize_picture(pictures, settings.size)
    return pictures.reshape(*waveform.shape[:-1], *pictures.shape[1:])


@lru_cache(maxsize=32)
def hann(length: int) -> np.ndarray:
    """The periodic Hann window of spectral analysis, read-only."""
    window = signal.get_window("hann", length).astype(np.float32)
    window.setflags(write=False)
    return window


def _mel_sums(clip: np.ndarray, settings: LogMel, out: np.ndarray) -> None:
    """Fill (mels, frames) with each filter's sum of power or magnitude.

    A frame's window stands at the beginning of its transform, not in the middle: that turns phases alone.
    """
    windows = np.lib.stride_tricks.sliding_window_view(_padded(clip, settings), settings.window)[:: settings.hop]
    bands, magnitude = mel_bands(settings), settings.spectrum == "magnitude"
    buffer = np.zeros((min(CHUNK, out.shape[1]), settings.n_fft), np.float32)
    for begin in range(0, out.shape[1], CHUNK):
        part = out[:, begin : begin + CHUNK]
        count = part.shape[1]
        np.multiply(windows[begin : begin + count], hann(settings.window), out=buffer[:count, : settings.window])
        sum_bands(fft.rfft(buffer[:count]), magnitude, *bands, part)


def _padded(clip: np.ndarray, settings: LogMel) -> np.ndarray:
    """The clip from the first frame's window to the last one's, float32."""
    clip = clip.astype(np.float32, copy=False)
    if settings.padding == "none":
        return clip
    return np.pad(clip, settings.lead, mode=PAD_MODES[settings.padding])


def _to_level(picture: np.ndarray, settings: LogMel) -> None:
    """Replace sums by scaled levels."""
    level = settings.level
    if isinstance(level, NaturalLog):
        np.log(np.add(picture, level.offset, out=picture), out=picture)
    else:
        _to_decibels(picture, level, magnitude=settings.spectrum == "magnitude")
    if (settings.subtract, settings.divide) != (0, 1):
        np.divide(np.subtract(picture, settings.subtract, out=picture), settings.divide, out=picture)


def _to_decibels(picture: np.ndarray, level: Decibels, *, magnitude: bool) -> None:
    if magnitude:
        np.square(picture, out=picture)
    np.log(np.maximum(picture, level.floor, out=picture), out=picture)
    picture *= 10 / np.log(10)
    if level.reference == "max":
        picture -= picture.max()
    else:
        picture -= 10 * np.log10(max(level.reference, level.floor))
    if level.top_db is not None:
        np.maximum(picture, picture.max() - level.top_db, out=picture)
