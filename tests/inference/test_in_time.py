"""Windows seen together, against loops over one recording after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from outfold.data.audio.rows import RowClips
from outfold.errors import DataError
from outfold.inference.in_time import (
    KERNEL,
    boost_by_recording,
    overlap,
    overlap_mean,
    sharpen_by_recording,
    smooth_in_time,
    smoothing,
)

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@st.composite
def soundscapes(draw: st.DrawFn) -> Rows:
    """Logits (n, k), recordings (n,) and times (n,) of some recordings, windows missing, in any order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = []
    for name in draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=4, unique=True)):
        place = np.flatnonzero(rng.random(draw(st.integers(1, 9))) < 0.8)
        parts += [(f"soundscape_{name}", 5.0 * p + 5 * draw(st.integers(0, 1))) for p in place]
    parts = parts or [("alone", 0.0)]
    rng.shuffle(parts)
    recording, time_s = zip(*dict.fromkeys(parts), strict=True)
    return rng.normal(-3, 2, (len(recording), 3)), np.array(recording, dtype=object), np.array(time_s)


def stretches(recording: np.ndarray, start_s: np.ndarray, length_s: float | np.ndarray) -> RowClips:
    return RowClips(recording, start_s, start_s + length_s)


def slowly_boosted(logits: np.ndarray, recording: np.ndarray, weight: float) -> np.ndarray:
    out = logits.copy()
    for name in set(recording):
        own = logits[recording == name]
        loudest = own.max(axis=0)
        out[recording == name] = own + weight * (loudest + own.mean() - loudest.mean())
    return out


def slowly_smoothed(values: np.ndarray, recording: np.ndarray, time_s: np.ndarray, kernel: tuple) -> np.ndarray:
    half, out = len(kernel) // 2, np.zeros_like(values)
    for i in range(len(values)):
        total = 0.0
        for j in range(len(values)):
            hops = round((time_s[j] - time_s[i]) / 5)
            if recording[j] == recording[i] and abs(hops) <= half:
                out[i] += kernel[half + hops] * values[j]
                total += kernel[half + hops]
        out[i] /= total
    return out


def slowly_overlapped(values: np.ndarray, windows: RowClips, rows: RowClips) -> np.ndarray:
    out = np.zeros((len(rows.recording), values.shape[1]))
    for i in range(len(out)):
        seconds = np.zeros(len(values))
        for j in range(len(values)):
            if windows.recording[j] == rows.recording[i]:
                end = min(windows.end_s[j], rows.end_s[i])
                seconds[j] = max(0, end - max(windows.start_s[j], rows.start_s[i]))
        out[i] = seconds @ values / seconds.sum()
    return out


@given(soundscapes(), st.floats(0, 2))
def test_boost_and_sharpening_are_their_formulas(rows: Rows, weight: float) -> None:
    logits, recording, _ = rows
    assert_allclose(
        boost_by_recording(logits, recording, weight=weight), slowly_boosted(logits, recording, weight), **EXACT
    )
    expected = 1 / (1 + np.exp(-slowly_boosted(logits, recording, 1.0) / 2))
    assert_allclose(sharpen_by_recording(logits, recording), expected, **EXACT)


def test_boost_of_one_soundscape_by_hand() -> None:
    logits = np.array([[0.0, -2.0], [2.0, -4.0]])  # maxima 2 and -2, their mean 0, the mean of all -1
    boosted = boost_by_recording(logits, np.array(["a", "a"]), weight=0.8)
    assert_allclose(boosted, [[0.8, -4.4], [2.8, -6.4]])
    assert_array_equal(boost_by_recording(logits, np.array(["a", "a"]), weight=0), logits)


@given(soundscapes(), st.lists(st.floats(0.01, 3), min_size=1, max_size=7).filter(lambda kernel: len(kernel) % 2))
def test_smoothing_is_its_formula(rows: Rows, kernel: list[float]) -> None:
    found = smooth_in_time(*rows, kernel=kernel)
    assert_allclose(found, slowly_smoothed(*rows, tuple(kernel)), **EXACT)


