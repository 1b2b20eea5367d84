"""Log-mel pictures from arrays, clip by clip: for threads that read ahead, and for inference without an accelerator.

The Fourier transform is taken in double precision: in single precision the quiet bands of real recordings, 60 dB and
more below the loud ones, come out wrong by whole decibels. The transform, the sums over filters and NumPy's loops
all release the GIL.
"""

from functools import lru_cache

import numpy as np
from scipy import fft, signal

from outfold.settings.mel import Decibels, LogMel, NaturalLog
from outfold.views.audio.filters import mel_bands
from outfold.views.audio.frames import cut_frames, sum_bands
from outfold.views.audio.resize import resize_picture

CHUNK = 16
"""Frames that are transformed at once: few enough to stay in a core's cache."""


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
    frames = settings.frames(waveform.shape[-1])
    clips = waveform.reshape(-1, waveform.shape[-1])
    pictures = np.empty((len(clips), settings.mels, frames), np.float32)
    for clip, picture in zip(clips, pictures, strict=True):
        _mel_sums(clip, settings, picture)
        _to_level(picture, settings)
    if settings.size is not None:
        pictures = resize_picture(pictures, settings.size)
    return pictures.reshape(*waveform.shape[:-1], *pictures.shape[1:])


@lru_cache(maxsize=32)
def hann(length: int) -> np.ndarray:
    """The periodic Hann window of spectral analysis, float64, read-only."""
    window = signal.get_window("hann", length)
    window.setflags(write=False)
    return window


def _mel_sums(clip: np.ndarray, settings: LogMel, out: np.ndarray) -> None:
    """Fill (mels, frames) with each filter's sum of power or magnitude.

    A frame's window stands at the beginning of its transform, not in the middle: that turns phases alone.
    """
    clip, window = _padded(clip, settings), hann(settings.window)
    bands, magnitude = mel_bands(settings), settings.spectrum == "magnitude"
    for begin in range(0, out.shape[1], CHUNK):
        frames = np.empty((settings.n_fft, min(CHUNK, out.shape[1] - begin)))
        cut_frames(clip, window, settings.hop, begin, frames)
        sum_bands(fft.rfft(frames, axis=0), magnitude, *bands, out, begin)


def _padded(clip: np.ndarray, settings: LogMel) -> np.ndarray:
    """The clip from the first frame's window to the last one's, float32 and contiguous."""
    clip = np.ascontiguousarray(clip, np.float32)
    if settings.padding == "none":
        return clip
    return np.pad(clip, settings.lead, mode="reflect" if settings.padding == "reflect" else "constant")


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
