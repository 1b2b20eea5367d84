"""Answers every so many seconds: which windows they are, and windows among which answers are missing."""

import numpy as np
import pytest

from outfold.data.audio.rows import RowClips
from outfold.errors import DataError
from outfold.inference.answers_in_time import beginning_every, refuse_passed_over


def windows(*starts: float, last_s: float = 5.0, name: str = "a") -> RowClips:
    begins = np.array(starts, dtype=float)
    return RowClips(np.full(len(begins), name, dtype=object), begins, begins + last_s)


def test_windows_that_begin_every_so_many_seconds() -> None:
    start = np.r_[np.arange(6) * 2.5, np.arange(6) * 0.1 * 25 + 5]
    assert start[beginning_every(start, 5.0)].tolist() == [0, 5, 10, 5, 10, 15]
    assert beginning_every(start, 2.5).all()


def test_windows_that_pass_over_an_answer_are_refused() -> None:
    a, b = windows(*np.arange(6) * 2.5), windows(*np.arange(6) * 0.1 * 25 + 5, name="b")
    shuffled = np.random.default_rng(0).permutation(12)
    both = RowClips.stacked([a, b])
    refuse_passed_over(both.take(shuffled), 5.0)
    with pytest.raises(DataError, match=r"no window of a recording begins at a multiple of 40 s[\s\S]*'b'"):
        refuse_passed_over(both, 40.0)
    both = RowClips.stacked([a, windows(*np.arange(6) * 2.5, name="b")])
    with pytest.raises(DataError, match=r"no window begins at 6 s of 'a'[\s\S]*at 5 s and 7.5 s; 4 multiples"):
        refuse_passed_over(both.take(shuffled), 6.0)


def test_windows_that_touch_have_no_gap() -> None:
    with pytest.raises(DataError, match=r"no window begins at 15 s of 'a'[\s\S]*12.5 s and 17.5 s; 2 multiples"):
        refuse_passed_over(windows(0, 5, 10, 12.5, 17.5, 22.5), 5.0)
    with pytest.raises(DataError, match=r"no window begins at 2 s of 'a'[\s\S]*at 1 s and 6 s; 2 multiples"):
        refuse_passed_over(windows(0, 1, 6, 7), 2.0)
    minutes = np.r_[np.arange(0, 60, 5), np.arange(300, 360, 5)]
    refuse_passed_over(windows(*minutes), 5.0)  # what lies between was never cut
    refuse_passed_over(windows(0, 2, 8, 10, last_s=2), 2.0)
    refuse_passed_over(windows(0, 0, 2, 4, 4, last_s=2), 2.0)


def test_windows_further_apart_than_answers_are_refused() -> None:
    for starts, every_s in (((0, 5, 10, 15), 2.0), ((0, 7, 14), 2.0), ((0, 0, 5, 10), 2.0), ((0, 11, 22), 5.0)):
        with pytest.raises(DataError, match=rf"windows begin {np.diff(starts).max()} s apart or more"):
            refuse_passed_over(windows(*starts), every_s)
    refuse_passed_over(RowClips.stacked([windows(0, name=name) for name in "abc"]), 2.0)
    refuse_passed_over(windows(), 2.0)
    refuse_passed_over(windows(0, 60, 120), 5.0)  # every one is an answer


def test_whole_files_are_answered() -> None:
    refuse_passed_over(RowClips(np.array(["a", "b"], dtype=object), np.zeros(2), np.full(2, np.inf)), 5.0)
