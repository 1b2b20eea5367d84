from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from outfold.data.folds import FoldTable, make_folds, read_folds, write_folds
from outfold.data.folds.grouping import is_quantity, link_groups, strata_of
from outfold.data.table import samples_from_frame
from outfold.errors import DataError
from outfold.settings.data import Data
from outfold.settings.folds import Folds


def samples(**columns):
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({"id": [f"r{row:03d}" for row in range(n)], **columns})
    return samples_from_frame(frame, Data(train="t.csv", id="id"), Path())


def components(columns):
    """Groups by the plain definition: merge sets that share a value until nothing changes."""
    groups = [{row} for row in range(len(columns[0]))]
    for column in columns:
        for value in set(column) - {None}:
            rows = {row for row, cell in enumerate(column) if cell == value}
            joined = set().union(*(group for group in groups if group & rows))
            groups = [group for group in groups if not group & rows] + [joined]
    return {frozenset(group) for group in groups}


cells = st.one_of(st.none(), st.sampled_from("abcdefgh"), st.integers(0, 3))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 15).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=3)))
def test_linked_groups_are_the_connected_components(columns):
    linked = link_groups(*columns)
    assert linked.dtype == np.int64
    assert {frozenset(np.flatnonzero(linked == group)) for group in set(linked)} == components(columns)
    assert_array_equal(pd.factorize(linked)[0], linked)  # numbered by first row


def test_values_of_different_columns_are_different_values():
    assert_array_equal(link_groups(["x", "y"], ["y", "x"]), [0, 1])
    assert_array_equal(link_groups([np.nan, pd.NA, None, "a", "a"]), [0, 1, 2, 3, 3])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15), st.integers(0, 15)), min_size=25, max_size=60),
    st.integers(2, 4),
    st.integers(0, 1000),
)
def test_no_group_no_linked_group_and_no_equal_file_crosses_folds(rows, k, seed):
    patient, site, key = (np.array(column) for column in zip(*rows, strict=True))
    table = samples(patient=patient, site=site * 100)
    keys = [str(value) for value in key]
    if len(set(link_groups(patient, keys))) < k:
        return
    made = make_folds(Folds(k=k, seed=seed, group="patient"), table, content_keys=keys)
    for column in (patient, key):
        assert (pd.Series(made.fold).groupby(column).nunique() == 1).all()
    assert set(made.fold) == set(range(k))
    assert len(made) == len(made.fold) == len(rows)
    again = make_folds(Folds(k=k, seed=seed, group="patient"), table, content_keys=keys)
    assert_array_equal(again.fold, made.fold)


def test_stratified_by_class_and_by_a_quantity_together():
    rng = np.random.default_rng(0)
    table = samples(label=np.repeat(["a", "b"], [160, 40]), mass=rng.lognormal(size=200))
    made = make_folds(Folds(k=4, stratify=("label", "mass")), table)
    by_label = pd.crosstab(made.fold, table.frame["label"])
    assert (by_label.max() - by_label.min() <= 10).all()
    means = pd.Series(made.fold).groupby(made.fold).size()
    assert (means == 50).all()
    assert pd.Series(made.strata).str.contains("|", regex=False).all()
    plain = make_folds(Folds(k=4, stratify="mass"), table)
    medians = table.frame["mass"].groupby(plain.fold).median()
    assert medians.max() / medians.min() < 1.15


def test_classes_named_by_numbers_are_not_binned():
    assert not is_quantity(pd.Series(np.repeat(np.arange(1, 103), 50)), 5)
    assert not is_quantity(pd.Series([1, 2, 3, 3]), 5)
    assert not is_quantity(pd.Series(["1.5", "2.5"]), 2)
    assert is_quantity(pd.Series([0.5, 1.0]), 2)
    assert is_quantity(pd.Series(np.arange(100)), 5)
    assert set(strata_of(pd.DataFrame({"label": [1, 1, 2, 2]}), ["label"], 2)) == {"1", "2"}


def test_missing_values_are_a_stratum_of_their_own():
    column = pd.Series([0.5, 1.5, None, 2.5] * 10)
    strata = strata_of(pd.DataFrame({"x": column}), ["x"], 5)
    assert set(strata[column.isna()]) == {"(missing)"}
    assert "(missing)" not in set(strata[column.notna()])


def test_too_small_classes_are_named():
    with pytest.raises(DataError, match=r"column 'label'.*for 3 folds[\s\S]*'rare' \(2\)[\s\S]*lower folds.k to 2"):
        make_folds(Folds(k=3, stratify="label"), samples(label=["common"] * 10 + ["rare"] * 2))
    with pytest.raises(DataError, match="2 groups cannot make 5 folds"):
        make_folds(Folds(k=5, group="g"), samples(g=["x", "y"] * 5))
    with pytest.raises(DataError, match="patient"):
        make_folds(Folds(group="patient"), samples(g=["x", "y"] * 5))


def test_equal_files_share_a_fold_unless_ignored():
    keys = ["same" if row % 2 else f"k{row}" for row in range(40)]
    table = samples(label=["a", "b"] * 20)
    linked = make_folds(Folds(k=4), table, content_keys=keys)
    assert len(set(linked.fold[1::2])) == 1
    free = make_folds(Folds(k=4, duplicates="ignore"), table, content_keys=keys)
    assert len(set(free.fold[1::2])) == 4
    assert free.groups is None
    unknown = make_folds(Folds(k=4), table, content_keys=[""] * 40)
    assert unknown.groups is None


