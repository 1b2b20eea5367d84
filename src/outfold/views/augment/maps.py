"""Dense maps of coordinates, compiled: each step is one pass over float32 arrays x and y of one shape, in place.

Positions beyond a frame are folded back at its first and last pixel, as often as it takes.
"""

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def fold_one(position: np.float32, last: np.float32) -> np.float32:
    """Reflect a position at 0 and at `last`, float32: the distance to the nearest multiple of twice the length."""
    period = np.float32(2) * last
    return abs(position - period * np.floor(position / period + np.float32(0.5)))


@njit(nogil=True, cache=True)
def last_of(length: int) -> np.float32:
    """The last position of a side, float32; half a pixel for a side of one, which has no length to fold at."""
    return max(np.float32(length - 1), np.float32(0.5))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def grid(matrix: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a matrix float32 (3, 3) puts the pixel indices: x and y, float32 (height, width) each."""
    x, y = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    for row in range(height):
        from_x = matrix[0, 1] * np.float32(row) + matrix[0, 2]
        from_y = matrix[1, 1] * np.float32(row) + matrix[1, 2]
        for i in range(width):
            x[row, i], y[row, i] = matrix[0, 0] * np.float32(i) + from_x, matrix[1, 0] * np.float32(i) + from_y
    return x, y


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def transform(x: np.ndarray, y: np.ndarray, matrix: np.ndarray) -> None:
    """Move all points as a matrix float32 (3, 3) does."""
    for row in range(len(x)):
        for i in range(x.shape[1]):
            old_x, old_y = x[row, i], y[row, i]
            x[row, i] = matrix[0, 0] * old_x + matrix[0, 1] * old_y + matrix[0, 2]
            y[row, i] = matrix[1, 0] * old_x + matrix[1, 1] * old_y + matrix[1, 2]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def fold(x: np.ndarray, y: np.ndarray, height: int, width: int) -> None:
    """Bring points beyond a frame back into it, so that cv2.remap meets its border, which it is slow at, nowhere."""
    last_x, last_y = last_of(width), last_of(height)
    for row in range(len(x)):
        for i in range(x.shape[1]):
            x[row, i], y[row, i] = fold_one(x[row, i], last_x), fold_one(y[row, i], last_y)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def bend_radially(x: np.ndarray, y: np.ndarray, height: int, width: int, k: float) -> None:
    """Move points away from the centre by a factor 1 + k r^2 + k r^4, with r in sides."""
    last_x, last_y = last_of(width), last_of(height)
    centre_x, centre_y = np.float32((width - 1) / 2), np.float32((height - 1) / 2)
    to_u, to_v = np.float32(1 / width), np.float32(1 / height)
    one, strength = np.float32(1), np.float32(k)
    for row in range(len(x)):
        for i in range(x.shape[1]):
            right, down = fold_one(x[row, i], last_x) - centre_x, fold_one(y[row, i], last_y) - centre_y
            square = (right * to_u) ** 2 + (down * to_v) ** 2
            factor = one + strength * (square + square * square)
            x[row, i], y[row, i] = right * factor + centre_x, down * factor + centre_y


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def stretch(position: np.ndarray, length: int, factors: np.ndarray) -> None:
    """Integrate factors float32 (n,) of n equal cells, `length` pixels in all, from the edge to each position.

    The sum of a ramp from the edge and one more from every line between cells, where the slope changes.
    """
    last, half, zero = last_of(length), np.float32(0.5), np.float32(0)
    cell = np.float32(length / len(factors))
    place = np.empty(position.shape[1], np.float32)
    for row in range(len(position)):
        for i in range(len(place)):
            place[i] = fold_one(position[row, i], last) + half
            position[row, i] = factors[0] * place[i] - half
        for line in range(1, len(factors)):
            edge, change = np.float32(line) * cell, factors[line] - factors[line - 1]
            for i in range(len(place)):
                position[row, i] += change * max(place[i] - edge, zero)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def displace(x: np.ndarray, y: np.ndarray, height: int, width: int, field: np.ndarray, spacing: float) -> None:
    """Add displacements float32 (rows, columns, 2), given at nodes `spacing` pixels apart, bilinear in between."""
    last_x, last_y = last_of(width), last_of(height)
    to_nodes = np.float32(1 / spacing)
    last_node_x, last_node_y = field.shape[1] - 1, field.shape[0] - 1
    place_x, place_y = np.empty(x.shape[1], np.float32), np.empty(x.shape[1], np.float32)
    for row in range(len(x)):
        for i in range(len(place_x)):  # by itself, for the compiler makes vector instructions of it
            place_x[i], place_y[i] = fold_one(x[row, i], last_x), fold_one(y[row, i], last_y)
        for i in range(len(place_x)):
            u, v = place_x[i] * to_nodes, place_y[i] * to_nodes
            left, upper = np.uint32(np.int32(u)), np.uint32(np.int32(v))
            right, lower = np.uint32(min(left + 1, last_node_x)), np.uint32(min(upper + 1, last_node_y))
            part_x, part_y = u - np.float32(left), v - np.float32(upper)
            above_x, below_x = field[upper, left, 0], field[lower, left, 0]
            above_y, below_y = field[upper, left, 1], field[lower, left, 1]
            above_x += part_x * (field[upper, right, 0] - above_x)
            below_x += part_x * (field[lower, right, 0] - below_x)
            above_y += part_x * (field[upper, right, 1] - above_y)
            below_y += part_x * (field[lower, right, 1] - below_y)
            x[row, i] = place_x[i] + above_x + part_y * (below_x - above_x)
            y[row, i] = place_y[i] + above_y + part_y * (below_y - above_y)
