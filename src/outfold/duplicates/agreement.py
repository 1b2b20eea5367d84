"""How well two photos agree, pixel by pixel, once one is laid over the other.

An embedding says that two photos look alike. Whether they are one picture, whole or in part, shows when one is turned,
flipped, moved and stretched over the other: a copy then differs by little but brightness and compression. The
agreement is the correlation of grey values over the part that both show, at the best of the eight orientations, less
what the typical photo explains: solar cells or skin spots are alike in their frame and their middle, and that says
nothing. It is the partial correlation given the mean photo.

The fit is Gauss and Newton's: with b the other photo, s and t its stretch and place along each axis, and g and o a gain
and an offset of brightness, minimise the sum over the pixels (x, y) of (a(x, y) - g b(s1 x + t1, s2 y + t2) - o)^2,
from coarse to fine (Lucas and Kanade 1981, with the gain of Bartoli 2008).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numba
import numpy as np

SIDES = (16, 32, 128)
"""Sides of the grey thumbnails in pixels, coarse to fine."""

STARTS = np.array([[1, 0], [0.85, 0], [0.92, -0.08], [0.92, 0.08], [0.8, -0.2], [0.8, 0], [0.8, 0.2]])
"""Parts of the first photo, along one axis, that the other may show: their share of the side, and their middle."""

TRIED = (48, 10)
"""Starts that are fitted to the coarse thumbnails, and those of them that are fitted to the middle ones."""

DARKEST, BRIGHTEST = 2, 252
"""Grey values beyond which light was cut off; such pixels tell less of what was there."""

HOPELESS = 0.75
"""Agreement of the middle thumbnails below which the fine ones are not looked at."""

CUT_OFF = 0.05
"""Weight of pixels whose light was cut off."""

LEAST_OVERLAP = 0.4
"""Share of the first photo that the other must cover."""

AT_ONCE = 256
"""Pairs that a thread takes at a time."""


def thumbnails(photos: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Grey thumbnails of photos, each uint8 (h, w, 3): for each of SIDES uint8 (n, side, side)."""
    levels = tuple(np.empty((len(photos), side, side), dtype=np.uint8) for side in SIDES)
    for row, photo in enumerate(photos):
        grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
        for level, side in zip(levels, SIDES, strict=True):
            level[row] = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    return levels


def typical_photo(photos: np.ndarray) -> np.ndarray:
    """The mean of photos (n, side, side) in all eight orientations, float32 (side, side)."""
    mean = photos.mean(axis=0, dtype=np.float64)
    turned = [np.rot90(mean, turns) for turns in range(4)]
    return np.mean(turned + [view.T for view in turned], axis=0).astype(np.float32)


