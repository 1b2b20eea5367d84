"""What a log-mel picture is made of: settings that can be compared, hashed and shared.

A picture is float32 (mels, frames), its first row the lowest frequency. `outfold.audio.log_mel` makes it from arrays
and `outfold.audio.log_mel_tensor` from tensors; both agree with librosa's `melspectrogram` and `power_to_db`.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from pydantic import ConfigDict

from outfold.errors import DataError, RecipeError

Scale = Literal["htk", "slaney"]
Slope = Literal["hz", "mel"]
Norm = Literal["none", "slaney"]
Spectrum = Literal["power", "magnitude"]
Padding = Literal["zero", "reflect", "none"]


CHOICES: dict[str, tuple[str, ...]] = {
    "scale": get_args(Scale),
    "slope": get_args(Slope),
    "norm": get_args(Norm),
    "spectrum": get_args(Spectrum),
    "padding": get_args(Padding),
}
"""What each named setting may be."""


def _require(condition: bool, name: str, got: object, expected: str) -> None:
    if not condition:
        raise RecipeError(f"log-mel: {name} is out of range", got=got, expected=expected)


def _require_finite(settings: object, *names: str) -> None:
    """Comparisons let infinity pass, and say nothing of what is no number."""
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, int | float):  # not "max", not None
            _require(math.isfinite(value), name, value, "a finite number")


@dataclass(frozen=True)
class Decibels:
    """Level in dB: 10 log10(max(power, floor)) - 10 log10(reference), as librosa's `power_to_db`.

    Of a magnitude spectrum the square of the mel picture is taken, as librosa's `amplitude_to_db` does.

    Attributes:
        reference: the power of 0 dB, or "max" for the loudest cell of each clip.
        floor: the least power; what is quieter counts as this.
        top_db: each clip is cut off this far below its own loudest cell; None cuts nothing off.

    Raises:
        RecipeError: a number that is not positive, or not finite.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    reference: float | Literal["max"] = 1.0
    floor: float = 1e-10
    top_db: float | None = None

    def __post_init__(self) -> None:
        _require_finite(self, "reference", "floor", "top_db")
        if self.reference != "max":
            _require(self.reference > 0, "reference", self.reference, 'a power above 0, or "max"')
        _require(self.floor > 0, "floor", self.floor, "a power above 0")
        _require(self.top_db is None or self.top_db > 0, "top_db", self.top_db, "decibels above 0, or none")


@dataclass(frozen=True)
class NaturalLog:
    """The natural logarithm of (cell + offset), as AudioSet's networks take it.

    Attributes:
        offset: keeps silence finite.

    Raises:
        RecipeError: an offset that is not positive, or not finite.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    offset: float = 1e-3

    def __post_init__(self) -> None:
        _require_finite(self, "offset")
        _require(self.offset > 0, "offset", self.offset, "a number above 0")


@dataclass(frozen=True)
class LogMel:
    """How a waveform becomes a log-mel picture. Equal settings are equal and hash alike, so work can be shared.

    Attributes:
        sample_rate: of the waveform, in Hz.
        n_fft: samples of the Fourier transform; frames are padded with zeros to it.
        window: samples of the Hann window, at most `n_fft`.
        hop: samples from one frame to the next.
        mels: rows of the picture.
        f_min: lower end of the first filter, in Hz.
        f_max: upper end of the last filter, in Hz; None is half the sample rate, and is replaced by it.
        scale: mel scale, HTK's formula or Slaney's (linear up to 1 kHz).
        slope: the triangles rise and fall along Hz (librosa, torchaudio) or along mels (TensorFlow, Kaldi).
        norm: `slaney` divides each filter by half its width in Hz, `none` leaves its peak at 1.
        spectrum: the filters sum the power or the magnitude of the bins.
        padding: frames are centred at multiples of `hop`, and beyond the clip's ends there are zeros or its mirror
            image (librosa's center=True); with `none` the first frame's window starts at the first sample and the last
            ends within the clip.
        level: the logarithm.
        subtract: taken off the level, in its unit.
        divide: the level is divided by this afterwards.
        size: (height, width) that the picture is resized to, or None. Bilinear, averaged where it shrinks.

    Raises:
        RecipeError: a value out of range, or not finite.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    sample_rate: int = 32_000
    n_fft: int = 2048
    window: int = 2048
    hop: int = 512
    mels: int = 128
    f_min: float = 0.0
    f_max: float | None = None
    scale: Scale = "htk"
    slope: Slope = "hz"
    norm: Norm = "none"
    spectrum: Spectrum = "power"
    padding: Padding = "zero"
    level: Decibels | NaturalLog = Decibels()
    subtract: float = 0.0
    divide: float = 1.0
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _require_finite(self, "f_min", "f_max", "subtract", "divide")
        for name in ("sample_rate", "window", "hop", "mels"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _require(self.window <= self.n_fft, "window", self.window, f"at most n_fft, {self.n_fft}")
        half = self.sample_rate / 2
        if self.f_max is None:
            object.__setattr__(self, "f_max", half)
        _require(0 <= self.f_min < self.upper, "f_min", self.f_min, f"0 to below f_max, {self.upper:g} Hz")
        _require(self.upper <= half, "f_max", self.upper, f"at most half the sample rate, {half:g} Hz")
        _require(self.divide > 0, "divide", self.divide, "a number above 0")
        _require(self.size is None or min(self.size) >= 1, "size", self.size, "sides of at least 1")
        for name, choices in CHOICES.items():
            _require(getattr(self, name) in choices, name, getattr(self, name), ", ".join(choices))

    @property
    def upper(self) -> float:
        """f_max in Hz."""
        assert self.f_max is not None, "set when made"
        return self.f_max

    @property
    def bins(self) -> int:
        """Frequencies of the spectrum, from 0 to half the sample rate."""
        return self.n_fft // 2 + 1

    @property
    def lead(self) -> int:
        """Samples before the clip's first that the first frame's window begins at."""
        return 0 if self.padding == "none" else self.n_fft // 2 - (self.n_fft - self.window) // 2

    def frames(self, samples: int) -> int:
        """Frames of a clip of this many samples, before any resizing.

        Raises:
            DataError: the clip is too short for a frame, or for its mirror image.
        """
        if self.padding == "none":
            least, span = self.window, samples - self.window
        else:
            least = self.n_fft // 2 + 1 if self.padding == "reflect" else 1
            span = samples + 2 * (self.n_fft // 2) - self.n_fft
        if samples < least:
            raise DataError(
                "a clip is too short for its log-mel", got=f"{samples} samples", expected=f"at least {least}"
            )
        return 1 + span // self.hop
