import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from outfold.data.balance import class_weights, sample_weights, weighted_order
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
