import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.audit import (
    broken_identities,
    constant_predictions,
    few_groups,
    fold_scales,
    identities,
    misaligned_columns,
    never_predicted,
)
from outfold.data.predictions import softmax


def classified(seed=0, n=600, k=4, strength=2.0):
    rng = np.random.default_rng(seed)
    target = np.eye(k)[rng.integers(0, k, n)]
    return target, softmax(strength * target + rng.normal(size=(n, k))), np.arange(n) % 5


def test_a_fold_without_an_answer(only):
    _, prediction, fold = classified()
    prediction[fold == 3, 1] = 0.25
    found = only(constant_predictions(prediction, list("abcd"), fold), "constant-predictions")
    assert "fold 3" in found.what
    assert "`b`" in found.what
    assert constant_predictions(classified()[1], list("abcd"), fold) == []


def test_one_column_of_zeros(only):
    prediction = np.c_[np.arange(5.0), np.zeros(5)]
    assert "all zero in `b`" in only(constant_predictions(prediction, ["a", "b"]), "constant-predictions").what


def test_folds_on_different_scales(only):
    target, prediction, fold = classified(k=2)
    binary, scores = target[:, 1:], prediction[:, 1:]
    assert fold_scales(binary, scores, fold, "binary", ["y"]) == []
    squeezed = np.where((fold % 2 == 0)[:, None], scores, 0.3 * scores)
    found = only(fold_scales(binary, squeezed, fold, "binary", ["y"]), "fold-scales-differ")
    assert found.level == "warning"


def test_a_regression_fold_that_is_shifted(only):
    rng = np.random.default_rng(0)
    truth = rng.gamma(2, 20, (500, 1))
    guess, fold = truth + rng.normal(0, 5, truth.shape), np.arange(500) % 5
    assert fold_scales(truth, guess, fold, "regression", ["mass"]) == []
    guess[fold == 2] += 12
    assert "fold 2 by +1" in only(fold_scales(truth, guess, fold, "regression", ["mass"]), "fold-scales-differ").what
    few = np.zeros(500, dtype=np.int64) + fold  # one group a fold: such a shift may be the group's own
    assert fold_scales(truth, guess, fold, "regression", ["mass"], few) == []


def test_a_class_that_is_never_predicted(only):
    target, prediction, _ = classified()
    assert never_predicted(target, prediction, list("abcd")) == []
    prediction[:, 2] = 0
    assert (
        "1 class never predicted: c ("
        in only(never_predicted(target, prediction, list("abcd")), "class-never-predicted").what
    )


@given(st.permutations(list(range(4))), st.integers(0, 20))
def test_columns_in_another_order_are_always_seen(order, seed):
    target, prediction, _ = classified(seed)
    found = misaligned_columns(target, prediction[:, order], list("abcd"), "multiclass")
    assert bool(found) == (list(order) != [0, 1, 2, 3])


@pytest.mark.parametrize("seed", range(10))
def test_a_useless_model_is_not_misaligned(seed):
    target, _, _ = classified(seed)
    noise = np.random.default_rng(seed + 100).random(target.shape)
    assert misaligned_columns(target, noise, list("abcd"), "multiclass") == []


def test_sums_are_found_with_the_fewest_parts():
    rng = np.random.default_rng(0)
    a, b, c = rng.gamma(2, 10, (3, 200))
    assert identities(np.stack([a, b, c, a + b, a + b + c], axis=1)) == [(3, (0, 1)), (4, (2, 3))]
    almost = np.stack([a, b, a + b], axis=1)
    almost[:1, 2] += 5  # one wrong row of 200
    assert identities(almost) == [(2, (0, 1))]
    almost[:10, 2] += 5
    assert identities(almost) == []


def test_sums_on_real_data(shared_data):
    import pandas as pd

    table = pd.read_csv(shared_data("ecustfd") / "labels.csv")
    values = table[["fruit_g", "bakery_g", "egg_g", "weight_g"]].to_numpy()
    assert identities(values) == [(3, (0, 1, 2))]
    assert broken_identities(values, values, list("abcd"), "regression") == []


def test_few_groups(only):
    groups = np.arange(90) // 10
    assert "9 groups for 5 folds" in only(few_groups(groups, groups % 5), "few-groups").what
    assert few_groups(np.arange(90), np.arange(90) % 5) == []
    assert few_groups(groups, groups) == []
