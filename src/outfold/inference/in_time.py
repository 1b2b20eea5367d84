"""Windows of recordings seen together: raised by the loudest, smoothed along time, averaged where they overlap.

All functions take the windows of many recordings at once, as rows (n, k) in any order, with the recording of each row
and where needed its time. Recordings never touch each other. Results have the rows' order and float type; sums are
taken in float64.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from outfold.data.audio.rows import RowClips
from outfold.data.predictions import sigmoid
from outfold.errors import DataError

KERNEL = (0.1, 0.2, 0.4, 0.2, 0.1)
"""What a window, its two neighbours on either side and their neighbours count in the third system of BirdCLEF 2024."""

OFF_GRID = 1e-3
"""Share of a hop by which a time may miss its place on the grid."""


def boost_by_recording(logits: np.ndarray, recording: np.ndarray, *, weight: float = 0.8) -> np.ndarray:
    """Raise what is heard anywhere in a recording in all of its windows: P + w (M + mean(P) - mean(M)).

    P are the logits of one recording, (t, k), and M[c] = max over its t windows of P[., c]. mean(P) is one number, over
    the recording's windows and classes; mean(M) is one number, over its classes. So M is moved to the mean of P, and
    the mean of the result is (1 + w) mean(P). (Post-processing of the third system of BirdCLEF 2024, w = 0.8.)

    Args:
        logits: float (n, k).
        recording: (n,), whatever names the recording of each row.
        weight: w, from 0 on; 0 changes nothing.

    Raises:
        DataError: the arrays do not fit together, or a number is not finite.
    """
    if not weight >= 0:
        raise DataError("the boost's weight is negative", got=weight, expected="0 or more")
    return (logits + weight * _centred_maxima(logits, recording)).astype(logits.dtype)


def sharpen_by_recording(logits: np.ndarray, recording: np.ndarray) -> np.ndarray:
    """Probabilities for pseudo-labels: sigmoid((P + M + mean(P) - mean(M)) / 2).

    P, M and both means are those of `boost_by_recording`: half of it with a weight of one, so that the recording's mean
    logit stays, and classes that are heard somewhere in it rise at the expense of the others.

    Args:
        logits: float (n, k), as a rule the mean of several teachers.
        recording: (n,), whatever names the recording of each row.

    Raises:
        DataError: the arrays do not fit together, or a number is not finite.
    """
    return sigmoid((logits + _centred_maxima(logits, recording)) / 2).astype(logits.dtype)


def smooth_in_time(
    values: np.ndarray,
    recording: np.ndarray,
    time_s: np.ndarray,
    *,
    kernel: Sequence[float] = KERNEL,
    hop_s: float = 5.0,
) -> np.ndarray:
    """Each window as a weighted mean of itself and its neighbours in time.

    out(t) = sum_d kernel[h + d] values(t + d hops) / sum_d kernel[h + d], d from -h to h, over the windows that there
    are: at the ends of a recording, and beside a missing window, the rest of the kernel is scaled to a sum of one.

    Args:
        values: float (n, k), logits or probabilities.
        recording: (n,), whatever names the recording of each row.
        time_s: (n,), when each window starts (or ends) in its recording, in seconds.
        kernel: weights, an odd number of them, none negative, the middle one above 0.
        hop_s: seconds from one window to the next.

    Raises:
        DataError: the arrays do not fit together, a number is not finite, a window is there twice or off the grid of
            its recording, or the kernel is none.
    """
    _check(values, recording, time_s)
    return _applied(smoothing(recording, time_s, kernel, hop_s), values)


def smoothing(recording: np.ndarray, time_s: np.ndarray, kernel: Sequence[float], hop_s: float = 5.0) -> csr_array:
    """`smooth_in_time` as a sparse matrix (n, n) whose rows sum to one."""
    weights = _checked_kernel(kernel)
    half, count = len(weights) // 2, len(recording)
    group, place = _grid(recording, np.asarray(time_s, dtype=np.float64), hop_s)
    # Numbers in which neighbours differ by one, and recordings by more than the kernel is wide.
    number = group * (int(place.max(initial=0)) + 1 + half) + place
    order = np.argsort(number, kind="stable")
    ordered = number[order]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice):
        row = order[twice[0]]
        got = f"{len(twice)} windows, the first is {str(recording[row])!r} at {time_s[row]} s"
        raise DataError("a window is there twice", got=got, expected="one row for each time of a recording")
    wanted = number[:, None] + np.arange(-half, half + 1)
    at = np.searchsorted(ordered, wanted).clip(max=max(count - 1, 0))
    present = ordered[at] == wanted
    rows, offsets = np.nonzero(present)
    shares = (weights / (present @ weights)[:, None])[rows, offsets]
    return csr_array((shares, (rows, order[at[rows, offsets]])), shape=(count, count))


def overlap_mean(values: np.ndarray, windows: RowClips, rows: RowClips) -> np.ndarray:
    """Predictions of windows at any hop as those of other windows: the mean by seconds of overlap.

    out(r) = sum_w o(r, w) values(w) / sum_w o(r, w), o(r, w) the seconds that row r and window w share.

    Args:
        values: float (n, k), of the windows.
        windows: what was predicted, n of them.
        rows: what is wanted, m of them, e.g. every 5 s, or the windows themselves.

    Returns:
        (m, k), of the values' type.

    Raises:
        DataError: the arrays do not fit together, a number is not finite, or no window overlaps a row.
    """
    _check(values, windows.recording, windows.start_s)
    return _applied(overlap(windows, rows), values)


def overlap(windows: RowClips, rows: RowClips) -> csr_array:
    """`overlap_mean` as a sparse matrix (m, n) whose rows sum to one."""
    _check_ends("window", windows)
    _check_ends("row", rows)
    n, m = len(windows), len(rows)
    group = np.unique(np.concatenate([windows.recording, rows.recording]), return_inverse=True)[1]
    order = np.lexsort((windows.start_s, group[:n]))
    longest = (windows.end_s - windows.start_s).max(initial=0.0)
    low, high = (
        _insertions(group[:n][order], windows.start_s[order], group[n:], wanted)
        for wanted in (rows.start_s - longest, rows.end_s)
    )
    row, at = _ranges(low, high)
    window = order[at]
    ends = np.minimum(windows.end_s[window], rows.end_s[row])
    shared = np.maximum(ends - np.maximum(windows.start_s[window], rows.start_s[row]), 0)
    total = np.bincount(row, shared, m)
    bare = np.flatnonzero(total <= 0)
    if len(bare):
        got = f"{len(bare)} of {m} rows, the first is {str(rows.recording[bare[0]])!r} at {rows.start_s[bare[0]]} s"
        raise DataError("no window overlaps a row", got=got, expected="windows over all of every recording")
    return csr_array((shared / total[row], (row, window)), shape=(m, n))


def _centred_maxima(logits: np.ndarray, recording: np.ndarray) -> np.ndarray:
    """M + mean(P) - mean(M) of each row's recording, float64 (n, k)."""
    _check(logits, recording)
    if not len(logits):
        return np.zeros(logits.shape)
    group = np.unique(recording, return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    maxima = np.maximum.reduceat(logits[order], first, axis=0).astype(np.float64)
    mean = np.bincount(group, logits.mean(axis=1, dtype=np.float64)) / np.bincount(group)
    return (maxima + (mean - maxima.mean(axis=1))[:, None])[group]


def _grid(recording: np.ndarray, time_s: np.ndarray, hop_s: float) -> tuple[np.ndarray, np.ndarray]:
    """The recording of each row as a number, and its place on the recording's grid, each int64 (n,) from 0 on."""
    if not hop_s > 0:
        raise DataError("windows need a hop", got=hop_s, expected="seconds above 0")
    names, group = np.unique(recording, return_inverse=True)
    first = np.full(len(names), np.inf)
    np.minimum.at(first, group, time_s)
    hops = (time_s - first[group]) / hop_s
    place = np.rint(hops).astype(np.int64)
    off = np.flatnonzero(np.abs(hops - place) > OFF_GRID)
    if len(off):
        row = off[0]
        got = f"{len(off)} windows, the first is {str(recording[row])!r} at {time_s[row]} s"
        expected = f"steps of {hop_s} s from the first window of a recording, at {first[group[row]]} s"
        raise DataError("a window is off the grid of its recording", got=got, expected=expected, fix="check `hop_s`")
    return group, place


def _insertions(group: np.ndarray, time: np.ndarray, wanted_group: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where (wanted_group, wanted) would stand among pairs (group, time) in rising order, before equal ones."""
    count = len(group)
    both = np.lexsort((np.r_[np.ones(count), np.zeros(len(wanted))], np.r_[time, wanted], np.r_[group, wanted_group]))
    before = np.cumsum(both < count)
    found = np.empty(len(wanted), dtype=np.int64)
    is_wanted = both >= count
    found[both[is_wanted] - count] = before[is_wanted]
    return found


def _ranges(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All numbers of the ranges [low, high), and which range each is of."""
    sizes = high - low
    which = np.repeat(np.arange(len(low)), sizes)
    return which, np.arange(sizes.sum()) + np.repeat(low - (np.cumsum(sizes) - sizes), sizes)


def _applied(matrix: csr_array, values: np.ndarray) -> np.ndarray:
    return (matrix @ values.astype(np.float64)).astype(values.dtype)


def _checked_kernel(kernel: Sequence[float]) -> np.ndarray:
    weights = np.asarray(kernel, dtype=np.float64)
    usable = weights.ndim == 1 and len(weights) % 2 == 1 and np.isfinite(weights).all() and (weights >= 0).all()
    if not usable or weights[len(weights) // 2] == 0:
        expected = "an odd number of weights, none negative, the middle one above 0"
        raise DataError("the kernel cannot smooth", got=kernel, expected=expected)
    return weights / weights.sum()


def _check(values: np.ndarray, recording: np.ndarray, time_s: np.ndarray | None = None) -> None:
    if values.ndim != 2 or len(values) != len(recording):
        got = f"values {values.shape}, recordings ({len(recording)},)"
        raise DataError("values and recordings do not fit together", got=got, expected="(n, k) and (n,)")
    if values.dtype.kind != "f":
        raise DataError("values are no floats", got=values.dtype, expected="logits or probabilities")
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise DataError("a value is not finite", got=f"{len(bad)} rows, the first are {bad[:3].tolist()}")
    if time_s is not None:
        _check_times("window", recording, time_s)


def _check_times(what: str, recording: np.ndarray, time_s: np.ndarray) -> None:
    if len(time_s) != len(recording) or not np.isfinite(np.asarray(time_s, dtype=np.float64)).all():
        got = f"{len(time_s)} times for {len(recording)} recordings"
        raise DataError(f"not every {what} has a time", got=got, expected="a finite number of seconds for each")


def _check_ends(what: str, clips: RowClips) -> None:
    _check_times(what, clips.recording, clips.start_s)
    bad = np.flatnonzero(~(np.isfinite(clips.end_s) & (clips.end_s > clips.start_s)))
    if len(bad):
        got = f"{len(bad)}, the first is {str(clips.recording[bad[0]])!r} at {clips.start_s[bad[0]]} s"
        raise DataError(f"a {what} has no end", got=got, expected="the seconds in which each begins and ends")
