"""The settings of the views of sound: which seconds of a recording a model hears, and what it is given of them."""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from outfold.errors import DataError, RecipeError
from outfold.names import suggestion
from outfold.settings.base import ShortFor, Spec
from outfold.settings.mel import LogMel
from outfold.settings.mel_presets import PRESETS
from outfold.settings.network import Option

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _mel_of(value: Any, validate: ValidatorFunctionWrapHandler) -> LogMel:
    """Log-mel settings of a preset's name, of a preset and what differs from it, or of what differs from the defaults.

    Raises:
        ValueError: there is no such preset, or a setting is unknown or out of range.
    """
    if isinstance(value, str):
        value = {"preset": value}
    if isinstance(value, dict) and "preset" in value:
        name = str(value["preset"])
        if name not in PRESETS:
            raise ValueError(f"there is no preset {name!r}; {suggestion(name, PRESETS)}")
        value = dataclasses.asdict(PRESETS[name]) | {key: one for key, one in value.items() if key != "preset"}
    try:
        mel: LogMel = validate(value)
    except RecipeError as error:
        raise ValueError(" ".join(str(error).split())) from error
    return mel


Mel = Annotated[LogMel, WrapValidator(_mel_of), ShortFor("preset")]


class Patches(Spec):
    """Stretches of a log-mel picture that a backbone sees one by one; the mean of their features is the clip's."""

    frames: int = Field(ge=1)
    """Frames of a patch."""
    hop: int = Field(ge=1)
    """Frames from the beginning of a patch to that of the next."""

    def count(self, frames: int) -> int:
        """How many lie whole within a picture of so many frames."""
        return max(0, (frames - self.frames) // self.hop + 1)


class SoundView(Spec):
    """What all views of sound share: the window that a model hears at once."""

    window_s: Seconds = 5.0
    """Length of the window in seconds. A prediction hears the first seconds of a recording; a shorter one stands in the
    middle of silence."""
    span_s: float = Field(6.0, gt=0)
    """In training the window lies within the first or the last seconds of this number; `.inf` lets it lie anywhere."""
    middle_s: tuple[float, float] | None = None
    """In training the middle of a recording shorter than the window falls between these seconds of it; around the
    window's own middle by half a second either way when not given, as far as there is room."""
    normalise: bool = True
    """Divide the window by its standard deviation; silence stays silence."""

    @property
    def middle(self) -> tuple[float, float]:
        """`middle_s`, or what it means when it is not given."""
        half = self.window_s / 2
        return self.middle_s or (max(half - 0.5, 0.0), half + min(0.5, half))

    @model_validator(mode="after")
    def _the_window_fits(self) -> "SoundView":
        if self.span_s < self.window_s:
            raise ValueError(f"a window of {self.window_s:g} s does not fit into span_s, {self.span_s:g} s")
        low, high = self.middle
        if not 0 <= low <= self.window_s / 2 <= high <= self.window_s:
            raise ValueError(f"middle_s must hold the window's own middle, {self.window_s / 2:g} s; got {low}, {high}")
        return self


class AudioView(SoundView):
    """A log-mel picture of some seconds of a recording, for a backbone of pictures."""

    kind: Literal["audio"]
    mel: Mel = PRESETS["birdclef_224"]
    """A preset (birdclef_224, birdclef_288, birdclef_sed, yamnet), `{preset: birdclef_224, hop: 500}`, or settings of
    `outfold.audio.LogMel`. A member's own replace the stage's whole."""
    channels: Literal["single", "repeat", "ramp", "deltas"] = "repeat"
    """The picture alone, three times, twice with a ramp along frequency, or with its slope and curvature over time."""
    patches: Patches | None = None
    """Show the backbone stretches of the picture one by one, as AudioSet's networks see them; the whole when not
    given."""
    transpose: bool = False
    """Time runs down and frequency across."""

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.mel.sample_rate

    @property
    def samples(self) -> int:
        """Of a window."""
        return round(self.window_s * self.sample_rate)

    @property
    def channel_count(self) -> int:
        """Channels of the picture."""
        return 1 if self.channels == "single" else 3

    @property
    def picture(self) -> tuple[int, int]:
        """Rows and columns of a window's picture: frequencies and frames."""
        return self.mel.size or (self.mel.mels, self.mel.frames(self.samples))

    @property
    def height_width(self) -> tuple[int, int]:
        """Of all that the backbone sees of a window, in pixels: patches stand side by side."""
        mels, frames = self.picture
        if self.patches is not None:
            frames = self.patches.frames * self.patches.count(frames)
        return (frames, mels) if self.transpose else (mels, frames)

    @property
    def tile_height_width(self) -> tuple[int, int]:
        """What the backbone sees at once, as (height, width) in pixels."""
        mels, frames = self.picture
        frames = frames if self.patches is None else self.patches.frames
        return (frames, mels) if self.transpose else (mels, frames)

    @model_validator(mode="after")
    def _a_picture_of_the_window(self) -> "AudioView":
        try:
            frames = min(self.picture[1], self.mel.frames(self.samples))
        except DataError as error:
            raise ValueError(" ".join(str(error).split())) from error
        if frames < 2:
            raise ValueError(
                f"a window of {self.window_s:g} s makes a picture of one frame, {self.mel.hop / self.sample_rate:g} s "
                "from the next: lower mel.hop, or raise window_s or the width in mel.size"
            )
        frames = self.picture[1]
        if self.patches is not None and not self.patches.count(frames):
            raise ValueError(f"patches of {self.patches.frames} frames: a window has {frames} frames only")
        return self


class WaveformView(SoundView):
    """The samples of some seconds of a recording, for an encoder of waveforms (extra `waveform`)."""

    kind: Literal["waveform"]
    sample_rate: int = Field(16_000, ge=1)
    """Hz; what published encoders listen to."""
    encoder: dict[str, Option | list[Any]]
    """What the encoder is made of, as its config.json says for transformers or torchaudio, e.g. `{model_type: hubert}`,
    whose other values are then those of the base model. Its weights are the member's `weights`: a file or `none`."""

    @property
    def samples(self) -> int:
        """Of a window."""
        return round(self.window_s * self.sample_rate)

    @property
    def height_width(self) -> tuple[int, int]:
        """Work is counted in pixels: a sample is one."""
        return (1, self.samples)
