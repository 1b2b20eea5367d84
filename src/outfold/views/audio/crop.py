"""Which seconds of a recording a model hears: decided from its length alone, so that no others need be decoded."""

from dataclasses import dataclass

import numpy as np

from outfold.errors import DataError, RecipeError


@dataclass(frozen=True)
class Crop:
    """Seconds of a recording, and the silence put around them to fill the window.

    Attributes:
        start_s: where in the recording the sound begins.
        length_s: how long it is.
        pad_left_s: silence before it.
        pad_right_s: silence after it.
    """

    start_s: float
    length_s: float
    pad_left_s: float = 0.0
    pad_right_s: float = 0.0

    @property
    def end_s(self) -> float:
        """Where in the recording the sound ends."""
        return self.start_s + self.length_s

    @property
    def window_s(self) -> float:
        """Length of sound and silence together."""
        return self.pad_left_s + self.length_s + self.pad_right_s

    def samples(self, sample_rate: int) -> tuple[int, int]:
        """First and last sample of the sound in a recording of this rate; the last is not inside."""
        start = round(self.start_s * sample_rate)
        return start, start + round(self.length_s * sample_rate)


@dataclass(frozen=True)
class CropRule:
    """How windows are cut for training.

    Attributes:
        window_s: length of a window in seconds.
        span_s: windows lie within the first or the last seconds of this number; infinity lets them lie anywhere.
        middle_s: where in its window the middle of a recording shorter than the window falls: from, to.

    Raises:
        RecipeError: a span shorter than the window, or a middle that long recordings could not have.
    """

    window_s: float = 5.0
    span_s: float = 6.0
    middle_s: tuple[float, float] = (2.0, 3.0)

    def __post_init__(self) -> None:
        if not self.window_s > 0:
            raise RecipeError("crop: window_s is out of range", got=self.window_s, expected="seconds above 0")
        if self.span_s < self.window_s:
            expected = f"at least window_s, {self.window_s:g}"
            raise RecipeError("crop: a window does not fit into span_s", got=self.span_s, expected=expected)
        low, high = self.middle_s
        if not 0 <= low <= self.window_s / 2 <= high <= self.window_s:
            expected = f"from at most {self.window_s / 2:g}, the window's own middle, to at least that"
            raise RecipeError("crop: middle_s is out of range", got=self.middle_s, expected=expected)


def training_crop(duration_s: float, rng: np.random.Generator, rule: CropRule | None = None) -> Crop:
    """A window at random.

    Of a recording as long as the window or longer: a coin chooses its first or its last `span_s` seconds, and the
    window starts at random within them. A shorter one is heard whole, with silence before and after it such that its
    middle falls at random between the seconds of `middle_s`, as far as it fits into the window there.

    Args:
        duration_s: length of the recording, or of the clip that the row names.
        rng: decides the coin and the place.
        rule: see `CropRule`.

    Raises:
        DataError: the recording has no length.
    """
    rule = rule or CropRule()
    _refuse_empty(duration_s)
    room = duration_s - rule.window_s
    if room < 0:
        return _padded_at_random(duration_s, rng, rule)
    shift = min(rule.span_s - rule.window_s, room)
    first = 0.0 if rng.random() < 0.5 else room - shift
    return Crop(first + shift * rng.random(), rule.window_s)


def validation_crop(duration_s: float, window_s: float = 5.0) -> Crop:
    """The first seconds; a shorter recording stands in the middle of the window.

    Raises:
        DataError: the recording has no length.
    """
    _refuse_empty(duration_s)
    length = min(duration_s, window_s)
    pad = (window_s - length) / 2
    return Crop(0.0, length, pad, window_s - length - pad)


def place(sound: np.ndarray, crop: Crop, sample_rate: int) -> np.ndarray:
    """The window: what was decoded of a crop, with silence around it.

    Decoding and resampling may give a sample more or less than the seconds say: the window's length is always the same,
    sounds that reach beyond its end lose their last samples.

    Args:
        sound: float32 (n,), the samples from `crop.start_s` to `crop.end_s`.
        crop: see `Crop`.
        sample_rate: of the sound, in Hz.

    Returns:
        Float32 (window_s * sample_rate,).
    """
    window = np.zeros(round(crop.window_s * sample_rate), np.float32)
    before = min(round(crop.pad_left_s * sample_rate), len(window))
    kept = sound[: len(window) - before]
    window[before : before + len(kept)] = kept
    return window


def _padded_at_random(duration_s: float, rng: np.random.Generator, rule: CropRule) -> Crop:
    silence = rule.window_s - duration_s
    low, high = (middle - duration_s / 2 for middle in rule.middle_s)
    pad = rng.uniform(max(low, 0.0), min(high, silence))
    return Crop(0.0, duration_s, pad, silence - pad)


def _refuse_empty(duration_s: float) -> None:
    if not duration_s > 0:
        raise DataError("a recording has no length", got=f"{duration_s:g} s", expected="more than 0 s")
