from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.model_selection import LeaveOneGroupOut, RepeatedKFold

from outfold.data.folds import FoldTable, make_folds, read_folds, time_blocks, write_folds
from outfold.data.table import samples_from_frame
from outfold.errors import DataError
from outfold.settings.data import Data
from outfold.settings.folds import Folds


def samples(**columns):
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({"id": [f"r{row:03d}" for row in range(n)], **columns})
    return samples_from_frame(frame, Data(train="t.csv", id="id"), Path())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=8, max_size=60), st.integers(1, 5))
def test_time_blocks_never_mix_and_never_tear_a_moment(moments, k):
    moments = np.array(moments)
    if len(set(moments)) < k + 1:
        with pytest.raises(DataError, match="different moments"):
            time_blocks(moments, k)
        return
    block = time_blocks(moments, k)
    assert set(block) == set(range(k + 1))
    for number in range(k):
        assert moments[block <= number].max() < moments[block > number].min()


def test_time_blocks_are_even_where_moments_are_fine():
    block = time_blocks(np.random.default_rng(0).permutation(600), 5)
    assert_array_equal(np.bincount(block), [100] * 6)


def test_models_of_ordered_folds_train_on_earlier_rows_without_the_groups_they_predict():
    rng = np.random.default_rng(1)
    day = pd.date_range("2024-03-01", periods=120).strftime("%Y/%m/%d").to_numpy()
    order = rng.permutation(120)
    animal = rng.integers(0, 15, 120)
    table = make_folds(Folds(k=4, time="day", group="animal"), samples(day=day[order], animal=animal))
    assert table.ordered
    assert table.numbers == (1, 2, 3, 4)
    for number in table.numbers:
        train, valid = table.split(number)
        assert order[train].max() < order[valid].min()
        assert not set(animal[train]) & set(animal[valid])
        kept_out = (order < order[valid].min()) & ~np.isin(np.arange(120), train)
        assert set(animal[kept_out]) <= set(animal[valid])
    assert_array_equal(table.judged(table.numbers), np.flatnonzero(table.fold > 0))


def test_dates_that_can_be_misread_are_refused():
    with pytest.raises(DataError, match=r"no moments in time.*\n?.*") as caught:
        make_folds(Folds(k=2, time="day"), samples(day=["2024-01-02", "03/04/2024", "2024-02-30", "2024-05-01"]))
    assert "03/04/2024" in str(caught.value)
    assert "year first" in str(caught.value)


def test_leave_one_group_out_is_scikit_learns():
    site = np.random.default_rng(0).integers(0, 7, 50)
    table = make_folds(Folds(group="site", leave_one_group_out=True), samples(site=site))
    expected = {(tuple(train), tuple(valid)) for train, valid in LeaveOneGroupOut().split(site, groups=site)}
    splits = [table.split(number) for number in table.numbers]
    assert {(tuple(train), tuple(valid)) for train, valid in splits} == expected


def test_repeats_deal_out_the_same_rows_with_seeds_that_follow_each_other():
    table = make_folds(Folds(k=4, seed=7, repeats=3), samples(x=range(30)))
    assert table.numbers == tuple(range(12))
    for repeat in range(3):
        once = make_folds(Folds(k=4, seed=7 + repeat), samples(x=range(30)))
        assert_array_equal(table.assignments[repeat] - 4 * repeat, once.fold)
    train, valid = table.split(9)
    assert_array_equal(np.sort(np.concatenate([train, valid])), np.arange(30))
    sizes = [len(table.split(number)[1]) for number in table.numbers]
    expected = [len(valid) for _, valid in RepeatedKFold(n_splits=4, n_repeats=3).split(np.arange(30))]
    assert sizes == expected


def test_repeats_survive_the_file(tmp_path):
    made = make_folds(Folds(k=3, repeats=2, group="site"), samples(site=np.arange(30) // 3))
    write_folds(tmp_path / "folds.csv", made)
    read = read_folds(tmp_path / "folds.csv", made.ids[::-1])
    assert_array_equal(read.assignments, made.assignments[:, ::-1])
    own = make_folds(Folds(file="folds.csv"), samples(site=np.arange(30) // 3), root=tmp_path)
    assert own.numbers == made.numbers


def test_repeats_in_a_file_need_numbers_of_their_own(tmp_path):
    pd.DataFrame({"id": ["a", "b"], "fold": [0, 1], "fold_2": [1, 2]}).to_csv(tmp_path / "f.csv", index=False)
    with pytest.raises(DataError, match="fold numbers of an earlier column"):
        read_folds(tmp_path / "f.csv", ["a", "b"])


def test_near_copies_share_a_fold_unless_the_recipe_ignores_them():
    copies = np.where(np.arange(60) % 6 == 0, 0, -1)
    together = make_folds(Folds(k=3), samples(x=range(60)), copies=copies)
    assert len(set(together.fold[copies == 0])) == 1
    assert len(set(together.fold[copies == -1])) == 3
    apart = make_folds(Folds(k=3, duplicates="ignore"), samples(x=range(60)), copies=copies)
    assert len(set(apart.fold[copies == 0])) > 1


def test_folds_of_a_table_without_repeats_are_one_assignment():
    table = FoldTable(np.array(["a", "b"], dtype=object), np.array([3, 1]))
    assert table.assignments.shape == (1, 2)
    assert table.numbers == (1, 3)
    assert list(table.to_frame().columns) == ["id", "fold"]
