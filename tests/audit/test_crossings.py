import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.audit import copy_crossings, group_crossings, splits_by, splits_of
from outfold.audit.crossings import exposed_rows
from outfold.data.folds import FoldTable

ROWS = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-1, 4), min_size=n, max_size=n), st.lists(st.integers(0, 3), min_size=n, max_size=n)
    )
)


@given(ROWS)
def test_exposed_rows_are_those_with_a_relative_elsewhere(rows):
    codes, fold = map(np.array, rows)
    expected = [
        codes[row] >= 0 and any(codes[other] == codes[row] and fold[other] != fold[row] for other in range(len(codes)))
        for row in range(len(codes))
    ]
    assert exposed_rows(codes, splits_by(fold)).tolist() == expected


def test_of_folds_in_time_only_earlier_rows_train():
    codes, fold = np.array([0, 1, 0, 1, 2]), np.array([0, 0, 1, 2, 2])
    table = FoldTable(np.array(list("abcde"), dtype=object), fold, ordered=True)
    assert exposed_rows(codes, splits_of(table)).tolist() == [False, False, True, True, False]


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_whole_groups_and_whole_sets_of_copies_are_never_an_alarm(samples, seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 20, 100)
    splits = splits_by(rng.integers(0, 4, 20)[groups])
    rows = samples({"group": groups})
    assert group_crossings(rows, {"group": rows.frame["group"]}, splits) == []
    assert copy_crossings(rows, groups, ["same"] * 100, splits) == []


def test_one_torn_group_among_many_rows_is_a_warning(samples, only):
    groups = np.arange(500) // 2
    fold = groups % 5
    rows = samples({"group": groups})
    fold[0] = (fold[0] + 1) % 5
    few = only(group_crossings(rows, {"group": rows.frame["group"]}, splits_by(fold)), "group-across-folds")
    assert (few.level, len(few.places)) == ("warning", 2)
    fold[:20:2] = (fold[1:21:2] + 1) % 5
    many = only(group_crossings(rows, {"group": rows.frame["group"]}, splits_by(fold)), "group-across-folds")
    assert (many.level, len(many.places)) == ("error", 20)


def test_missing_values_belong_to_no_group(samples):
    rows = samples({"patient": [None, None, "p1", None]})
    assert group_crossings(rows, {"patient": rows.frame["patient"]}, splits_by(np.array([0, 1, 0, 1]))) == []
