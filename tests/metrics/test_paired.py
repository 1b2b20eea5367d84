import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from outfold.metrics.paired import paired_t, simultaneous, verdict

SCORES = st.lists(st.floats(0, 1).map(lambda value: round(value, 6)), min_size=2, max_size=12)


@given(SCORES, st.integers(0, 2**32 - 1))
def test_the_textbooks_interval_is_scipys(scores: list[float], seed: int) -> None:
    others = np.array(scores) + np.random.default_rng(seed).normal(0, 0.1, len(scores))
    found = paired_t(others - scores)
    expected = stats.ttest_rel(others, scores)
    low, high = expected.confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(others - scores))
    assert found.deviation == pytest.approx(np.std(others - scores, ddof=1))
    assert (found.low, found.high, found.p) == pytest.approx((low, high, expected.pvalue))


def test_shared_training_rows_widen_the_interval() -> None:
    differences = [0.01, 0.03, 0.02]
    plain, widened = paired_t(differences), paired_t(differences, overlap=0.5)
    ratio = math.sqrt((1 / 3 + 1 / 2) / (1 / 3))  # Nadeau and Bengio, three folds
    assert widened.high - widened.mean == pytest.approx(ratio * (plain.high - plain.mean))
    assert widened.p > plain.p
    wide = paired_t(differences, level=0.99)
    assert wide.high - wide.mean == pytest.approx(stats.t.ppf(0.995, 2) * 0.01 / math.sqrt(3))


def test_what_cannot_be_said() -> None:
    assert all(map(math.isnan, paired_t([])))
    one = paired_t([0.1, math.nan])
    assert one.mean == 0.1
    assert math.isnan(one.low)
    assert math.isnan(one.p)
    assert paired_t([0.1, math.nan, 0.3]) == paired_t([0.1, 0.3])
    assert paired_t([0.0, 0.0, 0.0])[2:] == (0.0, 0.0, 1.0)
    assert paired_t([0.5, 0.5])[2:] == (0.5, 0.5, 0.0)


def test_simultaneous_levels_are_bonferronis() -> None:
    assert simultaneous(0.95, 1) == pytest.approx(0.95)
    assert simultaneous(0.95, 10) == pytest.approx(0.995)
    assert simultaneous(0.95, 0) == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("low", "high", "of_a_score", "of_a_loss"),
    [
        (0.01, 0.02, "better", "worse"),
        (-0.02, -0.01, "worse", "better"),
        (-0.01, 0.01, "noise", "noise"),
        (0.0, 0.01, "noise", "noise"),
        (-0.01, 0.0, "noise", "noise"),
        (math.nan, math.nan, "noise", "noise"),
    ],
)
def test_verdicts(low: float, high: float, of_a_score: str, of_a_loss: str) -> None:
    assert verdict(low, high, greater_is_better=True) == of_a_score
    assert verdict(low, high, greater_is_better=False) == of_a_loss
