"""How loud clips are: division by their standard deviation, and mixtures of a wanted signal-to-noise ratio.

Powers are mean squares; a ratio in dB is 10 log10(power of the signal / power of the noise).
"""

import numpy as np
from torch import Tensor

LEAST_DEVIATION = 1e-6
"""Quieter clips count as silence and are divided by this: 30 times less than one step of 16 bits."""


def normalise(waveform: np.ndarray, least: float = LEAST_DEVIATION) -> np.ndarray:
    """Divide each clip by its standard deviation: float32 (.., n) -> a new array; silence stays silence.

    Its mean is left as it is.
    """
    return waveform / np.maximum(waveform.std(axis=-1, keepdims=True), np.float32(least))


def normalise_tensor(waveforms: Tensor, least: float = LEAST_DEVIATION) -> Tensor:
    """`normalise` for tensors, float (.., n)."""
    return waveforms / waveforms.std(-1, correction=0, keepdim=True).clamp(min=least)


def add_at_snr(signal: np.ndarray, noise: np.ndarray, snr_db: np.ndarray) -> np.ndarray:
    """The signal and the noise, scaled to stand exactly as many dB below it: a new float32 array.

    Where either is silent there is no such ratio, and nothing is added.

    Args:
        signal: float32 (.., n).
        noise: float32 (.., n), of any loudness.
        snr_db: (..), in dB; below 0 the noise is louder.
    """
    wanted = np.mean(np.square(signal), axis=-1) / 10.0 ** (np.asarray(snr_db) / 10)
    power = np.mean(np.square(noise), axis=-1)
    factor = np.sqrt(np.divide(wanted, power, out=np.zeros_like(wanted), where=power > 0))
    return signal + factor[..., None].astype(np.float32) * noise
