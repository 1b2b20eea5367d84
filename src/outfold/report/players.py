"""Sound inside the page: small files in players, within a budget of bytes."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile

from outfold.data.audio.decode import resample

RATE = 16_000
"""Hz of embedded sound."""
PEAK = 0.8
"""Of full scale, for every sound that is none of silence: quiet recordings can be heard too."""
SMALLER = 0.9
"""libsndfile's wish for small files rather than good ones, 0 to 1; a second of noise takes about 4 kB."""
BLOCK = 1 << 14
"""Samples that are encoded at once."""


def encoded(sound: np.ndarray, sample_rate: int) -> str:
    """Sound float32 (n,) as a data URI of Ogg Vorbis, at 16 kHz and one loudness."""
    small = resample(sound, sample_rate, RATE)
    peak = float(np.abs(small).max(initial=0.0))
    small = small * np.float32(PEAK / peak) if peak else small
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", RATE, 1, format="OGG", subtype="VORBIS", compression_level=SMALLER) as file:
        for begin in range(0, len(small), BLOCK):
            file.write(small[begin : begin + BLOCK])
    return f"data:audio/ogg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def that_fit(sizes: Mapping[int, int], rows: Sequence[int], budget: int) -> set[int]:
    """The rows whose sound fits into a page, the first rows first.

    Args:
        sizes: bytes by row.
        rows: in the order of their importance; one that comes twice is embedded twice.
        budget: bytes for all.
    """
    fitting, times = set(), Counter(rows)
    for row in dict.fromkeys(rows):
        cost = sizes.get(row, 0) * times[row]
        if row in sizes and cost <= budget:
            fitting.add(row)
            budget -= cost
    return fitting
