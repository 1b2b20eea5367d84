"""Crop rules: always a whole window, never beyond the recording, and where the published system has them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.errors import DataError, RecipeError
from outfold.views.audio.crop import CropRule, place, training_crop, validation_crop

TINY = 1e-9


@st.composite
def rules(draw):
    window = draw(st.floats(0.5, 30))
    middle = (window / 2 - draw(st.floats(0, 1)) * window / 2, window / 2 + draw(st.floats(0, 1)) * window / 2)
    return CropRule(window, draw(st.sampled_from([window, window + 1, 2 * window, math.inf])), middle)


@settings(max_examples=300, deadline=None)
@given(duration=st.floats(1e-4, 300), rule=rules(), seed=st.integers(0, 1000))
def test_training_windows_are_whole_and_inside(duration, rule, seed):
    crop = training_crop(duration, np.random.default_rng(seed), rule)
    assert crop.window_s == pytest.approx(rule.window_s)
    assert min(crop.start_s, crop.pad_left_s, crop.pad_right_s) >= 0
    assert crop.end_s <= duration + TINY
    if duration >= rule.window_s:
        assert crop.pad_left_s == crop.pad_right_s == 0
        assert crop.end_s <= rule.span_s + TINY or crop.start_s >= duration - rule.span_s - TINY
    else:
        assert (crop.start_s, crop.length_s) == (0, duration)
        middle = crop.pad_left_s + duration / 2
        assert rule.middle_s[0] - TINY <= middle <= rule.middle_s[1] + TINY


def crops(duration, count=4000):
    rng = np.random.default_rng(0)
    return [training_crop(duration, rng) for _ in range(count)]


def test_long_recordings_are_heard_at_their_head_and_tail_alike():
    starts = np.array([crop.start_s for crop in crops(60)])
    head, tail = starts[starts < 30], starts[starts > 30]
    assert len(head) / len(starts) == pytest.approx(0.5, abs=0.03)
    for part, first in ((head, 0), (tail, 54)):
        assert part.min() == pytest.approx(first, abs=0.01)
        assert part.max() == pytest.approx(first + 1, abs=0.01)
        assert part.mean() == pytest.approx(first + 0.5, abs=0.03)


def test_recordings_just_longer_than_a_window_are_heard_anywhere():
    starts = np.array([crop.start_s for crop in crops(5.4)])
    assert 0 <= starts.min() < 0.01
    assert 0.39 < starts.max() <= 0.4
    assert training_crop(5, np.random.default_rng(0)).start_s == 0


def test_the_middle_of_a_short_recording_falls_between_two_and_three_seconds():
    middles = np.array([crop.pad_left_s + 0.5 for crop in crops(1)])
    assert middles.min() == pytest.approx(2, abs=0.01)
    assert middles.max() == pytest.approx(3, abs=0.01)
    assert middles.mean() == pytest.approx(2.5, abs=0.02)


@settings(max_examples=100, deadline=None)
@given(duration=st.floats(1e-4, 300), window=st.floats(0.5, 30))
def test_validation_hears_the_first_seconds_in_the_middle(duration, window):
    crop = validation_crop(duration, window)
    assert crop.start_s == 0
    assert crop.length_s == min(duration, window)
    assert crop.window_s == pytest.approx(window)
    assert crop.pad_left_s == pytest.approx(crop.pad_right_s, abs=TINY)


@settings(max_examples=200, deadline=None)
@given(
    duration=st.floats(0.01, 12),
    slip=st.integers(-2, 2),
    sample_rate=st.sampled_from([8000, 16_000, 32_000]),
    seed=st.integers(0, 1000),
)
def test_placed_sounds_fill_a_window_of_one_length(duration, slip, sample_rate, seed):
    crop = training_crop(duration, np.random.default_rng(seed))
    start, stop = crop.samples(sample_rate)
    assert (start, stop - start) == (round(crop.start_s * sample_rate), round(crop.length_s * sample_rate))
    sound = np.ones(max(1, stop - start + slip), np.float32)
    window = place(sound, crop, sample_rate)
    assert window.shape == (5 * sample_rate,)
    before = round(crop.pad_left_s * sample_rate)
    assert not window[:before].any()
    assert abs(window.sum() - len(sound)) <= 3
    assert window[before : before + len(sound) - 3].all()


@pytest.mark.parametrize("duration", [0, -1, math.nan])
def test_recordings_without_a_length_are_refused(duration):
    with pytest.raises(DataError, match="no length"):
        training_crop(duration, np.random.default_rng(0))
    with pytest.raises(DataError, match="no length"):
        validation_crop(duration)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [({"window_s": 0}, "window_s"), ({"span_s": 4}, "span_s"), ({"middle_s": (2.6, 3)}, "middle_s")],
)
def test_rules_that_cannot_hold_are_refused(wrong, name):
    with pytest.raises(RecipeError, match=name):
        CropRule(**wrong)