def agreements(
    levels: Sequence[np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    *,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The agreement of pairs of photos, float32 (p,), 0 to 1.

    Args:
        levels: for each of SIDES the photos' thumbnails, (n, side, side).
        first: int64 (p,), photos.
        second: int64 (p,), photos to lay over them.
        threads: that share the work.
        progress: is told (pairs done, pairs in all).
    """
    typical = [typical_photo(level) for level in levels[1:]]
    pairs = np.stack([first, second], axis=1).astype(np.int64)
    parts = [pairs[start : start + AT_ONCE] for start in range(0, len(pairs), AT_ONCE)]
    compare: Callable[[np.ndarray], np.ndarray] = partial(_agreements, *levels, *typical)
    found = [compare(pairs[:0])]  # compiled here, once, not by all threads at the same time
    with ThreadPoolExecutor(threads) as pool:
        for part in pool.map(compare, parts):
            found.append(part)
            if progress is not None:
                progress(min((len(found) - 1) * AT_ONCE, len(pairs)), len(pairs))
    return np.concatenate(found)


@numba.njit(nogil=True, cache=True)
def _agreements(
    coarse: np.ndarray,
    middle: np.ndarray,
    fine: np.ndarray,
    rough_typical: np.ndarray,
    typical: np.ndarray,
    pairs: np.ndarray,
) -> np.ndarray:
    found = np.empty(len(pairs), dtype=np.float32)
    for row in range(len(pairs)):
        found[row] = _agreement(coarse, middle, fine, rough_typical, typical, pairs[row])
    return found


@numba.njit(nogil=True, cache=True)
def _agreement(
    coarse: np.ndarray,
    middle: np.ndarray,
    fine: np.ndarray,
    rough_typical: np.ndarray,
    typical: np.ndarray,
    pair: np.ndarray,
) -> float:
    """Tries both photos as the whole of which the other is a part, and fits the most promising starts."""
    count = len(STARTS)
    scores = np.empty((2, 8, count, count))
    for part in range(2):
        whole, place = _halved(coarse[pair[part]]), np.empty(4)
        for turn in range(8):
            over = _oriented(_halved(coarse[pair[1 - part]]), turn)
            for down in range(count):
                for across in range(count):
                    _start(place, down, across)
                    scores[part, turn, down, across] = _resemblance(whole, over, place)
    flat = scores.ravel()
    tried, places, fitted = np.empty(TRIED[0], dtype=np.int64), np.empty((TRIED[0], 4)), np.empty(TRIED[0])
    for trial in range(TRIED[0]):
        start = int(np.argmax(flat))
        tried[trial] = start
        flat[start] = -1.0
        _start(places[trial], start // count % count, start % count)
        fitted[trial] = _fit_start(coarse, pair, int(tried[trial]), places[trial], 4)
    best, chosen = -1.0, 0
    for _ in range(TRIED[1]):
        trial = int(np.argmax(fitted))
        fitted[trial] = -1.0
        score = _fit_start(middle, pair, int(tried[trial]), places[trial], 4)
        if score > best:
            best, chosen = score, trial
    whole, over = _laid_over(middle, pair, int(tried[chosen]))
    rough = _partial(whole, over, rough_typical, places[chosen])
    if rough < HOPELESS:
        return rough
    whole, over = _laid_over(fine, pair, int(tried[chosen]))
    _fit(whole, over, places[chosen], 5)
    return _partial(whole, over, typical, places[chosen])


@numba.njit(nogil=True, cache=True)
def _laid_over(photos: np.ndarray, pair: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The whole photo of a start, and the part in the start's orientation."""
    side = start // len(STARTS) ** 2
    part, turn = side // 8, side % 8
    return photos[pair[part]].astype(np.float32), _oriented(photos[pair[1 - part]], turn)


@numba.njit(nogil=True, cache=True)
def _fit_start(photos: np.ndarray, pair: np.ndarray, start: int, place: np.ndarray, steps: int) -> float:
    whole, over = _laid_over(photos, pair, start)
    return _fit(whole, over, place, steps)


@numba.njit(nogil=True, cache=True)
def _start(place: np.ndarray, down: int, across: int) -> None:
    """Where a part of the first photo stands: the other's place y is (x - middle) / share."""
    place[0], place[1] = 1 / STARTS[down, 0], -STARTS[down, 1] / STARTS[down, 0]
    place[2], place[3] = 1 / STARTS[across, 0], -STARTS[across, 1] / STARTS[across, 0]


@numba.njit(nogil=True, cache=True)
def _halved(photo: np.ndarray) -> np.ndarray:
    """Means of two by two pixels."""
    side = len(photo) // 2
    half = np.empty((side, side), dtype=np.float32)
    for row in range(side):
        for column in range(side):
            upper = np.float32(photo[2 * row, 2 * column]) + np.float32(photo[2 * row, 2 * column + 1])
            lower = np.float32(photo[2 * row + 1, 2 * column]) + np.float32(photo[2 * row + 1, 2 * column + 1])
            half[row, column] = (upper + lower) / 4
    return half


@numba.njit(nogil=True, cache=True, fastmath=True)
def _resemblance(a: np.ndarray, b: np.ndarray, place: np.ndarray) -> float:
    """Pearson's correlation with the nearest pixels of b: quick, to choose starts."""
    side = len(a)
    half = side / 2
    n, sa, sb, saa, sbb, sab = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for row in range(side):
        v = (place[0] * ((row + 0.5) / half - 1) + place[1] + 1) * half
        if v < 0 or v >= side:
            continue
        for column in range(side):
            u = (place[2] * ((column + 0.5) / half - 1) + place[3] + 1) * half
            if u < 0 or u >= side:
                continue
            x, y = a[row, column], b[int(v), int(u)]
            n += 1
            sa, sb = sa + x, sb + y
            saa, sbb, sab = saa + x * x, sbb + y * y, sab + x * y
    spread = (saa - sa * sa / n) * (sbb - sb * sb / n) if n else 0.0
    return (sab - sa * sb / n) / np.sqrt(spread) if spread > 1e-3 else 0.0


@numba.njit(nogil=True, cache=True)
def _oriented(photo: np.ndarray, turn: int) -> np.ndarray:
    """One of the eight orientations of a square."""
    if turn & 4:
        photo = photo.T
    if turn & 1:
        photo = photo[::-1]
    if turn & 2:
        photo = photo[:, ::-1]
    return photo.astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _fit(a: np.ndarray, b: np.ndarray, place: np.ndarray, steps: int) -> float:
    """Improve `place` (stretch and shift along rows, then columns, in half sides) and return the correlation."""
    normal, right = np.empty((6, 6)), np.empty(6)
    best, kept = _correlation(a, b, place), place.copy()
    _equations(a, b, place, 0.0, normal, right)
    gain = _gain(normal, right)  # brightness first: the place only moves once grey values are comparable
    for _ in range(steps):
        _equations(a, b, place, gain, normal, right)
        if not _solve(normal, right):
            break
        for axis in range(4):
            place[axis] += right[axis]
        gain = right[4]
        if not (0.6 < place[0] < 1.7 and 0.6 < place[2] < 1.7 and abs(place[1]) < 0.7 and abs(place[3]) < 0.7):
            break
        now = _correlation(a, b, place)
        if now > best:
            best = now
            kept[:] = place
    place[:] = kept
    return best


@numba.njit(nogil=True, cache=True, fastmath=True)
def _equations(
    a: np.ndarray, b: np.ndarray, place: np.ndarray, gain: float, normal: np.ndarray, right: np.ndarray
) -> None:
    """Normal equations of one Gauss-Newton step: of four moves, and of the gain and the offset, sought anew."""
    side = len(a)
    half = side / 2
    normal[:], right[:] = 0.0, 0.0
    terms = np.empty(6)
    for row in range(side):
        y = (row + 0.5) / half - 1
        v = (place[0] * y + place[1] + 1) * half - 0.5
        if v < 0 or v > side - 1:
            continue
        top = min(int(v), side - 2)
        down = v - top
        for column in range(side):
            x = (column + 0.5) / half - 1
            u = (place[2] * x + place[3] + 1) * half - 0.5
            if u < 0 or u > side - 1:
                continue
            left = min(int(u), side - 2)
            across = u - left
            p, q = b[top, left], b[top, left + 1]
            r, s = b[top + 1, left], b[top + 1, left + 1]
            upper, lower = p + across * (q - p), r + across * (s - r)
            value = upper + down * (lower - upper)
            slope_y = gain * (lower - upper) * half
            slope_x = gain * ((q - p) * (1 - down) + (s - r) * down) * half
            terms[0], terms[1], terms[2], terms[3] = slope_y * y, slope_y, slope_x * x, slope_x
            terms[4], terms[5] = value, 1.0
            target = a[row, column]
            for i in range(6):
                for j in range(i + 1):
                    normal[i, j] += terms[i] * terms[j]
                right[i] += terms[i] * target


@numba.njit(nogil=True, cache=True)
def _gain(normal: np.ndarray, right: np.ndarray) -> float:
    """The gain where nothing moves, by least squares."""
    determinant = normal[4, 4] * normal[5, 5] - normal[5, 4] ** 2
    return (normal[5, 5] * right[4] - normal[5, 4] * right[5]) / determinant if determinant > 1e-9 else 1.0


@numba.njit(nogil=True, cache=True)
def _solve(normal: np.ndarray, right: np.ndarray) -> bool:
    """Cholesky's solution of the damped normal equations, in place; False where they have none."""
    size = len(right)
    for i in range(size):
        normal[i, i] = normal[i, i] * (1 + 1e-4) + 1e-9
        for j in range(i + 1):
            total = normal[i, j]
            for k in range(j):
                total -= normal[i, k] * normal[j, k]
            if i == j:
                if total <= 0:
                    return False
                normal[i, i] = np.sqrt(total)
            else:
                normal[i, j] = total / normal[j, j]
    for i in range(size):
        for k in range(i):
            right[i] -= normal[i, k] * right[k]
        right[i] /= normal[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            right[i] -= normal[k, i] * right[k]
        right[i] /= normal[i, i]
    return True


@numba.njit(nogil=True, cache=True)
def _correlation(a: np.ndarray, b: np.ndarray, place: np.ndarray) -> float:
    """Pearson's correlation over the pixels that both photos show, 0 or more; 0 where these are too few."""
    return max(_correlations(a, b, a, place)[0], 0.0)


@numba.njit(nogil=True, cache=True)
def _partial(a: np.ndarray, b: np.ndarray, typical: np.ndarray, place: np.ndarray) -> float:
    """The correlation of what the typical photo does not explain, 0 or more."""
    ab, at, bt = _correlations(a, b, typical, place)
    left = (1 - at * at) * (1 - bt * bt)
    return max((ab - at * bt) / np.sqrt(left), 0.0) if left > 1e-9 else 0.0


@numba.njit(nogil=True, cache=True, fastmath=True)
def _correlations(a: np.ndarray, b: np.ndarray, third: np.ndarray, place: np.ndarray) -> tuple[float, float, float]:
    """Pearson's correlations of a with b, a with the third and b with the third, over the pixels that b covers."""
    side = len(a)
    half = side / 2
    covered, n, sa, sb, st, saa, sbb, stt, sab, sat, sbt = 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for row in range(side):
        v = (place[0] * ((row + 0.5) / half - 1) + place[1] + 1) * half - 0.5
        if v < -0.5 or v > side - 0.5:
            continue
        top = max(min(int(v), side - 2), 0)
        down = min(max(v - top, 0.0), 1.0)
        for column in range(side):
            u = (place[2] * ((column + 0.5) / half - 1) + place[3] + 1) * half - 0.5
            if u < -0.5 or u > side - 0.5:
                continue
            left = max(min(int(u), side - 2), 0)
            across = min(max(u - left, 0.0), 1.0)
            upper = b[top, left] + across * (b[top, left + 1] - b[top, left])
            lower = b[top + 1, left] + across * (b[top + 1, left + 1] - b[top + 1, left])
            y, x, z = upper + down * (lower - upper), a[row, column], third[row, column]
            w = 1.0 if DARKEST < x < BRIGHTEST and DARKEST < y < BRIGHTEST else CUT_OFF
            covered += 1
            n += w
            sa, sb, st = sa + w * x, sb + w * y, st + w * z
            saa, sbb, stt = saa + w * x * x, sbb + w * y * y, stt + w * z * z
            sab, sat, sbt = sab + w * x * y, sat + w * x * z, sbt + w * y * z
    if covered < LEAST_OVERLAP * side * side:
        return 0.0, 0.0, 0.0
    va, vb, vt = saa - sa * sa / n, sbb - sb * sb / n, stt - st * st / n
    if va < 1e-3 or vb < 1e-3 or vt < 1e-3:
        return 0.0, 0.0, 0.0
    ab, at, bt = sab - sa * sb / n, sat - sa * st / n, sbt - sb * st / n
    return ab / np.sqrt(va * vb), at / np.sqrt(va * vt), bt / np.sqrt(vb * vt)
