import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from outfold.report.statistics import (
    calibration,
    confusions,
    precision_recall_f1,
    precision_recall_points,
    roc_points,
    thin,
    wilson,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(1, 200), st.integers(0, 1000))
def test_confusions_agree_with_scikit_learn(classes: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(classes, size=(2, rows))
    found = confusions(true, predicted, classes)
    names = np.arange(classes)
    np.testing.assert_array_equal(found.matrix(), metrics.confusion_matrix(true, predicted, labels=names))
    expected = metrics.precision_recall_fscore_support(true, predicted, labels=names, zero_division=np.nan)
    np.testing.assert_array_equal(found.support, expected[3])
    for mine, theirs in zip(precision_recall_f1(found.hits, found.claimed, found.support), expected[:3], strict=True):
        np.testing.assert_allclose(mine, theirs)


def test_worst_pairs_come_by_rows_then_by_share() -> None:
    true = np.array([0] * 8 + [1] * 4 + [2] * 2)
    predicted = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 2])
    assert confusions(true, predicted, 3).worst_pairs(2) == [(1, 0, 2, 0.5), (0, 1, 2, 0.25)]


def test_curves_are_those_of_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(1)
    positive, scores = rng.random(500) < 0.3, rng.integers(0, 60, 500) / 60
    for mine, theirs in zip(
        roc_points(positive, scores), metrics.roc_curve(positive, scores, drop_intermediate=False)[:2], strict=True
    ):
        np.testing.assert_allclose(mine, theirs)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    mine_recall, mine_precision = precision_recall_points(positive, scores)
    np.testing.assert_allclose(mine_recall[::-1], recall[:-1])
    np.testing.assert_allclose(mine_precision[::-1], precision[:-1])


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    rng = np.random.default_rng(2)
    positive = rng.random(50_000) < 0.1
    x, y = roc_points(positive, rng.normal(size=50_000) + positive)
    thin_x, thin_y = thin(x, y, 240)
    assert len(thin_x) <= 240
    assert (thin_x[0], thin_y[0], thin_x[-1], thin_y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(thin_y, thin_x) == pytest.approx(np.trapezoid(y, x), abs=1e-3)


def test_wilson_is_scipys() -> None:
    low, high = wilson(np.array([0.0, 0.25, 1.0]), np.array([20, 40, 7]))
    expected = [binomtest(hits, n).proportion_ci(0.95, "wilson") for hits, n in ((0, 20), (10, 40), (7, 7))]
    np.testing.assert_allclose(low, [part.low for part in expected], atol=1e-7)
    np.testing.assert_allclose(high, [part.high for part in expected], atol=1e-7)


def test_calibration_of_true_probabilities_has_little_error_and_of_overconfident_ones_much() -> None:
    rng = np.random.default_rng(3)
    probability = rng.random(20_000)
    positive = rng.random(20_000) < probability
    assert calibration(positive, probability).error < 0.02
    assert calibration(positive, np.round(probability)).error > 0.2
    assert calibration(positive[:5], probability[:5]).rows.tolist() == [5]
