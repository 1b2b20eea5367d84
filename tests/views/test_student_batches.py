"""Batches of students keep their promises for any tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from outfold.errors import DataError
from outfold.views.batches import training_batches
from outfold.views.student_batches import student_batches


def table(labelled: int, sizes: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled rows, pseudo-labelled rows after them in any order, and the recordings of these."""
    recording = np.repeat([f"s{i}" for i in range(len(sizes))], sizes)
    order = np.random.default_rng(len(recording)).permutation(len(recording))
    return np.arange(labelled), labelled + order, recording[order]


@given(
    st.integers(1, 40),
    st.lists(st.integers(1, 6), min_size=1, max_size=9),
    st.integers(1, 12),
    st.integers(0, 99),
    st.data(),
)
def test_whole_recordings(labelled: int, sizes: list[int], batch_size: int, epoch: int, data: st.DataObject) -> None:
    first, pseudo, recording = table(labelled, sizes)
    count = data.draw(st.integers(1, len(sizes)))
    batches = student_batches(first, pseudo, recording, (7, epoch), batch_size=batch_size, recordings=count)
    name_of = dict(zip(pseudo.tolist(), recording.tolist(), strict=True))
    times = dict.fromkeys(recording.tolist(), 0)
    for batch, own in zip(batches, training_batches(first, batch_size, (7, epoch)), strict=True):
        assert batch.dtype == np.int64
        assert_array_equal(batch[: len(own)], own)
        windows = batch[len(own) :].tolist()
        names = {name_of[row] for row in windows}
        assert len(names) == count
        assert sorted(windows) == sorted(row for row, name in name_of.items() if name in names)
        for name in names:
            times[name] += 1
    rounds = -(-len(batches) // (len(sizes) // count))
    assert max(times.values()) <= rounds


@given(st.integers(1, 40), st.integers(1, 30), st.integers(1, 12), st.integers(0, 99), st.data())
def test_windows_at_random(labelled: int, windows: int, batch_size: int, epoch: int, data: st.DataObject) -> None:
    first, pseudo, recording = table(labelled, [windows])
    count = data.draw(st.integers(1, windows))
    batches = student_batches(first, pseudo, recording, (7, epoch), batch_size=batch_size, windows=count)
    for batch, own in zip(batches, training_batches(first, batch_size, (7, epoch)), strict=True):
        assert_array_equal(batch[: len(own)], own)
        drawn = batch[len(own) :]
        assert len(np.unique(drawn)) == len(drawn) == count
        assert np.isin(drawn, pseudo).all()
    once = batches[: windows // count]
    dealt = np.concatenate([batch[-count:] for batch in once])
    assert len(np.unique(dealt)) == len(dealt)


def test_as_the_third_system_of_birdclef() -> None:
    first, pseudo, recording = table(300, [48] * 10)
    assert [len(batch) for batch in student_batches(first, pseudo, recording, (0, 0), recordings=4)] == [320, 320]
    assert [len(batch) for batch in student_batches(first, pseudo, recording, (0, 0), windows=128)] == [256, 256]


@pytest.mark.parametrize("kind", [{"recordings": 2}, {"windows": 5}])
def test_seed_and_epoch_decide(kind: dict[str, int]) -> None:
    given_table = table(50, [4] * 8)
    first, again, other, later = (
        np.concatenate(student_batches(*given_table, seed, batch_size=8, **kind))
        for seed in ((1, 0), (1, 0), (2, 0), (1, 1))
    )
    assert_array_equal(first, again)
    assert (first != other).any()
    assert (first != later).any()


def test_batches_that_cannot_be_filled() -> None:
    given_table = table(5, [2, 2])
    for kind in ({}, {"recordings": 1, "windows": 1}):
        with pytest.raises(DataError, match="either whole recordings or windows"):
            student_batches(*given_table, (0,), **kind)
    for kind in ({"recordings": 3}, {"recordings": 0}, {"windows": 5}, {"windows": 0}):
        with pytest.raises(DataError, match="cannot be filled"):
            student_batches(*given_table, (0,), **kind)
