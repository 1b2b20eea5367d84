"""JPEG files that are ours alone: how photos are cut and shrunk for them, written, and read back quickly.

They are OpenCV's: baseline, with colour at half the resolution (4:2:0). Since nobody else writes them they need none of
the care that a user's files get (`outfold.data.media`).
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from outfold.data.media import reduction

_END = b"\xff\xd9"
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def stored_pixels(photo: np.ndarray, crop: Literal["square", "none"], size: int) -> np.ndarray:
    """What is stored of a photo: its centre as a square, or its own shape, with a shorter side of at most `size`.

    Args:
        photo: uint8 (H, W, 3).
        crop: `square` keeps the largest square in the middle; an odd rest leaves one more pixel below or on the right.
        size: pixels; averaged when shrinking, never enlarged.

    Returns:
        uint8 (h, w, 3).
    """
    if crop == "square":
        side = min(photo.shape[:2])
        top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
        photo = photo[top : top + side, left : left + side]
    height, width = photo.shape[:2]
    shorter = min(height, width)
    if shorter <= size:
        return photo
    height, width = (round(side * size / shorter) for side in (height, width))
    return cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def write_jpeg(place: Path, pixels: np.ndarray, quality: int) -> None:
    """Write uint8 RGB (h, w, 3) as a JPEG that is there whole or not at all; one writer at a time.

    It is not forced to the disk: a power cut may leave an empty file, which `is_whole` and `read_jpeg` refuse.
    """
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    unfinished = place.with_suffix(".part")
    try:
        unfinished.unlink(missing_ok=True)  # of a process that was killed; it may be a second name of a good file
        unfinished.write_bytes(encoded.tobytes())
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)


def link_jpeg(there: Path, place: Path) -> bool:
    """Give a file a second name, so that equal pixels take room once; False where the file system cannot."""
    unfinished = place.with_suffix(".part")
    try:
        unfinished.unlink(missing_ok=True)
        os.link(there, unfinished)
        unfinished.replace(place)
    except OSError:
        return False
    finally:
        unfinished.unlink(missing_ok=True)
    return True


def is_whole(place: Path) -> bool:
    """Whether a stored file is there and ends as a JPEG does."""
    with suppress(OSError), place.open("rb") as file:
        file.seek(-len(_END), os.SEEK_END)
        return file.read() == _END
    return False


def read_jpeg(place: Path, side: int) -> np.ndarray | None:
    """The pixels of a file of `write_jpeg`, uint8 RGB (h, w, 3); None where it is damaged or gone.

    Args:
        place: the file.
        side: pixels that the shorter side needs; a file at least twice as large is decoded at 1/2, 1/4 or 1/8.
    """
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        return None
    if not data.endswith(_END):
        return None
    with suppress(cv2.error, ValueError):
        flags = _REDUCED[reduction(min(_shape(data)), side)] | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
        return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return None


def _shape(data: bytes) -> tuple[int, int]:
    """Height and width in pixels, from the frame header of a baseline JPEG (ITU T.81, B.2.2).

    Raises:
        ValueError: there is none.
    """
    offset = 2
    while data[offset : offset + 2] != b"\xff\xc0":
        if offset + 4 > len(data) or data[offset] != 0xFF:
            raise ValueError("no frame header")
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4])
    return int.from_bytes(data[offset + 5 : offset + 7]), int.from_bytes(data[offset + 7 : offset + 9])
