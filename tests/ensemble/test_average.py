import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.special import expit, logit
from scipy.stats import gmean, pmean

from outfold.ensemble import geometric, logit_mean, mean, power_mean, weighted
from outfold.errors import DataError

PROBABILITY = st.floats(0.001, 0.999)
MEMBERS = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(2, 4)), elements=PROBABILITY)
AVERAGES = {
    "mean": lambda members, kind, weights=None: weighted(members, weights),
    "logit": logit_mean,
    "geometric": geometric,
    "power 3": lambda members, kind, weights=None: power_mean(members, 3, kind, weights),
    "power -2": lambda members, kind, weights=None: power_mean(members, -2, kind, weights),
    "power 0": lambda members, kind, weights=None: power_mean(members, 0, kind, weights),
}


@pytest.fixture
def members():
    return np.random.default_rng(0).uniform(0.01, 0.99, (4, 50, 3))


def test_the_references(members):
    weights = np.array([3.0, 1, 0, 2])
    assert_allclose(mean(members), members.mean(axis=0))
    assert_allclose(weighted(members, weights), np.average(members, axis=0, weights=weights))
    assert_allclose(geometric(members, "multilabel"), gmean(members, axis=0))
    assert_allclose(geometric(members, "multilabel", weights), gmean(members, axis=0, weights=weights[:, None, None]))
    assert_allclose(logit_mean(members, "binary"), expit(logit(members).mean(axis=0)))
    for power in (-2.5, -1, 0.5, 1, 3, 40):
        assert_allclose(power_mean(members, power, "regression"), pmean(members, power, axis=0))


def test_classes_sum_to_one(members):
    members /= members.sum(axis=2, keepdims=True)
    product = gmean(members, axis=0)
    expected = product / product.sum(axis=1, keepdims=True)
    assert_allclose(geometric(members, "multiclass"), expected)
    assert_allclose(logit_mean(members, "multiclass"), expected)
    squares = pmean(members, 2, axis=0)
    assert_allclose(power_mean(members, 2, "multiclass"), squares / squares.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("name", AVERAGES)
@given(member=MEMBERS, count=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_members_that_agree_are_their_blend(name, member, count):
    for kind in ("multilabel", "multiclass"):
        one = member[0] / member[0].sum(axis=1, keepdims=True) if kind == "multiclass" else member[0]
        assert_allclose(AVERAGES[name]([one] * count, kind), one, rtol=1e-6)


@pytest.mark.parametrize("name", AVERAGES)
@given(members=MEMBERS, data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_order_of_members_does_not_matter(name, members, data):
    order = data.draw(st.permutations(range(len(members))))
    weights = np.array(data.draw(st.lists(st.floats(0.1, 5), min_size=len(members), max_size=len(members))))
    there, back = (AVERAGES[name](members[i], "multilabel", weights[i]) for i in (np.arange(len(members)), list(order)))
    assert_allclose(there, back, rtol=1e-9)
    assert (there <= members.max(axis=0) * (1 + 1e-9)).all()
    assert (there >= members.min(axis=0) * (1 - 1e-9)).all()


def test_zeros_and_ones():
    hard = np.array([[[0.0, 1.0]], [[0.5, 0.5]]])
    assert_allclose(geometric(hard, "multilabel"), [[0, np.sqrt(0.5)]])
    assert_allclose(geometric(hard, "multiclass"), [[0, 1]], atol=1e-15)
    assert_allclose(geometric(hard, "multilabel", [0, 1]), [[0.5, 0.5]])
    assert_allclose(power_mean(hard, -1, "multilabel"), [[0, 2 / 3]])
    assert_allclose(power_mean(0 * hard, 2, "multilabel"), [[0, 0]])
    ruled_out = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    for blend in (geometric, logit_mean):
        assert_allclose(blend(ruled_out, "multiclass"), [[0.5, 0.5]])
    assert_allclose(power_mean(ruled_out, -1, "multiclass"), [[0.5, 0.5]])


def test_values_far_apart_do_not_overflow():
    wide = np.array([[[1e-30]], [[1e30]]])
    assert_allclose(power_mean(wide, 20, "regression"), [[1e30 * 0.5 ** (1 / 20)]])
    assert_allclose(power_mean(wide, -20, "regression"), [[1e-30 * 2 ** (1 / 20)]])


@pytest.mark.parametrize(
    ("call", "problem", "got"),
    [
        (lambda m: mean([m[0], m[1, :3]]), "do not fit together", r"\(50, 3\), \(3, 3\)"),
        (lambda m: mean([]), "do not fit together", "no members"),
        (lambda m: mean(m[0]), "do not fit together", r"\(3,\)"),
        (lambda m: mean(np.where(m == m[2, 7, 1], np.nan, m)), "not finite", "member 2, row 7"),
        (lambda m: geometric(m - 0.5, "binary"), "no geometric mean", "by member 0 in row"),
        (lambda m: power_mean(-m, 2, "binary"), "no mean of power 2", "by member 0 in row 0"),
        (lambda m: logit_mean(2 * m, "binary"), "no probability", "by member 0 in row"),
        (lambda m: logit_mean(m, "regression"), "no logits", ""),
        (lambda m: weighted(m, [1, 2]), "weights do not fit", r"\[1.0, 2.0\]"),
        (lambda m: weighted(m, [1, -1, 1, 1]), "weights do not fit", "-1.0"),
        (lambda m: weighted(m, [0, 0, 0, 0]), "weights do not fit", "not all of them 0"),
    ],
)
def test_what_cannot_be_blended(members, call, problem, got):
    with pytest.raises(DataError, match=f"(?s){problem}.*{got}"):
        call(members)
