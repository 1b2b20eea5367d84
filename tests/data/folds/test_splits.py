import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

from outfold.data.folds.splits import group_kfold, kfold, stratified_group_kfold, stratified_kfold
from outfold.errors import DataError

SCIKIT_LEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])


def reference(splitter, n, strata=None, groups=None):
    fold = np.full(n, -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (_, rows) in enumerate(splitter.split(np.zeros(n), strata, groups)):
            fold[rows] = number
    return fold


def table(seed):
    """A random table of strata and groups: few or many, even or lopsided, numbers or text."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(20, 120)), int(rng.integers(2, 6))
    classes, groups = int(rng.integers(2, 12)), int(rng.integers(k, n))
    strata = np.append(rng.choice(classes, n - k, p=rng.dirichlet(np.ones(classes))), np.zeros(k, dtype=int))
    group = np.append(rng.choice(groups, n - k, p=rng.dirichlet(np.full(groups, 0.5))), np.arange(k))
    return strata, (group.astype(str) if seed % 2 else group), k


@pytest.mark.skipif(SCIKIT_LEARN < (1, 8), reason="scikit-learn did not stratify groups before 1.8")
def test_stratified_groups_as_scikit_learn_for_many_seeds():
    for seed in range(300):
        strata, groups, k = table(seed)
        splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        expected = reference(splitter, len(strata), strata, groups)
        assert_array_equal(stratified_group_kfold(strata, groups, k, seed), expected, err_msg=f"seed {seed}")


def test_plain_and_stratified_as_scikit_learn_for_many_seeds():
    for seed in range(100):
        strata, _, k = table(seed)
        n = len(strata)
        assert_array_equal(kfold(n, k, seed), reference(KFold(k, shuffle=True, random_state=seed), n))
        expected = reference(StratifiedKFold(k, shuffle=True, random_state=seed), n, strata)
        assert_array_equal(stratified_kfold(strata, k, seed), expected)


rows = st.integers(2, 6).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=k, max_size=80).filter(
            lambda pairs: len({group for _, group in pairs}) >= k
        ),
        st.integers(0, 2**32 - 1),
    )
)


@settings(max_examples=80, deadline=None)
@given(rows)
def test_properties(case):
    k, pairs, seed = case
    strata, groups = np.array(pairs).T
    whole = {
        "plain": kfold(len(pairs), k, seed),
        "stratified": stratified_kfold(strata, k, seed),
        "grouped": group_kfold(groups, k, seed),
        "both": stratified_group_kfold(strata, groups, k, seed),
    }
    for name, fold in whole.items():
        assert fold.dtype == np.int64
        assert set(fold) <= set(range(k))
        if name in ("plain", "stratified"):
            assert np.ptp(np.bincount(fold, minlength=k)) <= 1
        if name in ("grouped", "both"):
            assert len(set(zip(groups, fold, strict=True))) == len(set(groups))
    for stratum in set(strata):
        assert np.ptp(np.bincount(whole["stratified"][strata == stratum], minlength=k)) <= 1
    # The next group goes to the lightest fold, so that no two folds can differ by more than the largest group.
    assert np.ptp(np.bincount(whole["grouped"], minlength=k)) <= np.bincount(groups).max()
    assert_array_equal(group_kfold(groups, k, seed), whole["grouped"])


def test_seeds_differ():
    groups = np.arange(60) // 2
    strata = np.arange(60) % 3
    for split in (
        lambda seed: kfold(60, 5, seed),
        lambda seed: stratified_kfold(strata, 5, seed),
        lambda seed: group_kfold(groups, 5, seed),
        lambda seed: stratified_group_kfold(strata, groups, 5, seed),
    ):
        assert (split(0) != split(1)).any()
        assert_array_equal(split(0), split(0))


def test_groups_of_one_class_each_are_spread_over_folds():
    strata = np.repeat([0, 1], [150, 50])
    groups = np.arange(200) // 5
    fold = stratified_group_kfold(strata, groups, 5, 0)
    assert_array_equal([np.bincount(strata[fold == number]) for number in range(5)], [[30, 10]] * 5)


def test_too_few_rows_or_groups():
    with pytest.raises(DataError, match="3 rows cannot make 5 folds"):
        kfold(3, 5, 0)
    with pytest.raises(DataError, match="3 rows"):
        stratified_kfold(np.zeros(3), 5, 0)
    for split in (group_kfold, lambda groups, k, seed: stratified_group_kfold(np.zeros(20), groups, k, seed)):
        with pytest.raises(DataError, match="2 groups cannot make 5 folds"):
            split(np.arange(20) % 2, 5, 0)
