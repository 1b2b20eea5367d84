"""Log-mel settings of published systems, ready to be used or changed by `dataclasses.replace`."""

from dataclasses import replace

from outfold.settings.mel import Decibels, LogMel, NaturalLog

BIRDCLEF_224 = LogMel(
    sample_rate=32_000,
    n_fft=1536,
    window=1024,
    hop=717,
    mels=224,
    f_min=90,
    f_max=14_000,
    subtract=40,
    divide=80,
)
"""Third place of BirdCLEF 2024, main setting: five seconds are 224 x 224."""

BIRDCLEF_288 = replace(BIRDCLEF_224, n_fft=2048, hop=560, mels=288, size=(288, 288))
"""The same system's larger setting: five seconds have 286 frames, and are resized to 288 x 288."""

BIRDCLEF_SED = LogMel(
    sample_rate=32_000,
    n_fft=2048,
    window=2048,
    hop=417,
    mels=128,
    f_min=0,
    f_max=16_000,
    scale="slaney",
    norm="slaney",
    level=Decibels(top_db=80),
    subtract=-80,
    divide=80,
)
"""The same system's setting for sound event detection: five seconds are 128 x 384."""

YAMNET = LogMel(
    sample_rate=16_000,
    n_fft=512,
    window=400,
    hop=160,
    mels=64,
    f_min=125,
    f_max=7500,
    slope="mel",
    spectrum="magnitude",
    padding="none",
    level=NaturalLog(1e-3),
)
"""AudioSet's YAMNet: 0.975 seconds, 15,600 samples, are 64 x 96; the network reads the transpose, 96 x 64."""

PRESETS: dict[str, LogMel] = {
    "birdclef_224": BIRDCLEF_224,
    "birdclef_288": BIRDCLEF_288,
    "birdclef_sed": BIRDCLEF_SED,
    "yamnet": YAMNET,
}
"""By the names that recipes use."""
