"""Recordings made for tests: sweeps with noise, written in blocks, for libsndfile crashes on a long Ogg at once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

SUBTYPES = {
    "ogg": ("OGG", "VORBIS"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "wav": ("WAV", "FLOAT"),
}


@pytest.fixture(scope="session")
def sound() -> Callable[..., np.ndarray]:
    """Returns float32 (n,) or (n, channels): a rising tone in noise, never louder than 0.8."""

    def make(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
        rng, number = np.random.default_rng(seed), round(seconds * rate)
        time = np.arange(number) / rate
        tone = 0.4 * np.sin(2 * np.pi * (200 * time + 150 * time**2 / max(seconds, 1)))
        noise = rng.uniform(-0.4, 0.4, (number, channels))
        waveform = (tone[:, None] + noise).astype(np.float32)
        return waveform[:, 0] if channels == 1 else waveform

    return make


@pytest.fixture(scope="session")
def write_sound() -> Callable[..., Path]:
    """Returns a function that writes (path, waveform, rate) in the format of the path's suffix, as 16 bits or float."""

    def write(path: Path, waveform: np.ndarray, rate: int, subtype: str | None = None) -> Path:
        kind, usual = SUBTYPES[path.suffix[1:]]
        channels = 1 if waveform.ndim == 1 else waveform.shape[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", rate, channels, subtype or usual, format=kind) as file:
            for start in range(0, len(waveform), rate):
                file.write(waveform[start : start + rate])
        return path

    return write
