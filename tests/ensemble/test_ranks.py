import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.stats import rankdata

from outfold.ensemble import RankReference, percent_ranks, rank_mean
from outfold.errors import DataError
from outfold.metrics import METRICS, get_metric

COARSE = arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 3)),
    elements=st.integers(-8, 8).map(lambda value: value / 4),
)


@given(values=COARSE)
@settings(deadline=None)
def test_ranks_are_those_of_pandas(values):
    for member in values:
        expected = pd.DataFrame(member).rank(pct=True).to_numpy()
        assert_allclose(percent_ranks(member), expected)
        assert_allclose(RankReference.of(member)(member), expected)
    expected = np.mean([rankdata(member, axis=0) / len(member) for member in values], axis=0)
    assert_allclose(rank_mean(values), expected)


@given(values=COARSE, data=st.data())
@settings(deadline=None)
def test_any_rising_transform_of_a_member_leaves_the_rank_mean_alone(values, data):
    transforms = [lambda x: x, np.exp, lambda x: x**3, lambda x: 5 * x - 2, np.arctan]
    chosen = [data.draw(st.sampled_from(transforms)) for _ in values]
    bent = [transform(member) for transform, member in zip(chosen, values, strict=True)]
    assert_allclose(rank_mean(bent), rank_mean(values))
    references, bent_references = ([RankReference.of(member) for member in part] for part in (values, bent))
    known = [member[::-1] for member in values]
    assert_allclose(
        rank_mean([member[::-1] for member in bent], references=bent_references),
        rank_mean(known, references=references),
    )


def test_reference_ranks_do_not_depend_on_the_other_rows():
    rng = np.random.default_rng(0)
    oof, later = rng.random((500, 2)), rng.random((40, 2)) * 1.2 - 0.1
    rank = RankReference.of(oof)
    together = rank(later)
    assert_allclose(np.concatenate([rank(later[[row]]) for row in range(40)]), together)
    assert ((together > 0) & (together <= 1)).all()
    for column in range(2):
        order = np.argsort(later[:, column])
        assert (np.diff(together[order, column]) >= 0).all()
        inside = (later[order, column] > oof[:, column].min()) & (later[order, column] < oof[:, column].max())
        assert (np.diff(together[order, column][inside]) > 0).all()  # values between known ones keep their order
    assert abs(together.mean() - 0.5) < 0.1


def test_references_must_fit():
    values = np.random.default_rng(0).random((2, 10, 3))
    with pytest.raises(DataError, match="do not fit the reference"):
        RankReference.of(values[0])(values[0, :, :2])
    with pytest.raises(DataError, match="not for these members"):
        rank_mean(values, references=[RankReference.of(values[0])])


@pytest.mark.parametrize("name", METRICS)
def test_metrics_of_the_order_are_those_that_ranks_do_not_change(name):
    rng = np.random.default_rng(0)
    kind = METRICS[name].tasks[0]
    columns = 1 if kind == "binary" else 3
    prediction = rng.dirichlet(np.ones(3), 60)[:, :columns] ** 3
    target = np.eye(3)[rng.integers(0, 3, 60)][:, :columns] if kind != "regression" else prediction + 0.1 * rng.random()
    metric = get_metric(name, kind)
    same = np.isclose(metric.function(target, prediction), metric.function(target, percent_ranks(prediction)))
    assert same == metric.by_order