def test_smoothing_of_one_window_by_hand() -> None:
    values = np.eye(5)[:, :1]
    found = smooth_in_time(values, np.zeros(5), 5 * np.arange(5))[:, 0]
    assert_allclose(found, [0.4 / 0.7, 0.2 / 0.9, 0.1, 0, 0])


@settings(max_examples=60)
@given(soundscapes(), st.floats(0.5, 12), st.floats(0.5, 12), st.integers(0, 2**32 - 1))
def test_overlaps_are_their_formula(rows: Rows, window_s: float, row_s: float, seed: int) -> None:
    values, recording, time_s = rows
    rng = np.random.default_rng(seed)
    lengths = window_s * rng.uniform(1, 3, len(time_s))
    windows = stretches(recording, time_s + rng.uniform(0, 5, len(time_s)), lengths)
    chosen = rng.integers(0, len(recording), 6)
    shift = rng.uniform(-0.99 * row_s, 0.99 * window_s, 6)
    wanted = stretches(recording[chosen], windows.start_s[chosen] + shift, row_s)
    assert_allclose(overlap_mean(values, windows, wanted), slowly_overlapped(values, windows, wanted), **EXACT)


def test_windows_at_half_a_hop_on_rows_of_five_seconds() -> None:
    windows = stretches(np.full(4, "a"), np.array([0, 2.5, 5, 7.5]), 5.0)
    rows = stretches(np.full(2, "a"), np.array([0.0, 5.0]), 5.0)
    found = overlap_mean(np.array([[1.0], [2], [4], [8]]), windows, rows)[:, 0]
    assert_allclose(found, [(5 + 2.5 * 2) / 7.5, (2.5 * 2 + 5 * 4 + 2.5 * 8) / 10])
    assert overlap(windows, windows).shape == (4, 4)


