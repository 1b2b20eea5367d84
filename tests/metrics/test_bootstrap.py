import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose

from outfold.metrics import METRICS, get_metric, interval


def binary(seed: int, n: int = 200):
    rng = np.random.default_rng(seed)
    target = (rng.random((n, 1)) < 0.4).astype(np.float64)
    return target, rng.normal(size=(n, 1)) + target


def test_agrees_with_scipy():
    rng = np.random.default_rng(0)
    target, prediction = rng.normal(size=(2, 150, 1))
    low, high = interval(get_metric("mae", "regression"), target, prediction, n_resamples=4000)
    expected = scipy.stats.bootstrap(
        (np.abs(target - prediction)[:, 0],), np.mean, method="percentile", n_resamples=4000, rng=1
    ).confidence_interval
    assert_allclose([low, high], expected, atol=0.1 * (high - low))


def test_auc_agrees_with_scipy():
    target, prediction = binary(0)

    def auc(rows, axis=-1):
        return np.array([metric.function(target[chosen], prediction[chosen]) for chosen in rows.reshape(-1, 200)])

    metric = get_metric("roc_auc", "binary")
    low, high = interval(metric, target, prediction, n_resamples=2000)
    expected = scipy.stats.bootstrap(
        (np.arange(200),), auc, method="percentile", n_resamples=2000, rng=1, vectorized=True
    ).confidence_interval
    assert_allclose([low, high], expected, atol=0.1 * (high - low))


@pytest.mark.parametrize("grouped", [False, True])
def test_covers_the_truth_about_as_often_as_it_says(grouped):
    metric, rng, hits, trials = get_metric("mae", "regression"), np.random.default_rng(0), 0, 300
    groups = np.repeat(np.arange(40), 3) if grouped else None
    for trial in range(trials):
        # |error| is uniform on 0..1 with mean 0.5; rows of a group are copies, so rows alone would promise too much.
        error = np.repeat(rng.random(40), 3) if grouped else rng.random(120)
        low, high = interval(metric, error[:, None], np.zeros((120, 1)), groups, n_resamples=300, seed=trial)
        hits += low <= 0.5 <= high
    assert 0.90 <= hits / trials <= 0.98


def test_groups_of_copies_widen_the_interval():
    target, prediction = binary(1, 100)
    repeated = np.repeat(np.arange(100), 10)
    metric = get_metric("roc_auc", "binary")
    by_row = interval(metric, target[repeated], prediction[repeated])
    by_group = interval(metric, target[repeated], prediction[repeated], groups=repeated.astype(str))
    alone = interval(metric, target, prediction)
    assert np.diff(by_group) > 2.5 * np.diff(by_row)
    assert_allclose(np.diff(by_group), np.diff(alone), rtol=0.25)


def test_the_names_of_groups_do_not_matter():
    target, prediction = binary(1)
    group, metric = np.random.default_rng(0).integers(0, 40, 200), get_metric("roc_auc", "binary")
    names = np.random.default_rng(1).permutation(40).astype(str)
    assert interval(metric, target, prediction, names[group]) == interval(metric, target, prediction, group)


def test_the_seed_decides_and_chunks_do_not(monkeypatch):
    target, prediction = binary(2)
    metric = get_metric("average_precision", "binary")
    first = interval(metric, target, prediction, seed=3)
    assert interval(metric, target, prediction, seed=3) == first
    assert interval(metric, target, prediction, seed=4) != first
    monkeypatch.setattr("outfold.metrics.bootstrap.WEIGHTS_AT_ONCE", 1)
    assert_allclose(interval(metric, target, prediction, seed=3), first, rtol=1e-12)


def test_resamples_of_one_class_are_left_out():
    target = np.zeros((12, 1))
    target[0] = 1
    low, high = interval(get_metric("roc_auc", "binary"), target, np.arange(12.0)[::-1, None])
    assert (low, high) == (1.0, 1.0)


def test_one_group_has_no_interval():
    target, prediction = binary(0)
    assert np.isnan(interval(get_metric("roc_auc", "binary"), target, prediction, groups=np.zeros(200))).all()


@pytest.mark.parametrize("name", sorted(name for name, metric in METRICS.items() if "multiclass" in metric.tasks))
def test_a_hundred_classes_have_an_interval(name):
    rng = np.random.default_rng(0)
    target = np.eye(100, dtype=np.float32)[rng.integers(0, 100, 5000)]
    prediction = rng.dirichlet(np.ones(100), 5000).astype(np.float32)
    low, high = interval(get_metric(name, "multiclass"), target, prediction)
    assert low < high
