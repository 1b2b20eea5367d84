"""Tables of lightness for the tiles of a photo, and pixels looked up in them: compiled, one pass each.

Lightness is CIE L* of sRGB under D65, scaled to 0..255 as in OpenCV's 8-bit Lab. Keeping a* and b* while L* changes
adds the same number to the three cube roots f(X), f(Y), f(Z) of CIE 1976, from which linear RGB follows by cubing. The
two curves (sRGB's and the cube root) are read from tables short enough for a processor's inner caches.

Steps of a row are loops of their own, over arrays of one row: so the compiler turns all but the table reads into vector
instructions, which took a third of the time of one loop.
"""

import numpy as np
from numba import njit

from outfold.views.augment.maps import fold_one, last_of

LINEAR_STEPS = 16384
"""Steps of linear light in the table of f: right to 0.07 of a level of lightness, near black."""
ENCODED_STEPS = 8192
"""Steps of linear light in the table of sRGB values: right to 0.2 of a level before rounding, near black."""
DELTA = 6 / 29
"""f is linear below DELTA cubed (CIE 15)."""
LEVELS_PER_L = 2.55

RGB_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
"""ITU-R BT.709 primaries with D65, as OpenCV uses them."""
TO_XYZ = RGB_TO_XYZ / RGB_TO_XYZ.sum(axis=1, keepdims=True)
"""Scaled so that white is (1, 1, 1)."""


