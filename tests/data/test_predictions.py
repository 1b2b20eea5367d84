import numpy as np
import pandas as pd
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from outfold.data.predictions import Predictions, sigmoid, softmax
from outfold.errors import DataError


def make(n: int = 6, k: int = 3, space: str = "logit", seed: int = 0) -> Predictions:
    values = np.random.default_rng(seed).normal(size=(n, k))
    return Predictions([f"s{i}" for i in range(n)], values, tuple("abc"[:k]), space)


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_alignment_does_not_depend_on_the_order_of_rows(order, wanted):
    whole = make(8)
    ids = whole.ids[list(wanted)]
    aligned = whole.take(np.array(order)).aligned_to(ids)
    assert list(aligned.ids) == list(ids)
    assert_array_equal(aligned.values, whole.values[list(wanted)])


@given(st.permutations(range(8)), st.sampled_from(["logit", "probability"]))
def test_mean_does_not_depend_on_the_order_of_rows(order, space):
    one, two = make(8, seed=1), make(8, seed=2)
    plain = Predictions.mean([one, two], space, "multiclass")
    assert_array_equal(Predictions.mean([one, two.take(np.array(order))], space, "multiclass").values, plain.values)


def test_other_ids_are_an_error_that_names_the_first_few():
    with pytest.raises(DataError, match=r"x0, x1, x2, \.\.") as caught:
        make(4).aligned_to([f"x{i}" for i in range(4)])
    assert "s0, s1, s2, .." in str(caught.value)
    with pytest.raises(DataError, match="s3"):
        make(4).aligned_to(["s0", "s1", "s2"])
    with pytest.raises(DataError, match="x"):
        make(2).aligned_to(["s0", "s1", "x"])
    with pytest.raises(DataError, match="other samples"):
        Predictions.mean([make(4), make(5)])


def test_the_same_id_twice_and_wrong_shapes_are_errors():
    with pytest.raises(DataError, match="b"):
        Predictions(["a", "b", "b"], np.zeros((3, 1)), ("p",), "value")
    with pytest.raises(DataError, match="2 ids x 1 outputs"):
        Predictions(["a", "b"], np.zeros((2, 2)), ("p",), "value")
    with pytest.raises(DataError, match="s0"):
        Predictions.concat([make(2), make(2)])


def test_integer_ids_become_text_and_values_float32():
    predictions = Predictions(np.arange(2), np.zeros((2, 1)), ["p"], "value")
    assert list(predictions.ids) == ["0", "1"]
    assert predictions.values.dtype == np.float32


def test_table_and_back():
    predictions = make(5)
    frame = predictions.to_frame("prob_")
    assert list(frame.columns) == ["id", "prob_a", "prob_b", "prob_c"]
    again = Predictions.from_frame(frame.assign(fold=1), "abc", "logit", prefix="prob_")
    assert_array_equal(again.values, predictions.values)
    assert_array_equal(again.ids, predictions.ids)
    with pytest.raises(DataError, match="prob_d"):
        Predictions.from_frame(frame, "abd", "logit", prefix="prob_")
    with pytest.raises(DataError, match="prefix"):
        Predictions(["a"], [[1.0]], ["id"], "value").to_frame()


def test_concat_keeps_rows_and_refuses_other_outputs():
    whole = make(6)
    parts = [whole.take(np.arange(3, 6)), whole.take(np.arange(3))]
    assert_array_equal(Predictions.concat(parts).aligned_to(whole.ids).values, whole.values)
    with pytest.raises(DataError, match="outputs"):
        Predictions.concat([make(2, 3), make(2, 2)])
    with pytest.raises(DataError, match="space"):
        Predictions.mean([make(), make(space="probability")])
    with pytest.raises(DataError, match="no predictions"):
        Predictions.concat([])


@given(st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=5))
def test_softmax_and_sigmoid_are_stable_and_right(row):
    logits = np.array([row])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert_allclose(softmax(logits), scipy.special.softmax(logits, axis=-1), rtol=1e-12, atol=1e-300)
        assert_allclose(sigmoid(logits), scipy.special.expit(logits), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
def test_probability_and_logit_are_inverse(kind):
    probability = make(20).to_probability(kind)
    assert probability.space == "probability"
    again = probability.to_logit(kind).to_probability(kind)
    assert_allclose(again.values, probability.values, rtol=1e-5)
    extreme = Predictions(["a"], [[0.0, 1.0]], ["x", "y"], "probability").to_logit(kind)
    assert np.isfinite(extreme.values).all()


def test_values_have_no_other_space():
    values = make(3, space="value")
    assert values.to_probability("regression") is values
    assert Predictions.mean([values, values], "logit", "regression").space == "value"


def test_mean_in_the_asked_space():
    one, two = make(4, seed=1), make(4, seed=2)
    logits = Predictions.mean([one, two], "logit", "multiclass")
    assert_allclose(logits.values, (one.values + two.values) / 2, rtol=1e-6)
    probability = Predictions.mean([one, two], "probability", "binary")
    expected = (scipy.special.expit(one.values) + scipy.special.expit(two.values)) / 2
    assert probability.space == "probability"
    assert_allclose(probability.values, expected, rtol=1e-6)


def test_ids_survive_parquet(tmp_path):
    predictions = Predictions(["01", "1", "NA"], np.ones((3, 1)), ["p"], "probability")
    predictions.to_frame().to_parquet(tmp_path / "p.parquet")
    again = Predictions.from_frame(pd.read_parquet(tmp_path / "p.parquet"), ["p"], "probability")
    assert list(again.ids) == ["01", "1", "NA"]
