"""Plain borders of a photo, such as cardboard around a quadrat: where they end, or None where that is not sure."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from outfold.data.crops import Box

MOST = 0.3
"""No side loses more than this share of the photo's width or height; a border that goes on has no end to trust."""

LONGEST_SIDE = 512
"""Pixels at which photos are looked at: grain and JPEG noise are averaged away, blades of grass are not."""

_STRIP = 0.015
"""Share of the lines, from the outside, that say what the border looks like."""
_PLAIN_STRIP = 0.85
"""Share of that strip that must be plain."""
_ROUGHNESS = 2.5
"""Standard deviation of lightness (0 to 100) over 3 x 3 pixels from which on a pixel is not plain."""
_COLOUR, _LIGHT = 8.0, 14.0
"""How far from the strip's colour (a and b of CIE Lab) and from its lightness at that place along the line a pixel of
the border may be. Shadows change the lightness."""
_STRAIGHT = 0.8
"""Share of the places along a side where the border must end on one straight line; plates and fruit end on curves."""
_OFF = 0.015
"""How far off that line it may end there, as a share of the lines."""
_TILT = 0.08
"""Slope of that line at most, about 4.5 degrees."""
_SHIFT = 0.03
"""By no more than this share of the lines may it end later where twice as much is allowed: what changes by and by has
no end of its own."""


@dataclass(frozen=True)
class _Look:
    """A photo from one of its sides: row 0 is the outermost line."""

    lab: np.ndarray
    """float32 (lines, length, 3), CIE Lab."""
    rough: np.ndarray
    """float32 (lines, length), deviation of the lightness about each pixel."""

    def from_side(self, side: int) -> "_Look":
        """0 left, 1 top, 2 right, 3 bottom, of the photo as it is."""
        lab, rough = self.lab, self.rough
        if side in (0, 2):
            lab, rough = lab.swapaxes(0, 1), rough.swapaxes(0, 1)
        return _Look(lab[::-1], rough[::-1]) if side in (2, 3) else _Look(lab, rough)

    def between(self, span: slice) -> "_Look":
        """A part of each line."""
        return _Look(self.lab[:, span], self.rough[:, span])


@dataclass(frozen=True)
class _Border:
    """What one side shows.

    Attributes:
        depth: lines that are border.
        colour: of the border (a, b).
        clear: whether it ends, and does so within a few lines; true where there is no border.
    """

    depth: int = 0
    colour: np.ndarray = field(default_factory=lambda: np.zeros(2))
    clear: bool = True


def plain_border(photo: np.ndarray) -> Box | None:
    """The part of a photo inside a plain border.

    From each side inwards, pixels count as border while they have no texture and the colour of the photo's edge;
    lightness may change along the edge, as a shadow does. A border ends on a straight line, a little tilted perhaps, of
    which the middle counts. The box is a proposal for a person to judge: where a border has no clear end, or several
    have different colours, there is none.

    Args:
        photo: uint8 RGB (h, w, 3).

    Returns:
        The box in the photo's pixels, smaller than the photo on at least one side and by at most MOST on each; None
        where there is no border, or no certainty.
    """
    height, width = photo.shape[:2]
    look = _look(photo)
    depths = [0, 0, 0, 0]
    for _ in range(2):  # the second time, each side leaves out what the others have found
        found = [_border(look.from_side(side).between(_span(look, side, depths))) for side in range(4)]
        depths = [border.depth for border in found]
    colours = [border.colour for border in found if border.depth]
    if not colours or np.ptp(colours, axis=0).max() > 2 * _COLOUR or not all(border.clear for border in found):
        return None
    scale = np.array([width, height, width, height]) / np.tile(look.rough.shape[::-1], 2)
    left, top, right, bottom = np.floor(np.array(depths) * scale).astype(int).tolist()
    return Box(left, top, width - right, height - bottom)


