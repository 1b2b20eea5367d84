import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from outfold.data.balance import (
    ClassBounds,
    balanced_rows,
    capped,
    class_weights,
    floored,
    primary_classes,
    sample_weights,
    weighted_order,
)
from outfold.errors import DataError


@pytest.fixture
def labels():
    return np.repeat([0, 1, 2], [50, 8, 2])


def test_as_scikit_learn(labels):
    onehot = np.eye(3, dtype=np.float32)[labels]
    weights = class_weights(onehot)
    assert weights.dtype == np.float32
    assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-6)
    assert_allclose(sample_weights(onehot), compute_sample_weight("balanced", labels), rtol=1e-12)


def test_a_class_without_members_changes_nothing(labels):
    assert_allclose(class_weights(np.eye(4)[labels])[:3], class_weights(np.eye(3)[labels]))
    assert class_weights(np.eye(4)[labels])[3] == 1
    assert_allclose(sample_weights(np.eye(4)[labels]), sample_weights(np.eye(3)[labels]))


def test_rows_with_several_labels_count_as_their_rarest():
    target = np.array([[1, 0], [1, 0], [1, 1], [0, 0]])
    assert_allclose(sample_weights(target), [4 / 6, 4 / 6, 4 / 3, 4 / 3])
    assert_allclose(class_weights(target), [4 / 6, 4 / 2])


def test_draws_are_balanced_and_decided_by_the_seed(labels):
    weights = sample_weights(np.eye(3)[labels])
    order = weighted_order(weights, 30_000, np.random.default_rng(0))
    assert order.dtype == np.int64
    assert_allclose(np.bincount(labels[order]) / 30_000, 1 / 3, atol=0.01)
    assert (weighted_order(weights, 30_000, np.random.default_rng(0)) == order).all()


@pytest.mark.parametrize("weights", [[1.0, -1.0], [np.nan, 1.0], [0.0, 0.0]])
def test_weights_that_cannot_be_drawn_from(weights):
    with pytest.raises(DataError, match="cannot be drawn"):
        weighted_order(np.array(weights), 2, np.random.default_rng(0))


@given(st.data(), st.integers(0, 2**32 - 1))
def test_caps_and_floors_hold_and_nothing_else_is_taken(data, seed):
    classes = np.array(data.draw(st.lists(st.integers(-1, 4), max_size=60)), dtype=np.int64)
    rows = np.flatnonzero(np.random.default_rng(seed).random(len(classes)) < 0.7)
    most = data.draw(st.one_of(st.none(), st.integers(1, 20)))
    least = data.draw(st.one_of(st.none(), st.integers(0, most or 20)))
    order = data.draw(st.sampled_from([None, np.arange(len(classes)) % 7]))
    shuffled = np.random.default_rng(seed).permutation(rows)
    found = balanced_rows(classes, shuffled, np.random.default_rng(seed), most=most, least=least, order=order)
    assert found.dtype == np.int64
    assert np.isin(found, rows).all()
    for one in np.unique(classes[rows]):
        own, taken = rows[classes[rows] == one], found[classes[found] == one]
        if one < 0:
            assert_array_equal(taken, own)
            continue
        assert min(len(own), least or 0) <= len(taken) <= max(len(own), least or 0)
        assert len(taken) >= (least or 0)
        assert len(taken) <= (most or len(taken))
        if most is None or len(own) <= most:
            assert np.isin(own, taken).all()
        elif order is not None:
            dropped = np.setdiff1d(own, taken)
            assert order[dropped].max() <= order[taken].min()
    again = balanced_rows(classes, rows, np.random.default_rng(seed), most=most, least=least, order=order)
    assert_array_equal(found, again)


def test_the_newest_stay():
    classes = np.zeros(6, dtype=np.int64)
    dates = np.array(["2020-01-01", "2024-05-01", "NaT", "2023-01-01", "2024-05-01", "2019-01-01"], "datetime64[D]")
    texts = np.where(np.isnat(dates), None, dates.astype(str))
    for order in (dates, texts, np.array([2020.0, 2024, np.nan, 2023, 2024, 2019])):
        for most, kept in ((1, [1]), (2, [1, 4]), (3, [1, 3, 4]), (5, [0, 1, 3, 4, 5]), (6, [0, 1, 2, 3, 4, 5])):
            assert_array_equal(capped(classes, np.arange(6), most, order=order), kept)


def test_epochs_draw_anew():
    classes, rows = np.repeat([0, 1], [3, 50]), np.arange(53)
    first, second = (floored(classes, rows, 40, np.random.default_rng(epoch)) for epoch in (0, 1))
    assert_array_equal(np.bincount(classes[first]), [40, 50])
    assert (first != second).any()
    few = [capped(classes, rows, 5, rng=np.random.default_rng(epoch)) for epoch in (0, 1)]
    assert (few[0] != few[1]).any()
    drawn = np.concatenate([capped(classes, rows, 5, rng=np.random.default_rng(epoch)) for epoch in range(400)])
    assert_allclose(np.bincount(drawn, minlength=53)[3:] / 400, 0.1, atol=0.06)


def test_caps_that_cannot_be_kept():
    classes, rows, rng = np.zeros(4, dtype=np.int64), np.arange(4), np.random.default_rng(0)
    for most, least in ((0, None), (3, 4)):
        with pytest.raises(DataError, match="cap of rows"):
            balanced_rows(classes, rows, rng, most=most, least=least)
    with pytest.raises(DataError, match="neither be ordered nor drawn"):
        capped(classes, rows, 2)


def test_the_class_of_a_row_is_its_first_largest_label():
    target = np.array([[0, 1, 1], [0, 0, 0], [0.3, 0, 1], [0.5, 0, 0]])
    assert primary_classes(target).tolist() == [1, -1, 2, 0]


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(0, 9))
def test_bounds_know_further_rows_that_they_leave_alone(seed, most, least):
    rng = np.random.default_rng(seed)
    classes, order = rng.integers(-1, 4, 40), rng.integers(-1, 9, 40)
    rows = np.flatnonzero(rng.random(40) < 0.7)
    for own in (None, order):
        bounds = ClassBounds(classes, max(most, least), least, own)
        drawn = bounds.drawn(rows, np.random.default_rng(seed))
        again = bounds.drawn(rows, np.random.default_rng(seed + 1))
        assert np.isin(drawn, rows).all()
        assert len(drawn) == len(again)
        further = np.repeat(np.arange(40, 45), [1, 2, 3, 1, 1])
        both = bounds.with_more(5).drawn(np.concatenate([rows, further]), np.random.default_rng(seed))
        assert_array_equal(both[both >= 40], further)
        counts = [np.bincount(classes[part[part < 40]] + 1, minlength=5) for part in (both, drawn)]
        assert_array_equal(*counts)