@given(soundscapes(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: Rows, random) -> None:
    logits, recording, time_s = rows
    order = np.array(random.sample(range(len(logits)), len(logits)))
    windows, shuffled = stretches(recording, time_s, 7.0), stretches(recording[order], time_s[order], 7.0)
    for whole, part in (
        (boost_by_recording(logits, recording), boost_by_recording(logits[order], recording[order])),
        (sharpen_by_recording(logits, recording), sharpen_by_recording(logits[order], recording[order])),
        (smooth_in_time(*rows), smooth_in_time(logits[order], recording[order], time_s[order])),
        (overlap_mean(logits, windows, windows), overlap_mean(logits[order], shuffled, shuffled)),
    ):
        assert_allclose(whole[order], part, **EXACT)


@given(soundscapes())
def test_soundscapes_do_not_touch_each_other(rows: Rows) -> None:
    logits, recording, time_s = rows
    own = recording == recording[0]
    windows = stretches(recording, time_s, 7.0)
    alone = stretches(recording[own], time_s[own], 7.0)
    assert_allclose(boost_by_recording(logits, recording)[own], boost_by_recording(logits[own], recording[own]))
    assert_allclose(sharpen_by_recording(logits, recording)[own], sharpen_by_recording(logits[own], recording[own]))
    assert_allclose(smooth_in_time(*rows)[own], smooth_in_time(logits[own], recording[own], time_s[own]))
    assert_allclose(overlap_mean(logits, windows, windows)[own], overlap_mean(logits[own], alone, alone))


@given(soundscapes())
def test_constants_stay_and_weights_sum_to_one(rows: Rows) -> None:
    logits, recording, time_s = rows
    same = np.full_like(logits, -1.5)
    windows = stretches(recording, time_s, 7.0)
    assert_allclose(smooth_in_time(same, recording, time_s), same)
    assert_allclose(overlap_mean(same, windows, windows), same)
    assert_allclose(sharpen_by_recording(same, recording), 1 / (1 + np.exp(1.5)))
    for matrix in (smoothing(recording, time_s, KERNEL), overlap(windows, windows)):
        assert_allclose(matrix.sum(axis=1), 1)
        assert matrix.data.min() >= 0


@given(soundscapes())
def test_sharpening_keeps_the_mean_logit_of_a_recording(rows: Rows) -> None:
    logits, recording, _ = rows
    p = sharpen_by_recording(logits, recording)
    own = recording == recording[0]
    assert_allclose(np.log(p / (1 - p))[own].mean(), logits[own].mean(), rtol=1e-9)


def test_the_float_type_stays_and_no_rows_are_no_error() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    names, times = np.array(["a", "a", "b", "b"]), np.array([0, 5, 0, 5])
    windows = stretches(names, times, 5.0)
    for n in (4, 0):
        some = stretches(names[:n], times[:n], 5.0)
        for found in (
            boost_by_recording(logits[:n], names[:n]),
            sharpen_by_recording(logits[:n], names[:n]),
            smooth_in_time(logits[:n], names[:n], times[:n]),
            overlap_mean(logits, windows, some),
        ):
            assert found.dtype == np.float32
            assert found.shape == (n, 2)


def test_what_cannot_be_seen_in_time() -> None:
    logits, names, times = np.zeros((3, 2)), np.array(["a", "a", "b"]), np.array([0.0, 5.0, 0.0])
    with pytest.raises(DataError, match="do not fit together"):
        boost_by_recording(logits, names[:2])
    with pytest.raises(DataError, match=r"not finite[\s\S]*\[1\]"):
        sharpen_by_recording(np.array([[0.0], [np.inf], [0.0]]), names)
    with pytest.raises(DataError, match="negative"):
        boost_by_recording(logits, names, weight=-0.1)
    with pytest.raises(DataError, match=r"twice[\s\S]*'a' at 5.0 s"):
        smooth_in_time(np.zeros((4, 2)), np.append(names, "a"), np.append(times, 5.0))
    with pytest.raises(DataError, match=r"off the grid[\s\S]*'a' at 7.0 s"):
        smooth_in_time(logits, names, np.array([0.0, 7.0, 0.0]))
    with pytest.raises(DataError, match="not every window has a time"):
        smooth_in_time(logits, names, np.array([0.0, np.nan, 0.0]))
    with pytest.raises(DataError, match="no floats"):
        smooth_in_time(np.zeros((3, 2), int), names, times)
    for kernel in ((0.5, 0.5), (1, 0, 1), (-0.1, 1, 0.1), (), (np.nan,), (1, np.inf, 1)):
        with pytest.raises(DataError, match="kernel"):
            smooth_in_time(logits, names, times, kernel=kernel)
    with pytest.raises(DataError, match=r"no window overlaps a row[\s\S]*'b' at 5.0 s"):
        overlap_mean(logits, stretches(names, times, 5.0), stretches(np.array(["b"]), np.array([5.0]), 5.0))
    with pytest.raises(DataError, match="a window has no end"):
        overlap_mean(logits, stretches(names, times, 0.0), stretches(names, times, 5.0))
    with pytest.raises(DataError, match="a row has no end"):
        overlap_mean(logits, stretches(names, times, 5.0), stretches(names, times, np.inf))


def test_averaging_windows_that_overlap_is_smoothing_with_a_triangle() -> None:
    rng = np.random.default_rng(0)
    names, start = np.repeat(["a", "b"], [9, 5]), np.r_[np.arange(9.0), np.arange(5.0)]
    windows, values = stretches(names, start, 3.0), rng.normal(size=(14, 2))
    smooth = smooth_in_time(values, names, start, kernel=(1, 2, 3, 2, 1), hop_s=1.0)
    assert_allclose(smooth, overlap_mean(values, windows, windows), **EXACT)