def scaled(box: Box, size: tuple[int, int], other: tuple[int, int]) -> Box:
    """A box of one version of a photo in the pixels of another.

    Args:
        box: in a photo of `size`.
        size: width and height.
        other: width and height of the other version.
    """
    across, down = other[0] / size[0], other[1] / size[1]
    return Box(round(box.left * across), round(box.top * down), round(box.right * across), round(box.bottom * down))


def _look(photo: np.ndarray) -> _Look:
    height, width = photo.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    small = cv2.resize(
        photo, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness = lab[..., 0]
    mean, square = cv2.blur(lightness, (3, 3)), cv2.blur(lightness**2, (3, 3))
    return _Look(lab, np.sqrt(np.maximum(square - mean**2, 0)))


def _span(look: _Look, side: int, depths: list[int]) -> slice:
    """The part of a side's lines that lies between the borders of the two sides next to it."""
    before, after = ((depths[1], depths[3]), (depths[0], depths[2]))[side % 2]
    length = look.rough.shape[side % 2]
    return slice(before, length - after)


def _border(look: _Look) -> _Border:
    """The border of one side."""
    lines = len(look.rough)
    strip = max(2, round(_STRIP * lines))
    smooth = look.rough[:strip] < _ROUGHNESS
    if smooth.size == 0 or smooth.mean() < _PLAIN_STRIP:
        return _Border()
    colour = np.median(look.lab[:strip][smooth][:, 1:], axis=0)
    light = _along(np.median(look.lab[:strip, :, 0], axis=0))
    strict, loose = (_plain(look, colour, light, tolerance) for tolerance in (1, 2))
    if strict[:strip].mean() < _PLAIN_STRIP:
        return _Border()
    depth, straight = _edge(strict)
    later, _ = _edge(loose)
    clear = straight and later - depth <= max(3, _SHIFT * lines)
    return _Border(depth if depth <= MOST * lines else 0, colour, clear)


def _plain(look: _Look, colour: np.ndarray, light: np.ndarray, tolerance: float) -> np.ndarray:
    """Which pixels are as smooth as a border and have its colour, bool (lines, length).

    Args:
        look: the lines.
        colour: (a, b) of the border.
        light: (length,) its lightness along a line.
        tolerance: factor of all that is allowed.
    """
    near = np.abs(look.lab[..., 1:] - colour).max(axis=-1) < tolerance * _COLOUR
    lit = np.abs(look.lab[..., 0] - light) < tolerance * _LIGHT
    return near & lit & (look.rough < tolerance * _ROUGHNESS)


def _edge(plain: np.ndarray) -> tuple[int, bool]:
    """The line on which plain pixels end, at the middle of the side, and whether they end there all along.

    Args:
        plain: bool (lines, length), from the outside in.

    Returns:
        Lines from the outside, all where too little ends within MOST; and whether the end is a straight edge.
    """
    lines, length = plain.shape
    around = cv2.blur(plain.astype(np.float32), (1, 5), borderType=cv2.BORDER_REPLICATE)
    ended = around < 0.5
    ends = np.where(ended.any(axis=0), ended.argmax(axis=0), lines).astype(np.float64)
    known = ends <= MOST * lines
    if known.mean() < 0.5:
        return lines, False
    place = np.arange(length) - (length - 1) / 2
    first, last = known & (place < -length / 6), known & (place > length / 6)
    slope = 0.0
    if first.any() and last.any():
        slope = float((np.median(ends[last]) - np.median(ends[first])) / (place[last].mean() - place[first].mean()))
    middle = float(np.median((ends - slope * place)[known]))
    off = np.abs(ends - slope * place - middle) <= max(2, _OFF * lines)
    return round(middle), abs(slope) <= _TILT and off.mean() >= _STRAIGHT


def _along(values: np.ndarray) -> np.ndarray:
    """A running mean over an eighth of the values, float32 (n,)."""
    return cv2.blur(values.astype(np.float32)[None], (max(1, len(values) // 8), 1), borderType=cv2.BORDER_REPLICATE)[0]
