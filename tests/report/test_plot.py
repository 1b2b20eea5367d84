import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.report.numbers import counted, duration, metric_title, number, percent
from outfold.report.plot import integer_ticks, log_ticks, nice_ticks, padded, path_of, plot, tick_texts, widened
from outfold.report.sections.training import spread

FINITE = st.floats(-1e6, 1e6)


@given(FINITE, st.floats(1e-6, 1e6))
def test_ticks_are_round_inside_and_few(low: float, span: float) -> None:
    high = low + span
    if high <= low:
        return
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 6
    slack = 1e-6 * (abs(low) + span)
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    assert len(tick_texts(ticks)) == len(ticks)


def test_tick_texts_share_their_decimals() -> None:
    assert tick_texts(nice_ticks(0, 1)) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert tick_texts([-1000.0, 0.0, 1000.0]) == ["\u22121,000", "0", "1,000"]


@given(st.integers(1, 3000))
def test_epochs_get_whole_ticks_from_the_first(last: int) -> None:
    ticks = integer_ticks(1, last)
    assert ticks[0] == 1
    assert ticks[-1] <= last
    assert len(ticks) <= 9
    assert all(tick == int(tick) for tick in ticks)


def test_logarithmic_ticks() -> None:
    assert log_ticks(3, 60) == [5, 10, 20, 50]
    assert log_ticks(1, 20_000) == [1, 10, 100, 1000, 10_000]


def test_scales_map_ends_to_ends_upwards() -> None:
    area = plot((0, 10), (0, 1))
    assert area.x([0, 10]).tolist() == [area.x.start, area.x.stop]
    assert area.y(0.0) > area.y(1.0)
    logarithmic = plot((1, 100), (0, 1), log_x=True)
    assert logarithmic.x(10) == pytest.approx((logarithmic.x.start + logarithmic.x.stop) / 2)


def test_the_pen_is_lifted_over_missing_values() -> None:
    assert path_of(np.arange(4.0), np.array([0, math.nan, 2, 3])) == "M0 0M2 2L3 3"


def test_empty_ranges_are_widened() -> None:
    assert widened(2.0, 2.0) == (1.0, 3.0)
    assert widened(0.0, 0.0) == (-0.5, 0.5)
    assert padded(np.array([np.nan])) == (0.0, 1.0)


@given(st.lists(st.floats(0, 200), max_size=8).map(sorted))
def test_labels_are_spread_in_order_and_inside(places: list[float]) -> None:
    moved = spread(places, 11, 0, 200)
    assert all(b - a >= 11 - 1e-6 for a, b in pairwise(moved))
    assert all(-1e-6 <= place <= 200 + 1e-6 for place in moved)


def test_labels_with_room_stay_where_they_are() -> None:
    assert spread([10, 50, 90], 11, 0, 200) == [10, 50, 90]


def test_numbers_as_they_are_read() -> None:
    assert [number(v) for v in (0.85714, 12.3456, 123.45, 12345.6, -0.5, 2e-5, 0, None, math.nan)] == [
        "0.8571", "12.35", "123.5", "12,346", "\u22120.5000", "2e\u221205", "0.0000", "\u2013", "\u2013",
    ]  # fmt: skip
    assert [duration(s) for s in (3.21, 59.97, 245, 7980)] == ["3.2 s", "1 min 00 s", "4 min 05 s", "2 h 13 min"]
    assert [percent(s) for s in (0, 0.0004, 0.034, 0.5, None)] == ["0%", "<0.1%", "3.4%", "50%", "\u2013"]
    assert counted(1, "row") == "1 row"
    assert counted(2000, "class", "classes") == "2,000 classes"
    assert metric_title("macro_f1") == "Macro F1"
    assert metric_title("log_loss") == "Log loss"
