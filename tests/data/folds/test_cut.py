import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.data.folds.cut import cut_groups, order_of
from outfold.data.folds.objective import imbalance
from outfold.data.folds.search import search
from outfold.errors import DataError


def test_three_dates_become_seven_groups_and_are_named():
    """Dates of 12, 4 and 12 rows: seven parts of four, none across dates."""
    dates = np.array(["7/8"] * 12 + ["8/21"] * 4 + ["9/1"] * 12 + ["other"] * 5)
    cut = cut_groups(dates, dates != "other", 7, order=np.repeat([1, 2, 3, 0], [12, 4, 12, 5]))
    assert np.bincount(cut.groups).tolist() == [4] * 7 + [5]
    assert cut.torn == {"7/8": 3, "9/1": 3}
    assert pd.Series(dates).groupby(cut.groups).nunique().max() == 1


def test_equal_values_stay_together_where_there_are_enough():
    order = np.array([1, 1, 1, 2, 3, 3, 4, 5])
    cut = cut_groups(["farm"] * 8, np.ones(8, dtype=bool), 3, order)
    assert pd.Series(cut.groups).groupby(order).nunique().max() == 1
    assert cut.groups.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_other_rows_of_a_group_stay_and_the_group_is_torn():
    cut = cut_groups(["a", "a", "b", "b"], np.array([True, False, True, False]), 2)
    assert cut.groups.tolist() == [0, 1, 2, 3]
    assert cut.torn == {"a": 2, "b": 2}
    whole = cut_groups(["a", "b", "c"], np.array([True, True, False]), 2)
    assert whole.torn == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8), st.booleans()), min_size=2, max_size=50), st.data())
def test_any_cut(cells, data):
    groups, order, rows = (np.array(column) for column in zip(*cells, strict=True))
    rows[:2] = True
    parts = data.draw(st.integers(2, int(rows.sum())))
    cut = cut_groups(groups, rows, parts, order)
    assert len(set(cut.groups[rows])) == parts
    assert not set(cut.groups[rows]) & set(cut.groups[~rows])
    spans = sorted((order[cut.groups == part].min(), order[cut.groups == part].max()) for part in set(cut.groups[rows]))
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    for label in set(groups.tolist()):
        assert cut.torn.get(str(label), 1) == len(set(cut.groups[groups == label]))


@pytest.mark.parametrize(
    ("rows", "parts", "message"),
    [([False] * 3, 2, "no rows"), ([True] * 3, 1, "cannot be cut"), ([True, True, False], 3, "2 rows cannot be cut")],
)
def test_nonsense_is_refused(rows, parts, message):
    with pytest.raises(DataError, match=message):
        cut_groups(["a"] * 3, np.array(rows), parts)


def test_orders():
    frame = pd.DataFrame(
        {"date": ["2015/10/6", "2015/9/1"], "number": [10, 9], "file": ["b.png", "a.png"], "half": ["2015/9/1", "soon"]}
    )
    for name in ("date", "number", "file"):
        order = order_of(frame, name)
        assert order[1] < order[0]
    with pytest.raises(DataError, match="no moments"):
        order_of(frame, "half")
    with pytest.raises(DataError, match="empty"):
        order_of(pd.DataFrame({"file": ["a", None]}), "file")


def test_the_published_cut_makes_better_folds_possible(shared_data):
    """Western Australia has three dates for five folds; cut into seven it can be everywhere."""
    table = pd.read_csv(shared_data("csiro") / "train_with_published_folds.csv")
    state, dates = table[["State"]], table["Sampling_Date"]
    cut = cut_groups(dates, (table["State"] == "WA").to_numpy(), 7, order_of(table, "Sampling_Date"))
    assert cut.torn == {"2015/7/8": 3, "2015/9/1": 3}
    whole, parted = search(dates, state, seeds=200), search(cut.groups, state, seeds=200)
    assert parted.imbalance.strata["State"]["WA"] < 0.5 * whole.imbalance.strata["State"]["WA"]
    assert set(table["State"][parted.fold == 0]) == set(table["State"])
    assert imbalance(parted.fold, state).total == pytest.approx(parted.imbalance.total)
