"""Recordings as a network's input: windows cut and changed by threads, pictures made of them on the device."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from outfold.settings.audio_view import AudioView, SoundView, WaveformView
from outfold.settings.mel import LogMel
from outfold.views.audio.chain import SoundChain
from outfold.views.audio.channels import CHANNELS
from outfold.views.audio.crop import CropRule, place, training_crop, validation_crop
from outfold.views.audio.loudness import normalise
from outfold.views.audio.on_cpu import log_mel
from outfold.views.audio.on_device import log_mel_tensor
from outfold.views.batches import InMemory
from outfold.views.sizes import Size


class SoundSource(Protocol):
    """Recordings by row."""

    @property
    def sample_rate(self) -> int:
        """Hz."""
        ...

    def duration(self, row: int, /) -> float:
        """Seconds."""
        ...

    def read(self, row: int, start_s: float, length_s: float, /) -> np.ndarray:
        """Some seconds, as far as the row has them: float32 (n,)."""
        ...


def crop_rule(view: SoundView) -> CropRule:
    """How a view cuts windows for training."""
    return CropRule(view.window_s, view.span_s, view.middle)


def shown_by(view: AudioView | WaveformView) -> Hashable:
    """What decides what is made of a window before it is arranged: views of equal answers can share that."""
    mel = view.mel if isinstance(view, AudioView) else None
    return view.sample_rate, view.window_s, view.normalise, mel


@dataclass(frozen=True)
class WaveformInput:
    """Windows of recordings as they are.

    Attributes:
        sounds: of each row of the table, at the view's sample rate.
        view: which seconds.
        chain: what training changes.
    """

    sounds: SoundSource
    view: WaveformView | AudioView
    chain: SoundChain

    def reader(self, *, augment: bool, size: Size | None = None) -> Callable[[int, np.random.Generator], np.ndarray]:
        """A function (row, generator) -> float32 (n,), a window of `view.samples`."""
        rule = crop_rule(self.view)

        def read(row: int, generator: np.random.Generator) -> np.ndarray:
            duration = self.sounds.duration(row)
            crop = training_crop(duration, generator, rule) if augment else validation_crop(duration, rule.window_s)
            sound = self.sounds.read(row, crop.start_s, crop.length_s)
            clip = place(sound, crop, self.sounds.sample_rate)
            clip = normalise(clip) if self.view.normalise else clip
            return self.chain(clip, generator) if augment else clip

        return read

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """The batch, float32 (b, n), as it is."""
        return batch


@dataclass(frozen=True)
class AudioInput(WaveformInput):
    """Windows of recordings as log-mel pictures.

    The threads that read give waveforms, so that batches can be mixed as sound is; their pictures are made where the
    model computes.
    """

    view: AudioView

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """Waveforms float32 (b, n) -> pictures (b, c, h, w), channels last in memory; patches are (b, p, c, h, w).

        Args:
            batch: the windows.
            rng: paints over pictures as training does; None leaves them.
        """
        pictures = pictures_of(batch, self.view.mel)
        if rng is not None:
            for paint in self.chain.pictures:
                pictures = paint(pictures, rng)
        return arranged(pictures, self.view)


@dataclass(frozen=True)
class DrawnPictures:
    """Log-mel pictures that were drawn before: the input of every network that is shown the same.

    Attributes:
        pictures: float32 (n, h, w), one a row.
        view: how they are arranged.
    """

    pictures: np.ndarray
    view: AudioView

    def reader(self, *, augment: bool, size: Size | None = None) -> Callable[[int, np.random.Generator], np.ndarray]:
        """A function (row, generator) -> float32 (h, w); what is drawn cannot be changed any more."""
        return InMemory(self.pictures)

    def to_model(self, batch: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """Pictures (b, h, w) as `AudioInput.to_model` arranges them."""
        return arranged(batch, self.view)


def pictures_of(waveforms: Tensor, mel: LogMel) -> Tensor:
    """Log-mel pictures float32 (b, h, w) of waveforms (b, n), in the way that is fastest where they lie."""
    if waveforms.device.type == "cpu":
        return torch.from_numpy(log_mel(waveforms.numpy(), mel))
    return log_mel_tensor(waveforms, mel)


def arranged(pictures: Tensor, view: AudioView) -> Tensor:
    """Pictures (b, h, w) as the backbone sees them: with channels, in patches, turned, as the view says."""
    channels = CHANNELS[view.channels](pictures)
    if view.patches is not None:
        channels = channels.unfold(3, view.patches.frames, view.patches.hop).permute(0, 3, 1, 2, 4)
    if view.transpose:
        channels = channels.transpose(-1, -2)
    return channels.contiguous(memory_format=torch.channels_last) if channels.ndim == 4 else channels.contiguous()
