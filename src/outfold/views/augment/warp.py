"""Geometry as one resampling: any number of affine steps become one matrix and one pass over the pixels.

Coordinates are pixel indices (x, y): the centre of the first pixel is (0, 0) and the image covers
[-0.5, width - 0.5]. A matrix maps output indices to input indices, so a mirror is x -> width - 1 - x and a
resize is x -> (x + 0.5) * scale - 0.5. Outside the photo its reflection is read (`dcb|abcd|cba`).

Steps that bend (lens, grid and elastic distortion) join in `bend`: there the warp reads a dense map, not a matrix.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

BORDER = cv2.BORDER_REFLECT_101
TOLERANCE = 1e-6
"""In pixels; composed matrices are products of a few float64 matrices, whose error is near 1e-12."""


@dataclass(frozen=True)
class Affine:
    """One geometric step.

    Attributes:
        matrix: float64 (3, 3), output pixel index (x, y, 1) -> input pixel index.
        height: of the output, in pixels.
        width: of the output, in pixels.
    """

    matrix: np.ndarray
    height: int
    width: int


def compose(steps: Sequence[Affine]) -> Affine:
    """The one step that equals these in turn; the last one's size is the output's."""
    matrix = steps[0].matrix
    for step in steps[1:]:
        matrix = matrix @ step.matrix
    return Affine(matrix, steps[-1].height, steps[-1].width)


def crop_resize(top: float, left: float, window: tuple[float, float], size: tuple[int, int]) -> Affine:
    """Read the window (height, width) whose corner is at (top, left), scaled to `size`."""
    scale_y, scale_x = window[0] / size[0], window[1] / size[1]
    shift_x, shift_y = left + 0.5 * scale_x - 0.5, top + 0.5 * scale_y - 0.5
    return Affine(np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y], [0, 0, 1.0]]), *size)


def similarity(
    height: int, width: int, *, degrees: float = 0.0, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> Affine:
    """Turn counter-clockwise and enlarge about the centre, then move the content by `shift` = (x, y) pixels."""
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    from_x, from_y = centre_x + shift[0], centre_y + shift[1]
    matrix = [
        [cos, -sin, centre_x - cos * from_x + sin * from_y],
        [sin, cos, centre_y - sin * from_x - cos * from_y],
        [0, 0, 1.0],
    ]
    return Affine(np.array(matrix), height, width)


def render(image: np.ndarray, step: Affine) -> np.ndarray:
    """Resample once: uint8 (H, W, 3) -> a new uint8 (height, width, 3).

    Mirrors, quarter turns and whole-pixel crops move pixels without changing them; an upright window of whole pixels
    takes the cheaper resize; everything else is a bilinear warp. Where the photo shrinks by 2 or more it is first
    averaged over boxes of whole pixels, so that fine texture does not alias.
    """
    image, to_boxes = shrink(image, step.matrix)
    matrix = to_boxes @ step.matrix
    upright = _upright(image, matrix, step.height, step.width)
    return warp_affine(image, matrix, step.height, step.width) if upright is None else upright


def shrink(image: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average boxes of whole pixels: as many as an output pixel spans along each input axis, rounded down.

    Returns:
        The smaller image and the matrix from the given image's pixel indices to its own; the image itself and the
        identity where an output pixel spans less than two input pixels.
    """
    height, width = image.shape[:2]
    box_x, box_y = (
        min(max(1, math.floor(math.hypot(*row) + TOLERANCE)), side)
        for row, side in zip(matrix[:2, :2].tolist(), (width, height), strict=True)
    )
    if box_x == box_y == 1:
        return image, np.eye(3)
    columns, rows = width // box_x, height // box_y
    whole = image[: rows * box_y, : columns * box_x]
    to_boxes = np.array([[1 / box_x, 0, 0.5 / box_x - 0.5], [0, 1 / box_y, 0.5 / box_y - 0.5], [0, 0, 1.0]])
    return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), to_boxes


def _upright(image: np.ndarray, matrix: np.ndarray, height: int, width: int) -> np.ndarray | None:
    """Crop, resize, mirror and transpose, where the matrix is no more than that and the crop is of whole pixels."""
    (xx, xy, x0), (yx, yy, y0) = matrix[:2].tolist()
    if abs(xx) * width + abs(yy) * height < TOLERANCE:
        turned = _upright(image, np.array([[xy, 0, x0], [0, yx, y0], [0, 0, 1.0]]), width, height)
        return None if turned is None else cv2.transpose(turned)
    if abs(xy) * height + abs(yx) * width > TOLERANCE:
        return None
    columns = _whole_window(xx, x0, width, image.shape[1])
    rows = _whole_window(yy, y0, height, image.shape[0])
    if columns is None or rows is None:
        return None
    window = image[rows, columns]
    if window.shape[:2] != (height, width):
        window = cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR)
    mirror = MIRRORS[yy < 0, xx < 0]
    return window.copy() if mirror is None else cv2.flip(window, mirror)


MIRRORS = {(False, False): None, (True, False): 0, (False, True): 1, (True, True): -1}
"""(upside down, left to right) -> the code of cv2.flip."""


def _whole_window(scale: float, offset: float, length: int, side: int) -> slice | None:
    """The input pixels that `length` outputs read along one axis, if they are whole pixels inside the input."""
    first, last = sorted((offset, offset + scale * (length - 1)))
    start, stop = first + 0.5 - abs(scale) / 2, last + 0.5 + abs(scale) / 2
    whole = abs(start - round(start)) < TOLERANCE and abs(stop - round(stop)) < TOLERANCE
    return slice(round(start), round(stop)) if whole and round(start) >= 0 and round(stop) <= side else None


def warp_affine(image: np.ndarray, matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear warp. Through four channels, because OpenCV's kernel for four is 2.4 times as fast as for three."""
    left, top, window = _read_window(image, matrix, height, width)
    local = matrix[:2] - np.array([[0, 0, left], [0, 0, top]])
    warped = cv2.warpAffine(
        cv2.cvtColor(window, cv2.COLOR_RGB2RGBA),
        local,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=BORDER,
    )
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)


def _read_window(image: np.ndarray, matrix: np.ndarray, height: int, width: int) -> tuple[int, int, np.ndarray]:
    """Left, top and pixels of the part the output reads; the whole side where it reads beyond the border."""
    x, y = matrix[:2] @ np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1], [1, 1, 1, 1.0]])
    left, right = _span(x.min(), x.max(), image.shape[1])
    top, bottom = _span(y.min(), y.max(), image.shape[0])
    return left, top, image[top:bottom, left:right]


def _span(low: float, high: float, side: int) -> tuple[int, int]:
    start, stop = math.floor(low) - 1, math.ceil(high) + 2
    return (start, stop) if start >= 0 and stop <= side else (0, side)