def test_the_users_column():
    made = make_folds(Folds(column="split"), samples(split=[1, 2, 3, 1]))
    assert_array_equal(made.fold, [1, 2, 3, 1])
    with pytest.raises(DataError, match=r"frame:2[\s\S]*whole numbers"):
        make_folds(Folds(column="split"), samples(split=[0.0, 0.5, 1.0]))
    with pytest.raises(DataError, match="all rows are in fold 1"):
        make_folds(Folds(column="split"), samples(split=[1, 1]))
    with pytest.raises(DataError, match="2 folds in column"):
        make_folds(Folds(column="split"), samples(split=["0", None, "x"]))


def test_the_users_folds_may_not_tear_groups_apart():
    table = samples(split=[0, 1, 0, 1], patient=["p", "p", "q", "r"])
    with pytest.raises(DataError, match=r"tear 1 groups apart[\s\S]*r000, r001 in folds \[0, 1\]"):
        make_folds(Folds(column="split", group="patient"), table)
    keys = ["x", "y", "x", "y"]
    assert_array_equal(make_folds(Folds(column="split"), table, content_keys=keys).fold, [0, 1, 0, 1])
    with pytest.raises(DataError, match="duplicates: ignore"):
        make_folds(Folds(column="split"), table, content_keys=["x", "x", "y", "z"])


def test_written_and_read_back(tmp_path):
    ids = np.array(["01", "1", "NA", 'a "b", c'], dtype=object)
    table = FoldTable(ids, np.array([0, 1, 2, 0]), np.array([0, 1, 2, 0]), np.array(["1", "2", "x | y", "1"], object))
    path = write_folds(tmp_path / "folds.csv", table)
    order = [3, 1, 0, 2]
    again = read_folds(path, ids[order])
    assert list(again.ids) == list(ids[order])
    assert_array_equal(again.fold, table.fold[order])
    assert list(again.strata) == list(table.strata[order])
    assert_array_equal(again.groups[[0, 2]], [0, 0])
    assert len(set(again.groups)) == 3


def test_a_file_of_folds_is_for_exactly_these_ids(tmp_path):
    table = samples(label=["a", "b", "a"])
    path = tmp_path / "folds.csv"
    path.write_text("id,fold\nr002,1\nr000,0\nr001,1\n")
    made = make_folds(Folds(file="folds.csv"), table, root=tmp_path)
    assert_array_equal(made.fold, [0, 1, 1])
    path.write_text("id,fold\nr002,1\nr000,0\nr009,1\n")
    with pytest.raises(DataError, match=r"without a fold: r001; 1 ids that the training table lacks: r009"):
        make_folds(Folds(file=str(path)), table)
    path.write_text("id,fold\nr002,1\nr000,0\nr001,1\nr001,1\n")
    with pytest.raises(DataError, match=r"more than once: folds.csv:5[\s\S]*r001"):
        make_folds(Folds(file=str(path)), table)
    path.write_text("id,part\nr002,1\n")
    with pytest.raises(DataError, match="fold"):
        make_folds(Folds(file=str(path)), table)


def test_a_state_of_three_dates_is_cut_into_virtual_groups(shared_data):
    frame = pd.read_csv(shared_data("csiro") / "train_with_published_folds.csv").rename(columns={"ID": "id"})
    table = samples_from_frame(frame, Data(train="t.csv", id="id"), Path())
    rule = {"where": {"State": "WA"}, "parts": 7, "by": "Sampling_Date"}
    plain = make_folds(Folds(group="Sampling_Date", stratify="State", search=500), table)
    cut = make_folds(Folds(group="Sampling_Date", stratify="State", search=500, cut=rule), table)
    wa = (frame["State"] == "WA").to_numpy()
    assert len(set(plain.groups[wa])) == 3
    assert len(set(cut.groups[wa])) == 7
    assert_array_equal(pd.factorize(cut.groups[~wa])[0], pd.factorize(plain.groups[~wa])[0])
    assert np.bincount(cut.fold[wa], minlength=5).max() < np.bincount(plain.fold[wa], minlength=5).max()


def test_a_rule_that_finds_no_rows_is_refused():
    table = samples(site=["a", "a", "b", "c"], state=["x", "x", "y", "y"])
    with pytest.raises(DataError, match="finds no rows"):
        make_folds(Folds(k=2, group="site", cut={"where": {"state": "z"}, "parts": 2, "by": "id"}), table)


def test_searched_folds_are_remembered_and_at_least_as_even_as_any_seed():
    from outfold.data.cache import default_cache_folder
    from outfold.data.folds.objective import imbalance

    rng = np.random.default_rng(0)
    site = rng.integers(0, 25, 300)
    table = samples(site=site, label=rng.integers(0, 3, 25)[site], size=rng.normal(size=300))
    settings = Folds(k=4, group="site", stratify=("label", "size"), search=2000)
    made = make_folds(settings, table)
    assert (pd.Series(made.fold).groupby(site).nunique() == 1).all()
    strata = table.frame[["label", "size"]]
    others = [make_folds(Folds(k=4, group="site", stratify="label", seed=seed), table).fold for seed in range(20)]
    assert imbalance(made.fold, strata).total <= min(imbalance(fold, strata).total for fold in others)
    before = set((default_cache_folder() / "folds").iterdir())
    assert_array_equal(make_folds(settings, table).fold, made.fold)
    assert set((default_cache_folder() / "folds").iterdir()) == before
