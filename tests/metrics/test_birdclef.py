"""The metrics of BirdCLEF, against scikit-learn on the same rows and columns."""

import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from outfold.metrics import by_column, get_metric, ranking, score
from outfold.metrics.placing import bins

EXACT = {"rtol": 0, "atol": 1e-9}


def soundscapes(seed: int, n: int = 200, k: int = 7, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, k), none in the last column, and probabilities that know something of them."""
    rng = np.random.default_rng(seed)
    target = (rng.random((n, k)) < rng.uniform(0.02, 0.3, k)).astype(np.float32)
    target[0], target[:, -1] = 1, 0
    probability = 1 / (1 + np.exp(-rng.normal(3 * target - 4, 2)))
    return target, np.round(probability, 1) if ties else probability.astype(np.float32)


def auc_2024(target: np.ndarray, prediction: np.ndarray) -> float:
    scored = target.sum(axis=0) > 0
    return float(sk.roc_auc_score(target[:, scored], prediction[:, scored], average="macro"))


def cmap_2023(target: np.ndarray, prediction: np.ndarray) -> float:
    ones = np.ones((5, target.shape[1]))
    return float(sk.average_precision_score(np.vstack([target, ones]), np.vstack([prediction, ones]), average="macro"))


def micro(target: np.ndarray, prediction: np.ndarray) -> float:
    return float(sk.average_precision_score(target, prediction, average="micro"))


REFERENCES = {"macro_roc_auc": auc_2024, "padded_cmap": cmap_2023, "micro_average_precision": micro}
every_metric = pytest.mark.parametrize("name", REFERENCES)


@every_metric
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_as_scikit_learn(name: str, ties: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "MANY", 0 if compiled else 10**9)
    for seed in range(5):
        target, probability = soundscapes(seed, ties=ties)
        assert_allclose(score(name, "multilabel", target, probability), REFERENCES[name](target, probability), **EXACT)


@every_metric
def test_a_weight_is_a_repeated_row(name: str) -> None:
    target, probability = soundscapes(0, ties=True)
    weights = np.random.default_rng(1).integers(0, 3, (len(target), 3)).astype(np.float64)
    weights[0] = 1
    together = get_metric(name, "multilabel").statistic(target, probability)(weights)
    for column, value in zip(weights.T, together, strict=True):
        rows = np.repeat(np.arange(len(target)), column.astype(int))
        assert_allclose(value, REFERENCES[name](target[rows], probability[rows]), **EXACT)


@every_metric
def test_soft_targets_are_rounded(name: str) -> None:
    target, probability = soundscapes(2)
    soft = np.where(target == 1, 0.5, 0.4999)
    assert score(name, "multilabel", soft, probability) == score(name, "multilabel", target, probability)


def test_columns_without_positives_count_in_padded_cmap_alone() -> None:
    target, probability = soundscapes(3)
    for name in ("macro_roc_auc", "macro_average_precision"):
        without = score(name, "multilabel", target[:, :-1], probability[:, :-1])
        assert score(name, "multilabel", target, probability) == without
    assert score("padded_cmap", "multilabel", np.zeros((4, 1)), np.full((4, 1), 0.9)) == 1


def test_a_column_without_negatives_is_left_out_where_the_competition_has_no_value() -> None:
    target, probability = soundscapes(4)
    full = target.copy()
    full[:, 0] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(auc_2024(full, probability))
    assert_allclose(
        score("macro_roc_auc", "multilabel", full, probability), auc_2024(target[:, 1:], probability[:, 1:]), **EXACT
    )


def test_each_column_with_its_counts() -> None:
    target, probability = soundscapes(5)
    target[:, 0] = 1
    found = by_column(target, probability)
    assert_array_equal(found.positives, target.sum(axis=0))
    assert_array_equal(found.negatives, (target == 0).sum(axis=0))
    assert np.isnan(found.roc_auc[[0, -1]]).all()
    assert np.isnan(found.average_precision[-1])
    for column in range(1, target.shape[1] - 1):
        one = target[:, column], probability[:, column]
        assert_allclose(found.roc_auc[column], sk.roc_auc_score(*one), **EXACT)
        assert_allclose(found.average_precision[column], sk.average_precision_score(*one), **EXACT)
    assert_allclose(np.nanmean(found.roc_auc), score("macro_roc_auc", "multilabel", target, probability), **EXACT)


WILD = st.floats(allow_nan=False, allow_infinity=False, width=64)
TAME = st.sampled_from([-1.0, -0.0, 0.0, 5e-324, 0.25, 0.5, 1 - 1e-16, 1.0])


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from([np.float32, np.float64]))
def test_compiled_bins_are_those_of_a_search(data: st.DataObject, dtype: type) -> None:
    n = data.draw(st.integers(0, 40))
    with np.errstate(over="ignore"):
        scores = data.draw(arrays(np.float64, n, elements=st.one_of(WILD, TAME))).astype(dtype)
    scores[~np.isfinite(scores)] = 3
    positive = data.draw(arrays(np.bool_, n))
    thresholds = np.unique(scores[positive])
    left, right = (np.searchsorted(thresholds, scores, side) for side in ("left", "right"))
    assert_array_equal(
        bins(thresholds, scores, positive), np.where(positive, 2 * len(thresholds) + 1 + left, left + right)
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_many_thresholds_too(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    scores = np.concatenate([scale * rng.standard_normal(500), rng.random(1500), [1e300, -1e300]])
    positive = rng.random(len(scores)) < 0.5
    thresholds = np.unique(scores[positive])
    left, right = (np.searchsorted(thresholds, scores, side) for side in ("left", "right"))
    assert_array_equal(
        bins(thresholds, scores, positive), np.where(positive, 2 * len(thresholds) + 1 + left, left + right)
    )
