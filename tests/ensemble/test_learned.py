"""Learned weights, against brute force and against what must hold for any of them."""

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from outfold.ensemble import constrained, greedy, mean, weighted
from outfold.ensemble.greedy import best_first
from outfold.ensemble.members import FAST, judge
from outfold.errors import DataError
from outfold.metrics import METRICS, get_metric

CASES = [
    ("roc_auc", "binary"),
    ("average_precision", "binary"),
    ("f1", "binary"),
    ("log_loss", "binary"),
    ("log_loss", "multiclass"),
    ("macro_f1", "multiclass"),
    ("macro_roc_auc", "multilabel"),
    ("log_loss", "multilabel"),
    ("rmse", "regression"),
    ("mae", "regression"),
    ("r2", "regression"),
    ("weighted_r2", "regression"),
]


def made(kind, seed=0, count=3, n=80, k=3):
    """Target (n, k) and members (m, n, k) that each know a part of it."""
    rng = np.random.default_rng(seed)
    k = 1 if kind == "binary" else k
    if kind == "regression":
        target = rng.normal(size=(n, k)) * np.arange(1, k + 1)
        return target, target + rng.normal(size=(count, n, k)) * rng.uniform(0.5, 2, (count, 1, 1))
    target = np.eye(k)[rng.integers(0, k, n)] if kind == "multiclass" else (rng.random((n, k)) < 0.4).astype(float)
    logits = 2 * target + rng.normal(size=(count, n, k)) * rng.uniform(1, 2, (count, 1, 1))
    if kind == "multiclass":
        return target, np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return target, 1 / (1 + np.exp(1 - logits))


def metric_for(name, kind):
    return get_metric(name, kind, [1, 2, 0.5] if name == "weighted_r2" else None)


def grid(steps):
    """All weights of three members in steps of 1/steps."""
    parts = [(a, b, steps - a - b) for a, b in product(range(steps + 1), repeat=2) if a + b <= steps]
    return np.array(parts) / steps


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_constrained_weights_are_as_good_as_a_fine_grid(name, kind, seed):
    target, members = made(kind, seed)
    metric = metric_for(name, kind)
    score = judge(metric, target)
    found = constrained(members, target, metric)
    assert_allclose(found.sum(), 1)
    assert (found >= 0).all()
    best = max(score(weighted(members, weights)) for weights in grid(40))
    reached = score(weighted(members, found))
    smooth = name in ("log_loss", "rmse", "r2", "weighted_r2")
    # A metric of ranks or labels is a staircase with local tops; a convex loss has one bottom.
    assert reached >= best - (1e-9 if smooth else 0.004 * abs(best))


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_greedy_is_as_good_as_all_selections_of_few_members(name, kind):
    target, members = made(kind, 3)
    metric = metric_for(name, kind)
    score = judge(metric, target)
    found = greedy(members, target, metric)
    assert_allclose(found.sum(), 1)
    ways = [
        np.bincount(chosen, minlength=3)
        for size in (1, 2, 3)
        for chosen in combinations_with_replacement(range(3), size)
    ]
    best = max(score(weighted(members, way)) for way in ways)
    assert score(weighted(members, found)) >= best - (0.02 if metric.judges == "label" else 0.002) * abs(best)
    alone = max(score(member) for member in members)
    assert score(weighted(members, found)) >= alone


def test_one_round_is_the_best_of_all_single_steps():
    target, members = made("binary", 5, count=6)
    metric = get_metric("log_loss", "binary")
    score = judge(metric, target)
    start = greedy(members, target, metric, rounds=0)
    one = greedy(members, target, metric, rounds=1)
    picks = np.count_nonzero(start)
    best = max(score(weighted(members, start * picks + step)) for step in np.eye(6))
    assert_allclose(score(weighted(members, one)), max(best, score(weighted(members, start))))


@pytest.mark.parametrize("learn", [greedy, constrained])
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_copies_of_one_member_blend_into_it(learn, name, kind):
    target, members = made(kind, 1, count=1)
    weights = learn(np.repeat(members, 3, axis=0), target, metric_for(name, kind))
    assert_allclose(weights.sum(), 1)
    assert_allclose(weighted(np.repeat(members, 3, axis=0), weights), members[0])


@pytest.mark.parametrize("learn", [greedy, constrained])
@given(order=st.permutations(range(4)), seed=st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_the_order_of_members_does_not_matter(learn, order, seed):
    target, members = made("binary", seed, count=4)
    order = list(order)
    for name in ("roc_auc", "log_loss"):
        metric = get_metric(name, "binary")
        there, back = (
            judge(metric, target)(weighted(part, learn(part, target, metric))) for part in (members, members[order])
        )
        assert_allclose(there, back, rtol=1e-9)


def test_a_useless_member_gets_little_and_a_seed_decides():
    target, members = made("binary", 2, count=4, n=2000)
    members[3] = np.random.default_rng(9).random((2000, 1))
    for name in ("roc_auc", "log_loss"):
        metric = get_metric(name, "binary")
        for learn in (greedy, constrained):
            weights = learn(members, target, metric, seed=4)
            assert weights[3] < 0.05
            assert judge(metric, target)(weighted(members, weights)) >= judge(metric, target)(mean(members))
            assert_allclose(weights, learn(members, target, metric, seed=4))


def test_bags_are_the_mean_of_selections():
    target, members = made("binary", 2, count=6, n=300)
    metric = get_metric("roc_auc", "binary")
    found = greedy(members, target, metric, bags=5, seed=1)
    assert_allclose(found.sum(), 1)
    order = best_first(members, judge(metric, target))
    rng, expected = np.random.default_rng(1), np.zeros(6)
    for _ in range(5):
        part = order[np.sort(rng.choice(6, 3, replace=False))]
        expected[part] += greedy(members[part], target, metric) / 5
    assert_allclose(found, expected)


@given(seed=st.integers(0, 1000), name=st.sampled_from(sorted(FAST)))
@settings(deadline=None)
def test_the_fast_scores_are_those_of_the_metrics(seed, name):
    rng = np.random.default_rng(seed)
    kind = METRICS[name].tasks[0]
    k = 1 if kind == "binary" else 4
    target = (rng.random((40, k)) < rng.choice([0, 0.02, 0.3, 1], k)).astype(np.float32)
    prediction = rng.integers(0, rng.integers(2, 30), (40, k)) / 30
    metric = get_metric(name, kind)
    expected = metric.function(target, prediction)
    if np.isnan(expected):
        with pytest.raises(DataError, match="not defined on the 40 rows"):
            judge(metric, target)(prediction)
    else:
        assert_allclose(judge(metric, target)(prediction), expected, rtol=1e-12)


def test_losses_are_turned_round():
    target, members = made("regression")
    assert judge(get_metric("rmse", "regression"), target)(members[0]) < 0
    with pytest.raises(DataError, match="do not fit together"):
        greedy(members, target[1:], get_metric("rmse", "regression"))
