import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as sk
from numpy.testing import assert_allclose

from outfold.errors import DataError
from outfold.metrics import compare, get_metric, interval


def two_models(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, two models' probabilities, each (n, 1), and groups (n,) of four rows."""
    rng = np.random.default_rng(seed)
    target = (rng.random((n, 1)) < 0.3).astype(np.float64)
    shared = rng.normal(size=(n, 1)) + 1.5 * target
    a, b = (1 / (1 + np.exp(1 - shared - 0.5 * rng.normal(size=(n, 1)))) for _ in range(2))
    return target, a, b, np.arange(n) // 4


REFERENCES = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "log_loss": sk.log_loss,
    "f1": lambda target, probability: sk.f1_score(target, probability >= 0.5),
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("grouped", [False, True])
def test_as_a_plain_loop_over_scikit_learn(name: str, grouped: bool) -> None:
    target, a, b, groups = two_models(1)
    metric, reference = get_metric(name, "binary"), REFERENCES[name]
    rows_of = [np.flatnonzero(groups == group) for group in range(30)] if grouped else list(np.arange(120)[:, None])
    rng, scores = np.random.default_rng(5), []
    for _ in range(60):
        rows = np.concatenate([rows_of[unit] for unit in rng.integers(0, len(rows_of), len(rows_of))])
        scores.append([reference(target[rows, 0], prediction[rows, 0]) for prediction in (a, b)])
    first, second = np.array(scores).T
    found = compare(metric, target, a, b, groups if grouped else None, n_resamples=60, seed=5)
    gain = second - first if metric.greater_is_better else first - second
    assert_allclose(found.probability, (gain > 0).mean() + 0.5 * (gain == 0).mean())
    assert_allclose(found.difference.value, reference(target, b) - reference(target, a))
    assert_allclose(found.difference[1:], np.quantile(second - first, [0.025, 0.975]))
    assert_allclose(found.a[1:], np.quantile(first, [0.025, 0.975]))
    assert_allclose(found.b[1:], np.quantile(second, [0.025, 0.975]))
    assert (found.rows, found.units, found.undefined) == (120, len(rows_of), 0)


def test_known_answer_of_a_mean() -> None:
    # The mean absolute error of a resample is close to normal: B is better where the mean gain is above zero.
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 400, 1))
    gain = (a - b)[:, 0]
    expected = scipy.stats.norm.cdf(gain.mean() / (gain.std() / np.sqrt(400)))
    found = compare(get_metric("mae", "regression"), np.zeros((400, 1)), a, b, n_resamples=4000)
    assert 0.8 < expected < 0.95
    assert_allclose(found.probability, expected, atol=0.03)
    assert_allclose(found.difference.value, -gain.mean())
    assert found.difference.low < found.difference.value < found.difference.high


def test_equally_good_models_are_rarely_called_different() -> None:
    metric, rng = get_metric("mae", "regression"), np.random.default_rng(0)
    sure = 0
    for trial in range(300):
        a, b = rng.random((2, 100, 1))
        sure += compare(metric, np.zeros((100, 1)), a, b, n_resamples=300, seed=trial).probability > 0.95
    assert 0.02 <= sure / 300 <= 0.09


def test_pairing_sees_what_two_intervals_do_not() -> None:
    rng = np.random.default_rng(0)
    error = rng.exponential(size=(200, 1))
    metric, target = get_metric("mae", "regression"), np.zeros((200, 1))
    found = compare(metric, target, error, 0.97 * error)
    assert found.b.high > found.a.low
    assert found.probability == 1.0
    assert found.difference.high < 0


def test_the_same_predictions_are_a_draw() -> None:
    target, a, _, groups = two_models(2)
    found = compare(get_metric("roc_auc", "binary"), target, a, 2 * a, groups)
    assert found.probability == 0.5
    assert found.difference == (0.0, 0.0, 0.0)


def test_turning_it_round() -> None:
    target, a, b, groups = two_models(3)
    for name in ("roc_auc", "log_loss"):
        there, back = (compare(get_metric(name, "binary"), target, *pair, groups) for pair in ((a, b), (b, a)))
        assert_allclose(there.probability, 1 - back.probability)
        assert_allclose(there.difference, (-back.difference[0], -back.difference[2], -back.difference[1]))


def test_intervals_are_those_of_one_model_alone() -> None:
    target, a, b, groups = two_models(4)
    metric = get_metric("roc_auc", "binary")
    found = compare(metric, target, a, b, groups, seed=7)
    assert found.a[1:] == interval(metric, target, a, groups, seed=7)
    assert found == compare(metric, target, a, b, groups, seed=7)
    assert found != compare(metric, target, a, b, groups, seed=8)


def test_copies_in_groups_do_not_make_it_surer() -> None:
    target, a, b, _ = two_models(5)
    rows = np.repeat(np.arange(120), 9)
    metric = get_metric("roc_auc", "binary")
    alone = compare(metric, target, a, b)
    by_row, by_group = (compare(metric, target[rows], a[rows], b[rows], groups) for groups in (None, rows))
    assert by_group.units == 120
    assert_allclose(by_group.difference, alone.difference, rtol=1e-9)
    assert np.ptp(by_row.difference[1:]) < 0.5 * np.ptp(by_group.difference[1:])


def test_resamples_of_one_class_are_left_out_and_counted() -> None:
    target = np.zeros((12, 1))
    target[0] = 1
    a, b = np.arange(12.0)[::-1, None], np.arange(12.0)[:, None]
    found = compare(get_metric("roc_auc", "binary"), target, a, b)
    assert found.undefined == pytest.approx(1000 * (11 / 12) ** 12, abs=60)
    assert found.probability == 0
    assert found.difference == (-1.0, -1.0, -1.0)


def test_one_group_says_nothing() -> None:
    target, a, b, _ = two_models(6)
    found = compare(get_metric("roc_auc", "binary"), target, a, b, np.zeros(120))
    assert np.isnan([found.probability, *found.difference[1:]]).all()
    assert found.units == 1


def test_arrays_that_do_not_fit() -> None:
    target, a, b, _ = two_models(7)
    with pytest.raises(DataError, match="do not fit together"):
        compare(get_metric("roc_auc", "binary"), target, a, b[1:])
