"""The batches of an epoch: training rows alone, whatever is drawn, and the same number in every epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.data.balance import ClassBounds
from outfold.errors import DataError
from outfold.settings.label import PseudoBatch
from outfold.training.examples import Split
from outfold.training.joined import joined_split, split_beside

ROWS = 30


@st.composite
def splits(draw: st.DrawFn) -> tuple[Split, np.ndarray]:
    """A split of 30 rows, and the class of each; with bounds or chances, and further rows below or beside."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    fold, classes = rng.integers(0, 3, ROWS), rng.integers(-1, 4, ROWS)
    train, valid = np.flatnonzero(fold > 0), np.flatnonzero(fold == 0)
    least = draw(st.one_of(st.none(), st.integers(2, 12)))
    bounds = ClassBounds(classes, draw(st.one_of(st.none(), st.integers(least or 1, 12))), least)
    split = Split(train, valid, bounds=draw(st.sampled_from([None, bounds])))
    if split.bounds is None and draw(st.booleans()):
        split = Split(train, valid, chances=rng.random(len(train)) + 0.1)
    kind, more = draw(st.sampled_from(["alone", "below", "beside"])), 12
    if kind == "below" and split.chances is None:
        split = joined_split(split, ROWS, rng.integers(0, 3, more))
    if kind == "beside":
        batch = draw(st.sampled_from([PseudoBatch(windows=5), PseudoBatch(recordings=2)]))
        split = split_beside(split, ROWS, more, batch, np.repeat(["x", "y", "z"], 4))
    return split, classes


@given(splits(), st.integers(1, 9), st.integers(0, 50))
def test_nothing_that_judges_is_ever_in_a_batch(case: tuple[Split, np.ndarray], batch_size: int, epoch: int) -> None:
    split, _ = case
    batches = split.batches(batch_size, (7, epoch))
    drawn = np.concatenate(batches)
    assert not np.isin(drawn, split.valid).any()
    assert np.isin(drawn[drawn < ROWS], split.train).all()
    assert len(split.batches(batch_size, (7, epoch + 1))) == len(batches)
    again = split.batches(batch_size, (7, epoch))
    assert all(np.array_equal(*pair) for pair in zip(batches, again, strict=True))
    most = 0 if split.beside is None else split.beside.most
    assert max(map(len, batches)) <= batch_size + most


@given(splits(), st.integers(0, 50))
def test_classes_keep_their_bounds(case: tuple[Split, np.ndarray], epoch: int) -> None:
    split, classes = case
    if split.bounds is None:
        return
    drawn = np.concatenate(split.batches(1, (7, epoch)))
    drawn = drawn[drawn < ROWS]
    for number in range(4):
        own = (classes[split.train[split.train < ROWS]] == number).sum()
        count = (classes[drawn] == number).sum()
        assert count <= (split.bounds.most or max(own, split.bounds.least or 0))
        assert count >= (min(own, 1) * (split.bounds.least or 0))


def test_epochs_draw_other_rows() -> None:
    bounds = ClassBounds(np.zeros(ROWS, dtype=np.int64), most=5)
    split = Split(np.arange(20), np.arange(20, 30), bounds=bounds)
    drawn = [set(np.concatenate(split.batches(5, (0, epoch))).tolist()) for epoch in range(6)]
    assert {len(one) for one in drawn} == {5}
    assert len(set().union(*drawn)) > 5


@pytest.mark.parametrize(("batch", "most"), [(PseudoBatch(windows=5), 5), (PseudoBatch(recordings=2), 9)])
def test_rows_stand_beside_those_of_each_batch(batch: PseudoBatch, most: int) -> None:
    recording = np.repeat(["long", "middle", "short"], [5, 4, 3])
    split = split_beside(Split(np.arange(20), np.arange(20, 30)), ROWS, 12, batch, recording)
    assert split.beside is not None
    assert split.beside.most == most
    for epoch in range(5):
        labelled = []
        for rows in split.batches(8, (0, epoch)):
            labelled += rows[:8].tolist()
            beside = rows[8:]
            assert (beside >= ROWS).all()
            assert len(np.unique(beside)) == len(beside)
            if batch.recordings is not None:
                names, counts = np.unique(recording[beside - ROWS], return_counts=True)
                assert dict(zip(names, counts, strict=True)).items() <= {"long": 5, "middle": 4, "short": 3}.items()
                assert len(names) == 2
            else:
                assert len(beside) == 5
        assert len(set(labelled)) == 16


def test_too_few_rows_for_a_batch() -> None:
    split = split_beside(Split(np.arange(20), np.arange(20, 30)), ROWS, 4, PseudoBatch(windows=5))
    with pytest.raises(DataError, match="cannot be filled with windows"):
        split.batches(8, (0, 0))
