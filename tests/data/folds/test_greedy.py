import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import StratifiedGroupKFold

from outfold.data.folds.compiled import compiled
from outfold.data.folds.greedy import greedy_kernel
from outfold.data.folds.mersenne import LANES, WORDS, begin_streams, next_word, shuffle
from outfold.data.folds.objective import measure
from outfold.data.folds.splits import stratified_group_kfold
from outfold.data.folds.strata import read_strata
from outfold.data.folds.summation import LANES as SUM_LANES
from outfold.data.folds.summation import leaves_of, numpy_sum
from outfold.data.folds.tally import tally_rows
from outfold.errors import DataError

stratifies = pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8), reason="scikit-learn stratified no groups before 1.8"
)


def by_scikit_learn(strata, groups, k, seed):
    fold = np.full(len(strata), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with fewer rows than folds
        parts = StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(strata, strata, groups)
        for number, (_, rows) in enumerate(parts):
            fold[rows] = number
    return fold


def by_kernel(strata, groups, k, seeds):
    """The folds of each seed, and their imbalances from one call for all."""
    tally = tally_rows(groups, read_strata(strata, len(strata), k=k), k)
    kernel, of_group = greedy_kernel(tally), np.empty(tally.n_groups, dtype=np.int64)
    values, folds = np.empty(len(seeds)), []
    for seed in seeds:
        kernel(seed, np.empty(1), of_group)
        folds.append(of_group[tally.group_of_row])
    kernel(seeds[0], values, of_group)
    assert_array_equal(of_group[tally.group_of_row], folds[-1], err_msg="the last seed's folds come back")
    return folds, values


def rare(n, groups, positives):
    """Groups of very different sizes, and few positives that cluster in some of them, as in screening."""
    rng = np.random.default_rng(0)
    size, risk = rng.lognormal(size=groups), rng.gamma(0.3, size=groups)
    group = np.append(np.arange(groups), rng.choice(groups, n - groups, p=size / size.sum()))
    chance = risk[group] / risk[group].sum()
    positive = np.zeros(n, dtype=int)
    positive[rng.choice(n, round(n * positives), replace=False, p=chance)] = 1
    return positive, group


@stratifies
def test_every_seed_of_the_real_table_as_scikit_learn(shared_data):
    table = pd.read_csv(shared_data("csiro") / "train_with_published_folds.csv")
    strata, groups = table["State"].to_numpy(), table["Sampling_Date"].to_numpy()
    folds, _ = by_kernel(strata, groups, 5, range(400))
    for seed, fold in enumerate(folds):
        assert_array_equal(fold, by_scikit_learn(strata, groups, 5, seed), err_msg=f"seed {seed}")


@stratifies
def test_many_ties_as_scikit_learn():
    """Groups that are all alike: rounding alone decides nearly every step."""
    strata, groups = np.tile(["a", "b", "c"], 60), np.repeat(np.arange(30), 6)
    folds, _ = by_kernel(strata, groups, 4, range(400))
    for seed, fold in enumerate(folds):
        assert_array_equal(fold, by_scikit_learn(strata, groups, 4, seed), err_msg=f"seed {seed}")


def test_rare_positives_in_many_groups_as_the_rule():
    """Against the rule in numpy, which is quicker and has its own comparison with scikit-learn."""
    strata, groups = rare(3000, 250, 0.0176)
    folds, _ = by_kernel(strata, groups, 5, range(40))
    for seed, fold in enumerate(folds):
        assert_array_equal(fold, stratified_group_kfold(strata, groups, 5, seed), err_msg=f"seed {seed}")


@stratifies
@pytest.mark.slow
@pytest.mark.parametrize(("rows", "groups", "seeds"), [(3000, 250, 400), (33_000, 2000, 30)])
def test_rare_positives_in_many_groups_as_scikit_learn(rows, groups, seeds):
    strata, groups = rare(rows, groups, 0.0176)
    folds, _ = by_kernel(strata, groups, 5, range(seeds))
    for seed, fold in enumerate(folds):
        assert_array_equal(fold, by_scikit_learn(strata, groups, 5, seed), err_msg=f"seed {seed}")


tables = st.tuples(st.integers(2, 12), st.integers(2, 40), st.integers(0, 40), st.integers(0, 2**32 - 8), st.integers())


@settings(max_examples=100, deadline=None)
@given(tables)
def test_any_table_as_the_rule_and_the_objective(case):
    """Few or many classes, more than one sum's worth too; sizes even or lopsided; any seed."""
    k, classes, surplus, seed, made = case
    rng = np.random.default_rng(abs(made))
    groups = k + surplus
    group = np.append(np.arange(groups), rng.choice(groups, 3 * groups, p=rng.dirichlet(np.full(groups, 0.7))))
    strata = rng.choice(classes, len(group), p=rng.dirichlet(np.ones(classes)))
    strata = np.append([0, 1], strata[2:]).astype(str)
    folds, values = by_kernel(strata, group, k, range(seed, seed + 3))
    columns = read_strata(strata, len(strata), k=k)
    for number, fold in enumerate(folds):
        assert_array_equal(fold, stratified_group_kfold(strata, group, k, seed + number))
        assert_allclose(values[number], measure(fold, k, columns).total, atol=1e-12)


def test_hundreds_of_classes_as_the_rule():
    rng = np.random.default_rng(0)
    strata, groups = rng.integers(0, 300, 2000).astype(str), rng.integers(0, 60, 2000)
    folds, _ = by_kernel(strata, groups, 9, range(10))
    for seed, fold in enumerate(folds):
        assert_array_equal(fold, stratified_group_kfold(strata, groups, 9, seed))


def test_one_class_is_refused():
    with pytest.raises(DataError, match="of one"):
        greedy_kernel(tally_rows(np.arange(6), read_strata(None, 6, k=2), 2))


@pytest.mark.parametrize("first", [0, 1, 2**31, 2**32 - LANES])
def test_stream_and_shuffle_of_numpy(first):
    states = np.empty((WORDS, LANES), dtype=np.uint32)
    for length in (1, 2, 28, 700):
        begin_streams(first, states)
        for lane in range(LANES):
            order, expected = np.empty(length, dtype=np.int64), np.arange(length)
            generator = np.random.RandomState(first + lane)
            generator.shuffle(expected)
            drawn = shuffle(states, lane, order)
            assert_array_equal(order, expected)
            assert next_word(states, lane, drawn) == generator.randint(2**32, dtype=np.uint32)


@compiled
def total_of(values, leaves, room):
    return numpy_sum(values, leaves, room)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 127, 128, 129, 200, 1000, 1031, 5000])
def test_sums_are_numpys_to_the_last_bit(length):
    leaves = leaves_of(length)
    for seed in range(20):
        values = np.random.default_rng(seed).normal(size=length) * 10.0 ** np.arange(length).clip(0, 9)
        assert total_of(values, leaves, np.empty(SUM_LANES + len(leaves))) == np.sum(values)
