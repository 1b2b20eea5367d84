"""Log-mel pictures from tensors, a batch at a time, on whatever device the batch lies."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from outfold.settings.mel import Decibels, LogMel, NaturalLog
from outfold.views.audio.filters import mel_filters
from outfold.views.audio.resize import resize_tensor

CLIPS = 64
"""Clips whose spectra are held at once."""


def log_mel_tensor(waveforms: Tensor, settings: LogMel) -> Tensor:
    """The log-mel picture of each clip of a batch, equal to `on_cpu.log_mel`, under autocast too.

    The Fourier transform is taken in double precision, as there; MPS devices have none, and there bands 60 dB and more
    below the loudest are less exact. Where torch's float32 matrix products are allowed less precision
    (`torch.set_float32_matmul_precision`), CUDA devices round the sums over filters to some 0.005 dB.

    Args:
        waveforms: float (b, n), at the settings' sample rate.
        settings: see `LogMel`.

    Returns:
        Float32 (b, mels, frames), on the same device; with `size`, (b, height, width).

    Raises:
        DataError: the clips are too short for a frame.
    """
    settings.frames(waveforms.shape[-1])  # refuses what is too short
    with torch.autocast(waveforms.device.type, enabled=False):
        sums = torch.cat([_mel_sums(part, settings) for part in waveforms.split(CLIPS)])
        pictures = _to_level(sums, settings)
        return pictures if settings.size is None else resize_tensor(pictures, settings.size)


def _mel_sums(waveforms: Tensor, settings: LogMel) -> Tensor:
    """Each filter's sum of power or magnitude, float32 (b, mels, frames)."""
    window, filters = _constants(settings, waveforms.device)
    spectra = torch.stft(
        _padded(waveforms.to(window.dtype), settings),
        settings.n_fft,
        settings.hop,
        settings.window,
        window,
        center=False,
        return_complex=True,
    )
    cells = (spectra.real.square() + spectra.imag.square()).float()
    return filters @ (cells.sqrt() if settings.spectrum == "magnitude" else cells)


@lru_cache(maxsize=32)
def _constants(settings: LogMel, device: torch.device) -> tuple[Tensor, Tensor]:
    """Window (window,) and filters float32 (mels, bins), kept for all later batches, those of training too."""
    dtype = torch.float32 if device.type == "mps" else torch.float64
    with torch.inference_mode(False):
        window = torch.hann_window(settings.window, dtype=dtype, device=device)
        return window, torch.from_numpy(mel_filters(settings).astype(np.float32)).to(device)


def _padded(waveforms: Tensor, settings: LogMel) -> Tensor:
    """The clips with what torch.stft reads around them: its windows stand in the middle of n_fft samples."""
    if settings.padding != "none":
        mode = "reflect" if settings.padding == "reflect" else "constant"
        return F.pad(waveforms, (settings.n_fft // 2, settings.n_fft // 2), mode=mode)
    left = (settings.n_fft - settings.window) // 2
    return F.pad(waveforms, (left, settings.n_fft - settings.window - left))


def _to_level(pictures: Tensor, settings: LogMel) -> Tensor:
    level = settings.level
    if isinstance(level, NaturalLog):
        pictures = (pictures + level.offset).log()
    else:
        pictures = _to_decibels(pictures.square() if settings.spectrum == "magnitude" else pictures, level)
    return (pictures - settings.subtract) / settings.divide


def _to_decibels(power: Tensor, level: Decibels) -> Tensor:
    decibels = 10 * power.clamp(min=level.floor).log10()
    if level.reference == "max":
        decibels = decibels - decibels.amax((-2, -1), keepdim=True)
    else:
        decibels = decibels - 10 * float(np.log10(max(level.reference, level.floor)))
    if level.top_db is not None:
        decibels = torch.maximum(decibels, decibels.amax((-2, -1), keepdim=True) - level.top_db)
    return decibels
