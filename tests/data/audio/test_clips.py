"""Clips: windows of any recording, row ids there and back, tables with errors that name rows."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.data.audio.clips import (
    Clip,
    clip_table,
    clips_of_row_ids,
    clips_of_table,
    parse_row_id,
    row_id,
    window_starts,
    windows_of,
)
from outfold.errors import DataError


def test_clips_are_the_same_where_all_is() -> None:
    clips = {Clip("a.ogg", 0, 5), Clip("a.ogg", 0.0, 5.0), Clip("a.ogg", 0, 6), Clip("b.ogg", 0, 5)}
    assert len(clips) == 3
    assert sorted(clips)[0].duration_s == 5


@pytest.mark.parametrize("span", [(-1, 5), (5, 5), (6, 5), (0, math.inf), (math.nan, 5), (0, math.nan)])
def test_windows_that_are_none(span: tuple[float, float]) -> None:
    with pytest.raises(DataError, match=r"a\.ogg: no window"):
        Clip("a.ogg", *span)


@pytest.mark.parametrize(
    ("duration", "window", "hop", "complete", "padded"),
    [
        (240, 5, 5, 48, 48),
        (239.9995, 5, 5, 48, 48),  # an encoder's rounding
        (239.9, 5, 5, 47, 48),
        (12, 5, 2.5, 3, 4),
        (4, 5, 5, 0, 1),
        (0, 5, 5, 0, 0),
        (10, 5, 0.1, 51, 51),
        (11, 2, 5, 2, 3),
        (12, 2, 5, 3, 3),
        (9, 2, 5, 2, 2),  # the rest lies between windows
    ],
)
def test_numbers_of_windows(duration: float, window: float, hop: float, complete: int, padded: int) -> None:
    assert np.allclose(window_starts(duration, window, hop), hop * np.arange(complete), atol=1e-12)
    assert np.allclose(window_starts(duration, window, hop, last="pad"), hop * np.arange(padded), atol=1e-12)


@given(st.floats(0, 500), st.floats(0.1, 30), st.floats(0.1, 30))
def test_windows_fill_a_recording(duration: float, window: float, hop: float) -> None:
    """Counted one by one; the padded ones leave nothing uncovered but gaps."""
    complete = 0
    while complete * hop + window <= duration + 0.001:
        complete += 1
    assert abs(len(window_starts(duration, window, hop)) - complete) <= (1 if _near(duration, window, hop) else 0)
    padded = window_starts(duration, window, hop, last="pad")
    if duration > 0.001:
        assert len(padded) > 0
        assert padded[-1] < duration
        if hop <= window:
            assert padded[-1] + window >= duration - 0.0011


def _near(duration: float, window: float, hop: float) -> bool:
    """On the edge of one more window, where one rounding differs from another."""
    windows = (duration + 0.001 - window) / hop
    return abs(windows - round(windows)) < 1e-9


def test_windows_as_clips() -> None:
    assert windows_of("s/a_b.ogg", 11, 5) == [Clip("s/a_b.ogg", 0, 5), Clip("s/a_b.ogg", 5, 10)]
    assert windows_of("a", 11, 5, last="pad")[-1] == Clip("a", 10, 15)


names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1)


@given(names, st.integers(1, 10**6))
def test_row_ids_come_back(name: str, second: int) -> None:
    assert parse_row_id(row_id(name, float(second))) == (name, second)


def test_row_ids_of_soundscapes() -> None:
    assert row_id("soundscape_1446779", 5.0) == "soundscape_1446779_5"
    assert parse_row_id("S4A03895_20190522_000000_240") == ("S4A03895_20190522_000000", 240)


def test_row_ids_between_whole_seconds_keep_their_milliseconds() -> None:
    ends = [clip.end_s for clip in windows_of("a", 20, 5, 0.125)]
    ids = [row_id("a_1", end) for end in ends]
    assert ids[:5] == ["a_1_5", "a_1_5.125", "a_1_5.25", "a_1_5.375", "a_1_5.5"]
    assert [parse_row_id(one) for one in ids] == [("a_1", end) for end in ends]
    assert row_id("a", 4.9995) == "a_5"  # lengths in samples are not quite whole


@pytest.mark.parametrize(
    "text",
    ["", "a", "a_", "_5", "a_5.0", "a_5.50", "a_.5", "a_5.", "a_0.0", "a_5.1234", "a_-5", "a_05", "a_0", "a_x", "a_٣"],
)
def test_texts_that_are_no_row_ids(text: str) -> None:
    with pytest.raises(DataError, match="is no row id"):
        parse_row_id(text)


def test_clips_of_row_ids() -> None:
    clips = clips_of_row_ids(["x_y_5", "x_y_10"], 5.0, "unlabeled/{name}.flac")
    assert clips == [Clip("unlabeled/x_y.flac", 0, 5), Clip("unlabeled/x_y.flac", 5, 10)]
    with pytest.raises(DataError, match="row 2: 'b' is no row id"):
        clips_of_row_ids(["a_5", "b"], 5.0)
    with pytest.raises(DataError, match=r"row 1: .*no window"):
        clips_of_row_ids(["a_3"], 5.0)


def test_tables_of_clips() -> None:
    clips = windows_of("a.ogg", 12.5, 5, 2.5)
    table = clip_table(clips)
    assert list(table.columns) == ["file", "start_s", "end_s"]
    assert clips_of_table(table.assign(more=1)) == clips
    assert clips_of_table(clip_table([])) == []


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("file", None, r"train\.csv:3: no value in column 'file'"),
        ("start_s", "soon", r"train\.csv:3: column 'start_s'"),
        ("end_s", None, r"train\.csv:3: column 'end_s'"),
        ("end_s", "1", r"train\.csv:3: a\.ogg: no window"),
    ],
)
def test_bad_cells_are_named(column: str, value: str | None, words: str) -> None:
    frame = pd.DataFrame({"file": ["a.ogg"] * 2, "start_s": ["0", "5"], "end_s": ["5", "10"]}, dtype=object)
    frame = frame.assign(source="train.csv", source_row=[2, 3])
    frame.loc[1, column] = value
    with pytest.raises(DataError, match=words):
        clips_of_table(frame)
    with pytest.raises(DataError, match=r"clips\.csv: no column 'start_s'"):
        clips_of_table(frame.drop(columns="start_s"), table="clips.csv")
