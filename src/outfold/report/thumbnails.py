"""Photos as small JPEGs inside the page."""

import base64

import cv2
import numpy as np

from outfold.data.crops import Photo, decode_photo

LONGEST_SIDE = 192
"""Pixels; shown at about half of it, so that it stays sharp on a dense screen."""
QUALITY = 78


def thumbnail(photo: Photo) -> str:
    """A photo, or the part of it that is used, as a data URI of a JPEG.

    Raises:
        MediaError: the file is missing or cannot be decoded.
        DataError: the part does not lie in the photo.
    """
    return data_uri(shrunk(decode_photo(photo, shortest_side=LONGEST_SIDE)))


def shrunk(image: np.ndarray, longest: int = LONGEST_SIDE) -> np.ndarray:
    """A photo uint8 (h, w, 3) with its longer side at most `longest` pixels, every side at least one."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def data_uri(image: np.ndarray) -> str:
    """RGB uint8 (h, w, 3) as a JPEG, or RGBA (h, w, 4) as a PNG, in a data URI."""
    opaque = image.shape[2] == 3
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if opaque else cv2.COLOR_RGBA2BGRA)
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if opaque else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    _, encoded = cv2.imencode(".jpg" if opaque else ".png", stored, options)
    kind = "jpeg" if opaque else "png"
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
