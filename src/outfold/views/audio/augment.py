"""Random changes of waveforms: loudness, noise, background.

Each works on a clip (n,) or a batch (b, n), float32, and draws anew for every clip. Dividing by the standard deviation
undoes a gain: normalise first.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from pydantic.dataclasses import dataclass
from scipy import fft

from outfold.errors import DataError
from outfold.views.audio.loudness import add_at_snr
from outfold.views.augment.parameters import STRICT, Probability, Range, Symmetric

DrawSound = Callable[[int, np.random.Generator], np.ndarray]
"""Draws a waveform, float32 (n,), of a given number of samples."""


class WaveformTransform:
    """A named change of a waveform. Subclasses are frozen dataclasses whose first field is the main parameter."""

    p: float
    """Chance of being applied to a clip."""

    def __call__(self, waveforms: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change each clip with the chance p: float32 (n,) or (b, n) -> a new array of that shape."""
        clips = waveforms.reshape(-1, waveforms.shape[-1]).copy()
        chosen = np.flatnonzero(rng.random(len(clips)) < self.p)
        if len(chosen):
            clips[chosen] = self.change(clips[chosen], rng)
        return clips.reshape(waveforms.shape)

    def change(self, clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Change every clip of float32 (b, n), and return a new array."""
        raise NotImplementedError


@dataclass(frozen=True, config=STRICT)
class Gain(WaveformTransform):
    """Make a clip louder or quieter."""

    db: Symmetric = (-6.0, 6.0)
    """Range of the gain in dB, drawn uniformly; a scalar v means [-v, v]."""
    p: Probability = 0.5

    def change(self, clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One gain a clip."""
        gain = 10.0 ** (rng.uniform(*self.db, len(clips)) / 20)
        return clips * gain[:, None].astype(np.float32)


class Noise(WaveformTransform):
    """A sound added at a signal-to-noise ratio that is drawn uniformly; nothing is added to silence."""

    snr_db: tuple[float, float]

    def change(self, clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One ratio and one sound a clip."""
        snr_db = rng.uniform(*self.snr_db, len(clips))
        return add_at_snr(clips, self.sound(clips.shape, rng), snr_db)

    def sound(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Float32 (b, n), of any loudness."""
        raise NotImplementedError


@dataclass(frozen=True, config=STRICT)
class GaussianNoise(Noise):
    """Add white noise: independent normal values."""

    snr_db: Range = (5.0, 30.0)
    """Range of the signal-to-noise ratio in dB; a scalar v means exactly v."""
    p: Probability = 0.5

    def sound(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Standard normal values."""
        return rng.standard_normal(shape, dtype=np.float32)


@dataclass(frozen=True, config=STRICT)
class PinkNoise(Noise):
    """Add noise that has equal power in every octave, as wind and distant traffic roughly have."""

    snr_db: Range = (5.0, 30.0)
    """Range of the signal-to-noise ratio in dB; a scalar v means exactly v."""
    p: Probability = 0.5

    def sound(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """See `pink_noise`."""
        return pink_noise(shape, rng)


@dataclass(frozen=True, config=STRICT)
class BackgroundSound(Noise):
    """Add a background recording."""

    draw: DrawSound
    """Draws a background of a number of samples."""
    snr_db: Range = (0.0, 20.0)
    """Range of the signal-to-noise ratio in dB; a scalar v means exactly v."""
    p: Probability = 0.5

    def sound(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """One background a clip.

        Raises:
            DataError: a background of another length than asked for.
        """
        sounds = [self.draw(shape[-1], rng) for _ in range(shape[0])]
        for sound in sounds:
            if sound.shape != shape[1:]:
                expected = f"a waveform of {shape[-1]} samples"
                raise DataError("a background does not fit its clip", got=f"shape {sound.shape}", expected=expected)
        return np.stack(sounds)


def pink_noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Float32 (b, n) or (n,): normal values whose power falls as 1 / frequency, by 3 dB an octave; no constant part.

    Made as a random spectrum: independent complex normal values, divided by the root of their frequency.
    """
    samples = fft.next_fast_len(shape[-1], real=True)
    scale = _pink_scale(samples // 2 + 1)
    spectrum = rng.standard_normal((*shape[:-1], 2 * len(scale)), dtype=np.float32).view(np.complex64)
    return fft.irfft(spectrum * scale, samples)[..., : shape[-1]]


@lru_cache(maxsize=4)
def _pink_scale(bins: int) -> np.ndarray:
    """Float32 (bins,): the amplitude of each bin, 0 for the constant one."""
    frequency = np.arange(bins, dtype=np.float64)
    scale = np.divide(1.0, np.sqrt(frequency), out=np.zeros(bins), where=frequency > 0)
    return scale.astype(np.float32)


WAVEFORM: dict[str, type[WaveformTransform]] = {
    "gain": Gain,
    "gaussian_noise": GaussianNoise,
    "pink_noise": PinkNoise,
    "background": BackgroundSound,
}
"""The recipe's names; a background's `draw` is given by the program."""
