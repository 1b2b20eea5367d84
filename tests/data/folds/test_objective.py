import numpy as np
import pandas as pd
import pytest

from outfold.data.folds.objective import imbalance
from outfold.data.folds.splits import stratified_group_kfold
from outfold.errors import DataError


def test_by_hand():
    """Two folds of 3 and 1 rows; shares of `a` are 1/3 and 1, of all rows 1/2."""
    found = imbalance([0, 0, 0, 1], {"label": ["a", "b", "b", "a"]}, weights={"label": 2.0, "rows": 0.5})
    assert found.strata["label"] == pytest.approx({"a": (1 / 6 + 1 / 2) / 2, "b": (1 / 6 + 1 / 2) / 2})
    assert found.column("label") == pytest.approx(2 / 3)
    assert found.rows == pytest.approx(0.5)
    assert found.total == pytest.approx(2 * 2 / 3 + 0.5 * 0.5)


def test_perfect_folds_have_none():
    found = imbalance(np.arange(12) % 3, {"label": np.repeat(["a", "b"], 6), "positive": np.repeat([0, 1, 0, 1], 3)})
    assert found.total == 0


def test_each_multilabel_column_counts_by_itself():
    """The product of the two columns is uneven in these folds, each column alone is even."""
    frame = pd.DataFrame({"first": [0, 0, 1, 1], "second": [0, 1, 0, 1]})
    fold = [0, 1, 1, 0]
    assert imbalance(fold, frame).total == 0
    assert imbalance(fold, frame["first"].astype(str) + frame["second"].astype(str)).total == 1


def test_continuous_columns_are_cut_into_equal_parts():
    amount = np.random.default_rng(0).normal(size=100)
    found = imbalance(np.arange(100) % 5, {"amount": amount})
    assert len(found.strata["amount"]) == 10
    assert imbalance((amount > 0).astype(int), {"amount": amount}).column("amount") == pytest.approx(1, abs=0.1)


def test_missing_values_are_a_stratum():
    assert set(imbalance([0, 1, 0, 1], {"label": ["a", None, "a", None]}).strata["label"]) == {"a", "(missing)"}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"nothing": 1.0}, "'nothing'"),
        ({"label": -1.0}, "not usable"),
        ({"label": float("nan")}, "not usable"),
        ({"label": 0, "rows": 0}, "all weights are 0"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        imbalance([0, 1], {"label": ["a", "b"]}, weights=weights)


def test_names_with_a_meaning_are_refused_as_columns():
    with pytest.raises(DataError, match="'rows'"):
        imbalance([0, 1], {"rows": [1, 2]})


def test_published_folds_and_those_of_scikit_learn(shared_data):
    """The figures of the published system: 0.508 for its stored folds, 0.166 for scikit-learn's rule, any seed."""
    table = pd.read_csv(shared_data("csiro") / "train_with_published_folds.csv")
    state = table[["State"]]
    assert round(imbalance(table["fold"], state).column("State"), 3) == 0.508
    for seed in range(20):
        fold = stratified_group_kfold(table["State"].to_numpy(), table["Sampling_Date"].to_numpy(), 5, seed)
        assert round(imbalance(fold, state, weights={"rows": 0}).total, 3) == 0.166
