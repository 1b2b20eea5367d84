"""Steps after prediction: what each does, what leaves values alone, and that rows do not see each other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from pydantic import ValidationError

from outfold.errors import RecipeError
from outfold.inference.postprocess import add_up, apply, clip, multiply, zero_below
from outfold.settings.data import Task
from outfold.settings.postprocess import PostprocessStage, Step

NAMES = ("green", "dead", "clover", "gdm", "total")
SUMS = {"gdm": ("green", "clover"), "total": ("gdm", "dead")}
TASK = Task(kind="regression", target=NAMES, metric="rmse", identities=SUMS)
PUBLISHED = [
    {"multiply": {"clover": 0.8}},
    {"clip": {"min": 0.0}},
    {"zero_below": 0.1},
    {"sum": "identities"},
    {"clip": {"max": 50, "columns": ["dead"]}},
]

masses = arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.just(len(NAMES))),
    elements=st.floats(-100, 100, width=32),
)


def steps_of(*steps: dict[str, Any]) -> list[Step]:
    return [Step.model_validate(step) for step in steps]


def test_each_step() -> None:
    values = np.array([[1.0, -2.0, 0.5, 9.0, 9.0], [0.05, 4.0, 2.0, 9.0, 9.0]], dtype=np.float32)
    doubled = multiply(values, NAMES, {"dead": 2, "clover": 0.5})
    assert_array_equal(doubled[:, 1:3], [[-4, 0.25], [8, 1]])
    assert_array_equal(clip(values, NAMES, low=0)[0], [1, 0, 0.5, 9, 9])
    assert_array_equal(clip(values, NAMES, high=3, columns=["dead"])[:, 1], [-2, 3])
    assert_array_equal(zero_below(values, NAMES, {"green": 0.1, "clover": 0.5})[:, [0, 2]], [[1, 0.5], [0, 2]])
    assert_array_equal(add_up(values, NAMES, SUMS)[:, 3:], np.float32([[1.5, -0.5], [2.05, 6.05]]))


@settings(max_examples=50, deadline=None)
@given(masses)
def test_steps_that_change_nothing(values: np.ndarray) -> None:
    assert_array_equal(multiply(values, NAMES, {"dead": 1.0}), values)
    assert_array_equal(clip(values, NAMES), values)
    assert_array_equal(zero_below(values, NAMES, dict.fromkeys(NAMES, -np.inf)), values)
    assert_array_equal(zero_below(values, NAMES, {}), values)
    assert_array_equal(add_up(values, NAMES, {}), values)


@settings(max_examples=50, deadline=None)
@given(masses)
def test_sums_hold_after_they_are_added_up(values: np.ndarray) -> None:
    changed = add_up(values, NAMES, SUMS)
    green, dead, clover, gdm, total = changed.T
    assert_array_equal(gdm, green + clover)  # to the last bit of float32
    assert_array_equal(total, gdm + dead)
    assert_array_equal(changed[:, :3], values[:, :3])


@settings(max_examples=50, deadline=None)
@given(masses, st.data())
def test_rows_do_not_see_each_other(values: np.ndarray, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=6))
    steps = steps_of(*PUBLISHED)
    assert_array_equal(apply(values[rows], steps, TASK), apply(values, steps, TASK)[rows])
    assert apply(values, steps, TASK).dtype == np.float32


@settings(max_examples=50, deadline=None)
@given(masses)
def test_bounds_hold(values: np.ndarray) -> None:
    changed = apply(values, steps_of({"clip": {"min": -3, "max": 7}}, {"zero_below": {"dead": 2}}), TASK)
    assert changed.min() >= -3
    assert changed.max() <= 7
    assert not ((changed[:, 1] != 0) & (changed[:, 1] < 2)).any()


def test_sums_are_added_in_the_order_in_which_they_need_each_other() -> None:
    values = np.array([[1.0, 2.0, 4.0, 0.0, 0.0]])
    turned = {"total": ["gdm", "dead"], "gdm": ["green", "clover"]}
    assert apply(values, steps_of({"sum": turned}), TASK)[0].tolist() == [1, 2, 4, 5, 7]


def test_a_step_that_is_not_learned_yet_is_refused() -> None:
    with pytest.raises(RecipeError, match="still to be learned"):
        apply(np.zeros((1, 5)), steps_of({"zero_below": "fit"}), TASK)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({}, "one of multiply, clip, zero_below and sum"),
        ({"clip": {"min": 0}, "zero_below": 0.1}, "one of multiply, clip, zero_below and sum"),
        ({"clip": {}}, "says nothing of what it does"),
        ({"multiply": {}}, "says nothing of what it does"),
        ({"zero_below": None}, "says nothing of what it does"),
        ({"clip": {"min": 2, "max": 1}}, "min 2 is above max 1"),
        ({"multiply": {"green": "guess"}}, "fit"),
        ({"zero_below": float("inf")}, "finite"),
    ],
)
def test_steps_without_a_meaning(step: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        PostprocessStage.model_validate({"kind": "postprocess", "from": "fit", "steps": [step]})


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"multiply": {"straw": 2}}, "'straw' of step `multiply` is none of the targets"),
        ({"clip": {"min": 0, "columns": ["straw"]}}, "'straw' of step `clip`"),
        ({"zero_below": {"straw": 1}}, "'straw' of step `zero_below`"),
        ({"sum": {"total": ["straw"]}}, "sum.total must add up other targets"),
        ({"sum": {"total": ["gdm"], "gdm": ["total"]}}, "sum go round in a circle"),
    ],
)
def test_steps_that_do_not_fit_the_task(step: dict[str, Any], told: str) -> None:
    stage = PostprocessStage.model_validate({"kind": "postprocess", "from": "fit", "steps": [step]})
    with pytest.raises(ValueError, match=told):
        stage.refuse_wrong_steps(TASK)


def test_identities_that_are_not_declared_cannot_be_added_up() -> None:
    stage = PostprocessStage.model_validate({"kind": "postprocess", "from": "fit", "steps": [{"sum": "identities"}]})
    with pytest.raises(ValueError, match=r"needs task\.identities"):
        stage.refuse_wrong_steps(TASK.model_copy(update={"identities": {}}))
    with pytest.raises(ValueError, match="binary task"):
        stage.refuse_wrong_steps(Task(kind="binary", target=("a",), metric="roc_auc"))
