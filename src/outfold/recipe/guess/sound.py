"""Guesses how recordings are to be heard: the window and the log-mel picture, from the headers of some of them."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np

from outfold.data.audio.decode import AudioInfo, probe_audio
from outfold.errors import MediaError
from outfold.recipe.guess.columns import TEST_WORDS, words
from outfold.recipe.guess.media import AUDIO_SUFFIXES, media_folders
from outfold.settings.mel_presets import BIRDCLEF_224

WINDOW_S = 5.0
"""The window where recordings are long, or cannot be read."""
WHOLE_S = 10.0
"""Recordings up to this long are heard whole."""


@dataclass(frozen=True)
class SoundGuess:
    """What a model hears of a recording."""

    window_s: float
    span_s: float
    mel: str | dict[str, Any]
    """As a recipe writes it."""
    why: str
    test: str | None = None
    """A pattern of recordings to predict, relative to the data root."""


def guess_sound(paths: Sequence[Path], root: Path, known: Collection[str] = ()) -> SoundGuess:
    """The view of recordings that some of them ask for.

    Args:
        paths: of some recordings; those that cannot be read are passed over, `outfold check` lists them.
        root: the data root, where recordings to predict are looked for.
        known: real places of folders that hold rows of the table, which are not to be predicted.
    """
    test = _test_recordings(root, known)
    headers = [header for path in paths if (header := _header(path)) is not None]
    if not headers:
        return SoundGuess(WINDOW_S, 6.0, "birdclef_224", "no recording could be read", test)
    lengths = np.array([header.duration_s for header in headers])
    low, middle, high = np.quantile(lengths, [0.1, 0.5, 0.9]).tolist()
    whole = high <= WHOLE_S
    window = max(0.5, round(2 * middle) / 2) if whole else WINDOW_S
    why = f"of {len(headers)} recordings the middle one has {middle:.3g} s, most {low:.3g} to {high:.3g} s"
    rate = int(np.median([header.sample_rate for header in headers]))
    return SoundGuess(window, float("inf") if whole else 6.0, _mel(window, rate), why, test)


def _header(path: Path) -> AudioInfo | None:
    try:
        header = probe_audio(path)
    except MediaError:
        return None
    return header if header.frames else None


def _mel(window_s: float, rate: int) -> str | dict[str, Any]:
    """The preset, with a hop that makes short windows as wide, and for low sample rates with all that follows."""
    preset = BIRDCLEF_224
    low = rate < 2 * BIRDCLEF_224.upper
    changes: dict[str, Any] = {"sample_rate": rate, "n_fft": 2048, "f_max": rate / 2} if low else {}
    hop = max(1, round(window_s * (rate if low else preset.sample_rate)) // (preset.mels - 1))
    changes |= {"hop": hop} if hop < preset.hop else {}
    return {"preset": "birdclef_224", **changes} if changes else "birdclef_224"


def _test_recordings(root: Path, known: Collection[str]) -> str | None:
    """The recordings of a folder that is called after what is to be predicted, such as `test_soundscapes`."""
    for folder, suffixes in media_folders(root, depth=2).items():
        heard = [suffix for suffix in suffixes if suffix.lower() in AUDIO_SUFFIXES]
        if heard and TEST_WORDS & set(words(folder)) and os.path.realpath(root / folder) not in known:
            endings = ",".join(suffix.removeprefix(".") for suffix in heard)
            return f"{escape(folder)}/*." + (endings if len(heard) == 1 else f"{{{endings}}}")
    return None
