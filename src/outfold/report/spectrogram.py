"""Log-mel pictures of sound inside the page: their pixels, and where the ticks of their axes stand."""

import cv2
import numpy as np

from outfold.report.plot import nice_ticks, tick_texts
from outfold.settings.mel import LogMel, NaturalLog

HEIGHT, WIDTH = 128, 192
"""Pixels; shown at about this size."""
SHADES = 32
"""So few that a picture of noise stays small as a file."""
DEPTH_DB = 80
"""What is quieter than the loudest cell by more is black."""
LEAST_GAP = 0.1
"""Of the picture's height, between two frequencies that are written; half of it to the corner, where seconds stand."""


def pixels(levels: np.ndarray, mel: LogMel) -> np.ndarray:
    """A log-mel picture in colours whose steps look even (magma): the highest frequency above, quiet is dark.

    Args:
        levels: float32 (h, w), as `outfold.audio.log_mel` gives it.
        mel: the settings it was made with.

    Returns:
        RGBA uint8 (HEIGHT, WIDTH, 4).
    """
    loudest = float(levels.max())
    quietest = max(float(levels.min()), loudest - _depth(mel))
    share = np.clip((levels[::-1] - quietest) / max(loudest - quietest, 1e-6), 0, 1)
    sized = cv2.resize(share.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    steps = np.rint(sized * (SHADES - 1)) * (255 / (SHADES - 1))
    return cv2.cvtColor(cv2.applyColorMap(steps.astype(np.uint8), cv2.COLORMAP_MAGMA), cv2.COLOR_BGR2RGBA)


def frequency_ticks(mel: LogMel) -> list[tuple[float, str]]:
    """Octaves in kHz: how high in the picture they stand, 0 at its bottom and 1 at its top, and their text."""
    from outfold.views.audio.filters import to_mel

    octaves = 2.0 ** np.arange(-5, 8)
    low, high = to_mel(np.array([mel.f_min, mel.upper]), mel.scale)
    row = (to_mel(1000 * octaves, mel.scale) - low) / (high - low) * (
        mel.mels + 1
    ) - 1  # filters peak between their feet
    shares = (row + 0.5) / mel.mels
    ticks: list[tuple[float, str]] = []
    for share, octave in zip(shares.tolist(), octaves.tolist(), strict=True):
        if LEAST_GAP / 2 <= share <= 1 and (not ticks or share - ticks[-1][0] >= LEAST_GAP):
            ticks.append((share, f"{octave:g}"))
    return ticks


def time_ticks(seconds: float) -> list[tuple[float, str]]:
    """Round seconds: where across the picture they stand, 0 at its beginning and 1 at its end, and their text."""
    ticks = nice_ticks(0, seconds)
    return [(tick / seconds, text) for tick, text in zip(ticks, tick_texts(ticks), strict=True)]


def _depth(mel: LogMel) -> float:
    """DEPTH_DB in the unit of a picture's cells."""
    if not isinstance(mel.level, NaturalLog):
        return DEPTH_DB / mel.divide
    decibels = 10 if mel.spectrum == "power" else 20
    return DEPTH_DB / decibels * float(np.log(10)) / mel.divide
