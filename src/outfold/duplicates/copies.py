"""Altered copies of a photo: what near-duplicates are made of, to test how well they are found."""

from collections.abc import Callable

import cv2
import numpy as np

Copy = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""From a photo, uint8 (h, w, 3), to its copy, uint8 of any size."""


def rescaled(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Both sides at 0.4 to 0.8 or 1.25 to 2 times their length."""
    factor = rng.uniform(0.4, 0.8) if rng.random() < 0.5 else rng.uniform(1.25, 2)
    size = tuple(max(round(side * factor), 1) for side in photo.shape[1::-1])
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)


def recompressed(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through JPEG of quality 30 to 85."""
    _, data = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 86))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def turned(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By one, two or three quarters."""
    return np.ascontiguousarray(np.rot90(photo, int(rng.integers(1, 4))))


def flipped(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Left to right, top to bottom, or over one of the two diagonals."""
    turns = int(rng.integers(0, 4))
    return np.ascontiguousarray(np.rot90(photo[:, ::-1], turns))


def cropped(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part at any place with 0.75 to 0.95 of each side, drawn apart."""
    height, width = photo.shape[:2]
    tall, wide = (max(round(side * rng.uniform(0.75, 0.95)), 1) for side in (height, width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    return np.ascontiguousarray(photo[top : top + tall, left : left + wide])


def relit(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast about the photo's mean and brightness each at 0.7 to 1.3 times theirs."""
    mean, contrast, brightness = photo.mean(), rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.3)
    levels = ((np.arange(256) - mean) * contrast + mean) * brightness
    return cv2.LUT(photo, np.clip(levels.round(), 0, 255).astype(np.uint8))


def combined(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned or flipped, cropped, relit, rescaled and recompressed, one after the other."""
    for change in (turned if rng.random() < 0.5 else flipped, cropped, relit, rescaled, recompressed):
        photo = change(photo, rng)
    return photo


COPIES: dict[str, Copy] = {
    "rescaled": rescaled,
    "recompressed": recompressed,
    "turned": turned,
    "flipped": flipped,
    "cropped": cropped,
    "brightness": relit,
}
"""The kinds of copies that are looked for; `combined` is all of them at once."""