def to_linear(encoded: np.ndarray) -> np.ndarray:
    """SRGB values 0..1 to linear light 0..1 (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def to_encoded(linear: np.ndarray) -> np.ndarray:
    """Linear light 0..1 to sRGB values 0..1 (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def cube_root(light: np.ndarray) -> np.ndarray:
    """The function f of CIE 1976: 16 / 116 at 0, 1 at 1."""
    return np.where(light > DELTA**3, np.cbrt(light), light / (3 * DELTA**2) + 4 / 29)


_LIGHT = to_linear(np.arange(256) / 255).astype(np.float32)
_ROOT = cube_root(np.arange(LINEAR_STEPS + 1) / LINEAR_STEPS).astype(np.float32)
_ENCODED = np.rint(255 * to_encoded(np.arange(ENCODED_STEPS + 1) / ENCODED_STEPS)).astype(np.uint8)
_FORWARD = (TO_XYZ * LINEAR_STEPS).astype(np.float32)
_BACK = (np.linalg.inv(TO_XYZ) * ENCODED_STEPS).astype(np.float32)
_LIGHTNESS = np.rint((116 * cube_root(np.arange(LINEAR_STEPS + 1) / LINEAR_STEPS) - 16) * LEVELS_PER_L).astype(np.uint8)


def tile_tables(image: np.ndarray, tiles: int, clip_limit: float, weight: int = 1) -> np.ndarray:
    """Clipped and equalised histograms of lightness.

    Args:
        image: uint8 (h, w, 3), contiguous or a strided view.
        tiles: along each side. They differ by a pixel where their number does not divide the side.
        clip_limit: bins are cut at this many times a flat histogram's count, and all bins share what is cut off.
        weight: how many pixels each one stands for.

    Returns:
        Float32 (tiles, tiles, 256), 0..255: new lightness for each old one. A tile without pixels, in an image with
        fewer pixels than tiles along a side, keeps the lightness.
    """
    counts = _count(image, _LIGHT, _FORWARD, _LIGHTNESS, tiles) * weight
    return _equalise(counts, clip_limit)


def look_up(
    image: np.ndarray, tables: np.ndarray, frame: tuple[int, int], matrix: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """Replace the lightness of every pixel by what the tables around its place say.

    Args:
        image: uint8 (h, w, 3).
        tables: float32 (tiles, tiles, 256).
        frame: height and width of the image that the tiles divide.
        matrix: float64 (3, 3), pixel index (x, y, 1) -> index in the frame; beyond the frame its reflection is meant.
        out: uint8 (h, w, 3), written; it may be the image.
    """
    _look_up(
        image, tables, frame[0], frame[1], matrix.astype(np.float32), _LIGHT, _ROOT, _ENCODED, _FORWARD, _BACK, out
    )
    return out


@njit(nogil=True, cache=True)
def _count(image: np.ndarray, light: np.ndarray, forward: np.ndarray, lightness: np.ndarray, tiles: int) -> np.ndarray:
    """Counts int32 (tiles, tiles, 256) of the lightness."""
    height, width = image.shape[:2]
    counts = np.zeros((tiles, tiles, 256), np.int32)
    red, green, blue = forward[1]
    for y in range(height):
        row = y * tiles // height
        for column in range(tiles):
            # Tile c holds the pixels x with x * tiles // width == c.
            for x in range(-(-column * width // tiles), -(-(column + 1) * width // tiles)):
                luminance = red * light[image[y, x, 0]] + green * light[image[y, x, 1]] + blue * light[image[y, x, 2]]
                counts[row, column, lightness[np.uint32(np.int32(luminance + np.float32(0.5)))]] += 1
    return counts


@njit(nogil=True, cache=True)
def _equalise(counts: np.ndarray, clip_limit: float) -> np.ndarray:
    """Clip each histogram, share out what was clipped as OpenCV does, and sum up."""
    tables = np.empty(counts.shape, np.float32)
    for row in range(counts.shape[0]):
        for column in range(counts.shape[1]):
            bins, table = counts[row, column], tables[row, column]
            total = bins.sum()
            limit = max(1, int(clip_limit * total / 256))
            excess = 0
            for level in range(256):
                excess += max(bins[level] - limit, 0)
            # What 256 bins cannot share equally goes, one each, to every so-manieth bin from black upwards.
            share, rest = excess // 256, excess % 256
            every = max(256 // max(rest, 1), 1)
            below = 0
            for level in range(256):
                extra = 1 if level % every == 0 and level // every < rest else 0
                below += min(bins[level], limit) + share + extra
                table[level] = below * (255 / total) if total else level
    return tables


@njit(nogil=True, cache=True, error_model="numpy", fastmath=True)
def _look_up(
    image: np.ndarray,
    tables: np.ndarray,
    frame_height: int,
    frame_width: int,
    matrix: np.ndarray,
    light: np.ndarray,
    root: np.ndarray,
    encoded: np.ndarray,
    forward: np.ndarray,
    back: np.ndarray,
    out: np.ndarray,
) -> None:
    """Rows of pixels in six loops: light, XYZ, roots, place, lightness, and back."""
    height, width = image.shape[:2]
    zero, half, white = np.float32(0), np.float32(0.5), np.float32(len(encoded) - 1)
    last_tile, last_x, last_y = np.float32(len(tables) - 1), last_of(frame_width), last_of(frame_height)
    last = np.int32(len(tables) - 1)
    across, down = np.float32(len(tables) / frame_width), np.float32(len(tables) / frame_height)
    levels, black = np.float32(116 * LEVELS_PER_L), np.float32(16 * LEVELS_PER_L)
    knee, slope, offset = np.float32(DELTA), np.float32(3 * DELTA**2), np.float32(4 / 29)
    # Allocated one by one, the compiler knows that they do not overlap.
    a, b, c = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    i, j, k = np.empty(width, np.int32), np.empty(width, np.int32), np.empty(width, np.int32)
    u, v = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        for x in range(width):
            a[x], b[x], c[x] = light[image[y, x, 0]], light[image[y, x, 1]], light[image[y, x, 2]]
        for x in range(width):
            i[x] = np.int32(forward[0, 0] * a[x] + forward[0, 1] * b[x] + forward[0, 2] * c[x] + half)
            j[x] = np.int32(forward[1, 0] * a[x] + forward[1, 1] * b[x] + forward[1, 2] * c[x] + half)
            k[x] = np.int32(forward[2, 0] * a[x] + forward[2, 1] * b[x] + forward[2, 2] * c[x] + half)
        for x in range(width):
            a[x], b[x], c[x] = root[np.uint32(i[x])], root[np.uint32(j[x])], root[np.uint32(k[x])]
        from_x, from_y = matrix[0, 1] * np.float32(y) + matrix[0, 2], matrix[1, 1] * np.float32(y) + matrix[1, 2]
        for x in range(width):
            place_x = fold_one(matrix[0, 0] * np.float32(x) + from_x, last_x)
            place_y = fold_one(matrix[1, 0] * np.float32(x) + from_y, last_y)
            u[x] = min(max((place_x + half) * across - half, zero), last_tile)
            v[x] = min(max((place_y + half) * down - half, zero), last_tile)
        for x in range(width):
            level = np.uint32(np.int32(b[x] * levels - black + half))
            left, upper = np.int32(u[x]), np.int32(v[x])
            right, lower = np.uint32(min(left + 1, last)), np.uint32(min(upper + 1, last))
            part_x, part_y = u[x] - np.float32(left), v[x] - np.float32(upper)
            above, below = tables[np.uint32(upper), np.uint32(left), level], tables[lower, np.uint32(left), level]
            above += part_x * (tables[np.uint32(upper), right, level] - above)
            below += part_x * (tables[lower, right, level] - below)
            v[x] = (above + part_y * (below - above) + black) / levels - b[x]
        for x in range(width):
            f_x, f_y, f_z = a[x] + v[x], b[x] + v[x], c[x] + v[x]
            light_x = f_x * f_x * f_x if f_x > knee else slope * (f_x - offset)
            light_y = f_y * f_y * f_y if f_y > knee else slope * (f_y - offset)
            light_z = f_z * f_z * f_z if f_z > knee else slope * (f_z - offset)
            red = back[0, 0] * light_x + back[0, 1] * light_y + back[0, 2] * light_z
            green = back[1, 0] * light_x + back[1, 1] * light_y + back[1, 2] * light_z
            blue = back[2, 0] * light_x + back[2, 1] * light_y + back[2, 2] * light_z
            i[x] = np.int32(min(max(red, zero), white) + half)
            j[x] = np.int32(min(max(green, zero), white) + half)
            k[x] = np.int32(min(max(blue, zero), white) + half)
        for x in range(width):
            out[y, x, 0] = encoded[np.uint32(i[x])]
            out[y, x, 1] = encoded[np.uint32(j[x])]
            out[y, x, 2] = encoded[np.uint32(k[x])]
