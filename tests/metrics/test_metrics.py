import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from outfold.errors import DataError, RecipeError
from outfold.metrics import METRICS, get_metric, score

TOLERANCE = 1e-9


@pytest.fixture(autouse=True)
def _undefined_metrics_warn_quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def multiclass(seed: int, n: int = 60, k: int = 5, ties: bool = False, absent: int = 0):
    """Labels (n,), one-hot (n, k) and probabilities (n, k); the last `absent` classes never occur as labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k - absent, n)
    probability = rng.dirichlet(np.ones(k), n)
    if ties:
        probability = rng.multinomial(4, probability) / 4
    return labels, np.eye(k)[labels], probability


def several_labels(seed: int, n: int = 60, k: int = 4, ties: bool = False, empty: bool = False):
    rng = np.random.default_rng(seed)
    target = (rng.random((n, k)) < 0.3).astype(np.float64)
    if empty:
        target[:, 0] = 0
    probability = np.clip(rng.random((n, k)) + 0.2 * target, 0, 1)
    return target, np.round(probability, 1) if ties else probability


F1 = {"macro_f1": "macro", "micro_f1": "micro", "weighted_f1": "weighted"}
CASES = [(seed, ties, absent) for seed in range(6) for ties in (False, True) for absent in (0, 2)]


@pytest.mark.parametrize(("seed", "ties", "absent"), CASES)
def test_multiclass_labels_as_scikit_learn(seed, ties, absent):
    labels, target, probability = multiclass(seed, n=12 if seed == 0 else 60, ties=ties, absent=absent)
    predicted = probability.argmax(axis=1)
    assert_allclose(score("accuracy", "multiclass", target, probability), sk.accuracy_score(labels, predicted))
    for name, average in F1.items():
        expected = sk.f1_score(labels, predicted, average=average, zero_division=0)
        assert_allclose(score(name, "multiclass", target, probability), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("seed", range(4))
def test_binary_labels_as_scikit_learn(seed):
    target, probability = several_labels(seed, k=1, ties=True, empty=seed == 3)
    true, predicted = target[:, 0], probability[:, 0] >= 0.5
    assert_allclose(score("accuracy", "binary", target, probability), sk.accuracy_score(true, predicted))
    for name, average in {**F1, "f1": "binary"}.items():
        expected = sk.f1_score(true, predicted, average=average, zero_division=0)
        assert_allclose(score(name, "binary", target, probability), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("seed", range(4))
def test_multilabel_labels_as_scikit_learn(seed):
    target, probability = several_labels(seed, ties=True, empty=seed == 3)
    if seed == 3:
        probability[:, 0] = 0  # neither true nor predicted anywhere: counts 0
    predicted = probability >= 0.5
    assert_allclose(score("accuracy", "multilabel", target, probability), sk.accuracy_score(target, predicted))
    for name, average in F1.items():
        expected = sk.f1_score(target, predicted, average=average, zero_division=0)
        assert_allclose(score(name, "multilabel", target, probability), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("seed", "ties"), [(seed, ties) for seed in range(6) for ties in (False, True)])
def test_ranking_as_scikit_learn(seed, ties):
    target, probability = several_labels(seed, ties=ties)
    one, two = target[:, :1], probability[:, :1]
    assert_allclose(score("roc_auc", "binary", one, two), sk.roc_auc_score(one, two), rtol=0, atol=TOLERANCE)
    expected = sk.average_precision_score(one, two)
    assert_allclose(score("average_precision", "binary", one, two), expected, rtol=0, atol=TOLERANCE)
    for name, reference in {
        "macro_roc_auc": sk.roc_auc_score,
        "macro_average_precision": sk.average_precision_score,
    }.items():
        expected = reference(target, probability, average="macro")
        assert_allclose(score(name, "multilabel", target, probability), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("ties", [False, True])
def test_multiclass_ranking_is_one_versus_rest(ties):
    labels, target, probability = multiclass(1, ties=ties)
    expected = sk.roc_auc_score(labels, probability, multi_class="ovr", average="macro")
    assert_allclose(score("macro_roc_auc", "multiclass", target, probability), expected, rtol=0, atol=TOLERANCE)
    expected = sk.average_precision_score(target, probability, average="macro")
    assert_allclose(
        score("macro_average_precision", "multiclass", target, probability), expected, rtol=0, atol=TOLERANCE
    )


def test_macro_rankings_leave_out_columns_without_positives():
    target, probability = several_labels(0, empty=True)
    for name in ("macro_roc_auc", "macro_average_precision"):
        present = score(name, "multilabel", target[:, 1:], probability[:, 1:])
        assert_allclose(score(name, "multilabel", target, probability), present)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_as_scikit_learn_also_at_zero_and_one(dtype):
    labels, target, probability = multiclass(0, ties=True)
    expected = sk.log_loss(labels, probability.astype(dtype), labels=range(5))
    value = score("log_loss", "multiclass", target.astype(dtype), probability.astype(dtype))
    assert_allclose(value, expected, rtol=1e-6 if dtype == np.float32 else 0, atol=TOLERANCE)
    target, probability = several_labels(0, ties=True)
    columns = [sk.log_loss(target[:, i], probability[:, i].astype(dtype), labels=[0, 1]) for i in range(4)]
    value = score("log_loss", "multilabel", target.astype(dtype), probability.astype(dtype))
    assert_allclose(value, np.mean(columns), rtol=1e-6 if dtype == np.float32 else 0, atol=TOLERANCE)
    value = score("log_loss", "binary", target[:, :1], probability[:, :1].astype(dtype))
    assert_allclose(value, columns[0], rtol=1e-6 if dtype == np.float32 else 0, atol=TOLERANCE)


@pytest.mark.parametrize(("k", "offset"), [(1, 0.0), (3, 0.0), (3, 1e4)])
def test_regression_as_scikit_learn(k, offset):
    rng = np.random.default_rng(k)
    target = rng.normal(size=(50, k)) + offset
    prediction = target + rng.normal(size=(50, k))
    for name, reference in {
        "mae": sk.mean_absolute_error,
        "rmse": sk.root_mean_squared_error,
        "r2": sk.r2_score,
    }.items():
        value = score(name, "regression", target, prediction)
        assert_allclose(value, reference(target, prediction), rtol=0, atol=TOLERANCE)


def test_r2_of_a_constant_target_as_scikit_learn():
    target = np.full((6, 1), 0.5)
    for prediction in (target, target + 1):
        assert score("r2", "regression", target, prediction) == sk.r2_score(target, prediction)
    inexact = np.full((6, 1), 0.1)  # its mean is not 0.1 in binary; scikit-learn divides by the rounding error
    assert score("r2", "regression", inexact, inexact + 1) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(METRICS)))
def test_a_weight_is_a_repeated_row(seed, name):
    rng = np.random.default_rng(seed)
    for kind in METRICS[name].tasks:
        _, onehot, probability = multiclass(seed, n=20, k=3, ties=bool(seed % 2))
        columns = slice(0, 1) if kind == "binary" else slice(0, 3)
        target, prediction = onehot[:, columns], probability[:, columns]
        weights = rng.integers(0, 3, (len(target), 4)).astype(np.float64)
        weights[0] = 1
        metric = get_metric(name, kind)
        together = metric.statistic(target, prediction)(weights)
        for column, value in zip(weights.T, together, strict=True):
            rows = np.repeat(np.arange(len(target)), column.astype(int))
            assert_allclose(value, metric.function(target[rows], prediction[rows]), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("name", "kind"), [("roc_auc", "binary"), ("average_precision", "binary"), ("macro_roc_auc", "multilabel")]
)
def test_undefined_scores_are_nan_and_then_an_error(name, kind):
    target, prediction = np.zeros((4, 1)), np.linspace(0, 1, 4)[:, None]
    assert np.isnan(get_metric(name, kind).function(target, prediction))
    with pytest.raises(DataError, match="not defined on these 4 rows"):
        score(name, kind, target, prediction)


def test_bad_arrays_are_errors():
    good = np.zeros((3, 1))
    with pytest.raises(DataError, match="do not fit"):
        score("mae", "regression", good, np.zeros((2, 1)))
    with pytest.raises(DataError, match="at least one row"):
        score("mae", "regression", good[:0], good[:0])
    with pytest.raises(DataError, match=r"prediction is not finite[\s\S]*\[1\]"):
        score("mae", "regression", good, np.array([[0.0], [np.nan], [0.0]]))


def test_names_that_do_not_fit_point_to_one_that_does():
    with pytest.raises(RecipeError, match="did you mean `macro_f1`"):
        get_metric("macro-f1", "multiclass")
    with pytest.raises(RecipeError, match=r"does not fit a multiclass task[\s\S]*macro_roc_auc"):
        get_metric("roc_auc", "multiclass")


def test_directions():
    smaller = {name for name, metric in METRICS.items() if not metric.greater_is_better}
    assert smaller == {"log_loss", "mae", "rmse"}
