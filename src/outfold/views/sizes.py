"""Arithmetic of resizing: which size a photo takes before its centre is cut, in whole pixels."""

import math

Size = tuple[int, int]
"""(height, width) in pixels."""


def enlarge(size: Size, crop_pct: float) -> Size:
    """The frame of which a centre crop of `size` keeps the share `crop_pct` of each side, rounded up."""
    return round_up(size[0] / crop_pct), round_up(size[1] / crop_pct)


def round_up(length: float) -> int:
    """Whole pixels; a quotient that should be whole but is not quite, as 456 / 0.57, is not rounded up."""
    return math.ceil(length - 1e-6)


def cover(height: int, width: int, frame: Size) -> Size:
    """The smallest size of the same shape that covers the frame.

    One side is exactly the frame's; the other is cut off to whole pixels, as torchvision's and PIL's resizes do.
    """
    if height * frame[1] <= width * frame[0]:
        return frame[0], max(frame[1], width * frame[0] // height)
    return max(frame[0], height * frame[1] // width), frame[1]


def fit_inside(height: int, width: int, frame: Size) -> Size:
    """The largest size of the same shape that fits into the frame, rounded, at least one pixel."""
    scale = min(frame[0] / height, frame[1] / width)
    return max(1, min(frame[0], round(height * scale))), max(1, min(frame[1], round(width * scale)))


def centre(height: int, width: int, size: Size) -> Size:
    """Top and left of the centre crop: halves round to even, as in torchvision."""
    return round((height - size[0]) / 2), round((width - size[1]) / 2)
