"""Recordings as model input: windows, log-mel pictures, channels, and random changes of both.

crop = outfold.audio.training_crop(duration_s, rng)       # which seconds to decode
clip = outfold.audio.normalise(outfold.audio.place(sound, crop, sample_rate))
picture = outfold.audio.log_mel(clip, outfold.audio.presets.BIRDCLEF_224)  # float32 (224, 224)
"""

from outfold.settings import mel_presets as presets
from outfold.settings.mel import Decibels, LogMel, NaturalLog
from outfold.views.audio.augment import BackgroundSound, Gain, GaussianNoise, PinkNoise, pink_noise
from outfold.views.audio.channels import CHANNELS, delta
from outfold.views.audio.crop import Crop, CropRule, place, training_crop, validation_crop
from outfold.views.audio.filters import empty_filters, mel_filters
from outfold.views.audio.loudness import add_at_snr, normalise, normalise_tensor
from outfold.views.audio.mix import Addition, AdditiveMix
from outfold.views.audio.on_cpu import log_mel
from outfold.views.audio.on_device import log_mel_tensor
from outfold.views.audio.spec_augment import SpecAugment
from outfold.views.mix import mix_cells

__all__ = [
    "CHANNELS",
    "Addition",
    "AdditiveMix",
    "BackgroundSound",
    "Crop",
    "CropRule",
    "Decibels",
    "Gain",
    "GaussianNoise",
    "LogMel",
    "NaturalLog",
    "PinkNoise",
    "SpecAugment",
    "add_at_snr",
    "delta",
    "empty_filters",
    "log_mel",
    "log_mel_tensor",
    "mel_filters",
    "mix_cells",
    "normalise",
    "normalise_tensor",
    "pink_noise",
    "place",
    "presets",
    "training_crop",
    "validation_crop",
]
