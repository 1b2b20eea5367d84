import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr

from outfold.data.predictions import Predictions
from outfold.ensemble import aligned, mean
from outfold.ensemble.diagnose import rank_correlation, worth
from outfold.errors import DataError
from outfold.metrics import compare, get_metric, interval

AUC = get_metric("roc_auc", "binary")


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    target = (rng.random((400, 1)) < 0.3).astype(float)
    errors = rng.normal(size=(4, 400, 1))
    errors[1] = errors[0] + 0.01 * rng.normal(size=(400, 1))  # a copy of the first, in all but name
    logits = 1.5 * target - 1 + errors
    logits[3] = rng.normal(size=(400, 1))
    return target, 1 / (1 + np.exp(-logits)), np.arange(400) // 2


def test_gains_and_intervals_are_those_of_the_paired_comparison(case):
    target, members, groups = case
    found = worth(members, target, AUC, lambda kept: mean(members[kept]), groups, n_resamples=200)
    assert found.blend[1:] == interval(AUC, target, mean(members), groups, n_resamples=200)
    for member in range(4):
        assert found.members[member].value == AUC.function(target, members[member])
        others = mean(np.delete(members, member, axis=0))
        reference = compare(AUC, target, others, mean(members), groups, n_resamples=200)
        assert_allclose(found.gains[member], reference.difference)
    assert found.gains[2].low > 0  # it errs elsewhere than the two that agree
    assert found.gains[2].value > found.gains[0].value
    assert found.gains[3].high < 0.005  # and one that knows nothing adds nothing


def test_rank_correlations_are_scipys(case):
    _, members, _ = case
    assert_allclose(rank_correlation(members), spearmanr(members[:, :, 0].T).statistic)
    rng = np.random.default_rng(1)
    several = rng.integers(0, 9, (3, 60, 4)) / 9
    expected = np.mean([spearmanr(several[:, :, k].T).statistic for k in range(4)], axis=0)
    assert_allclose(rank_correlation(several), expected)


def test_an_output_that_never_changes_is_left_out():
    rng = np.random.default_rng(1)
    members = rng.random((2, 30, 2))
    members[1, :, 1] = 0.5
    assert_allclose(rank_correlation(members)[0, 1], spearmanr(members[0, :, 0], members[1, :, 0]).statistic)
    members[1] = 0.5
    assert np.isnan(rank_correlation(members)[0, 1])


def test_predictions_are_aligned_by_id_and_refused_where_they_are_of_other_things():
    one = Predictions(["a", "b", "c"], np.arange(6).reshape(3, 2), ("x", "y"), "probability")
    assert_allclose(aligned([one, one.take(np.array([2, 0, 1]))]), [one.values] * 2)
    for other, problem in (
        (one.take(np.array([0, 1])), "other samples"),
        (Predictions(one.ids, one.values, ("y", "x"), "probability"), "different outputs"),
        (Predictions(one.ids, one.values, ("x", "y"), "logit"), "different space"),
        (Predictions(one.ids, np.full((3, 2), np.nan), ("x", "y"), "probability"), "not finite"),
    ):
        with pytest.raises(DataError, match=problem):
            aligned([one, other])
    with pytest.raises(DataError, match="do not fit together"):
        aligned([])


def test_members_that_do_not_fit(case):
    target, members, _ = case
    with pytest.raises(DataError, match="do not fit together"):
        worth(members[:, :9], target, AUC, lambda kept: members[0])
