"""Steps after prediction: what each does, what leaves values alone, and which rows see each other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError

from outfold.data.audio.rows import RowClips
from outfold.errors import DataError, RecipeError
from outfold.inference.postprocess import add_up, apply, clip, multiply, zero_below
from outfold.settings.postprocess import PostprocessStage, Step
from outfold.settings.task import Task

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
        ({}, "one of multiply, clip, zero_below, sum, boost, smooth"),
        ({"clip": {"min": 0}, "zero_below": 0.1}, "one of multiply, clip, zero_below, sum, boost, smooth"),
        ({"clip": {}}, "says nothing of what it does"),
        ({"multiply": {}}, "says nothing of what it does"),
        ({"zero_below": None}, "says nothing of what it does"),
        ({"clip": {"min": 2, "max": 1}}, "min 2 is above max 1"),
        ({"multiply": {"green": "guess"}}, "fit"),
        ({"zero_below": float("inf")}, "finite"),
        ({"boost": {"weight": 0}}, "step `boost` says nothing of what it does"),
        ({"boost": {}}, "Field required"),
        ({"boost": {"weight": -0.1}}, "greater than or equal to 0"),
        ({"smooth": {"kernel": [0, 1, 0]}}, "step `smooth` says nothing of what it does"),
        ({"smooth": {"kernel": [1]}}, "step `smooth` says nothing of what it does"),
        ({"smooth": {"kernel": [1, 1]}}, "an odd number of weights"),
        ({"smooth": {"kernel": []}}, "an odd number of weights"),
        ({"smooth": {"kernel": [1, 0, 1]}}, "the middle one above 0"),
        ({"smooth": {"kernel": [1, 2, -1]}}, "greater than or equal to 0"),
        ({"smooth": {"kernel": "fit", "hop_s": 0}}, "greater than 0"),
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
    (fault,) = stage.wrong_steps(TASK)
    assert told in fault


def test_identities_that_are_not_declared_cannot_be_added_up() -> None:
    stage = PostprocessStage.model_validate({"kind": "postprocess", "from": "fit", "steps": [{"sum": "identities"}]})
    assert list(stage.wrong_steps(TASK.model_copy(update={"identities": {}}))) == [
        "`sum: identities` needs task.identities"
    ]
    assert list(stage.wrong_steps(Task(kind="binary", target=("a",), metric="roc_auc"), recordings=True)) == [
        "step `sum` changes values of a regression, this is a binary task"
    ]


@pytest.mark.parametrize("step", [{"boost": {"weight": 0.8}}, {"smooth": {"kernel": "fit"}}])
def test_steps_in_time_need_recordings_and_probabilities(step: dict[str, Any]) -> None:
    stage = PostprocessStage.model_validate({"kind": "postprocess", "from": "fit", "steps": [step]})
    name = next(iter(step))
    assert list(stage.wrong_steps(TASK, recordings=True)) == [
        f"step `{name}` changes probabilities, this is a regression task"
    ]
    assert list(stage.wrong_steps(CALLS)) == [
        f"step `{name}` looks at the rows of a recording together; set data.audio"
    ]
    assert not list(stage.wrong_steps(CALLS, recordings=True))
    with pytest.raises(DataError, match="needs rows of recordings"):
        apply(np.full((1, 4), 0.5), steps_of({"boost": {"weight": 1}}), CALLS)


CALLS = Task(kind="multilabel", target=("a", "b", "c", "d"), metric="macro_roc_auc")


def heard(seed: int = 0) -> tuple[np.ndarray, RowClips]:
    """Probabilities of four classes in two recordings of six windows, in no order."""
    rng = np.random.default_rng(seed)
    recording, start = np.repeat(["a.ogg", "b.ogg"], 6).astype(object), np.tile(5.0 * np.arange(6), 2)
    order = rng.permutation(12)
    return rng.uniform(0.01, 0.99, (12, 4)), RowClips(recording[order], start[order], start[order] + 5)


def test_a_boost_is_the_published_formula_on_logits() -> None:
    probability, clips = heard()
    changed = apply(probability, steps_of({"boost": {"weight": 0.8}}), CALLS, clips)
    for name in ("a.ogg", "b.ogg"):
        rows = clips.recording == name
        logits = np.log(probability[rows] / (1 - probability[rows]))
        maxima = logits.max(axis=0)
        raised = logits + 0.8 * (maxima + logits.mean() - maxima.mean())
        assert_allclose(changed[rows], 1 / (1 + np.exp(-raised)), rtol=1e-12)


def test_a_boost_of_one_of_several_classes() -> None:
    probability, clips = heard()
    probability /= probability.sum(axis=1, keepdims=True)
    task = Task(kind="multiclass", target=("a",), metric="accuracy", classes=("w", "x", "y", "z"))
    changed = apply(probability, steps_of({"boost": {"weight": 0.5}}), task, clips)
    rows = clips.recording == "a.ogg"
    # What the formula moves all classes of a row by is lost in the softmax: p times (maximum in time) ^ weight.
    expected = probability[rows] * probability[rows].max(axis=0) ** 0.5
    assert_allclose(changed[rows], expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


def test_a_boost_of_a_single_output_follows_the_mean_of_the_recording() -> None:
    probability, clips = heard()
    tasks = [
        Task(kind="binary", target=("a",), metric="roc_auc"),
        Task(kind="multiclass", target=("a",), metric="roc_auc", classes=("w", "x"), score_class="x"),
    ]
    for task in tasks:
        changed = apply(probability[:, :1], steps_of({"boost": {"weight": 0.5}}), task, clips)
        logits = np.log(probability[:, 0] / (1 - probability[:, 0]))
        first = clips.recording == "a.ogg"
        mean = np.where(first, logits[first].mean(), logits[~first].mean())
        assert_allclose(changed[:, 0], 1 / (1 + np.exp(-(logits + 0.5 * mean))), rtol=1e-12)


def test_smoothing_averages_probabilities_of_neighbours() -> None:
    probability, clips = heard()
    changed = apply(probability, steps_of({"smooth": {"kernel": [0.1, 0.2, 0.4, 0.2, 0.1]}}), CALLS, clips)
    order = np.flatnonzero(clips.recording == "b.ogg")
    order = order[np.argsort(clips.start_s[order])]
    p = probability[order]
    assert_allclose(changed[order[2]], 0.1 * p[0] + 0.2 * p[1] + 0.4 * p[2] + 0.2 * p[3] + 0.1 * p[4], rtol=1e-12)
    assert_allclose(changed[order[0]], (0.4 * p[0] + 0.2 * p[1] + 0.1 * p[2]) / 0.7, rtol=1e-12)


def test_steps_in_time_act_in_their_order() -> None:
    probability, clips = heard()
    boost, smooth = {"boost": {"weight": 0.8}}, {"smooth": {"kernel": [1, 2, 1]}}
    first = apply(apply(probability, steps_of(boost), CALLS, clips), steps_of(smooth), CALLS, clips)
    assert_array_equal(apply(probability, steps_of(boost, smooth), CALLS, clips), first)
    assert np.abs(apply(probability, steps_of(smooth, boost), CALLS, clips) - first).max() > 0.01


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(12)), st.integers(0, 9))
def test_recordings_do_not_see_each_other(order: list[int], seed: int) -> None:
    probability, clips = heard(seed)
    steps = steps_of({"boost": {"weight": 0.8}}, {"smooth": {"kernel": [1, 2, 1]}}, {"boost": {"weight": 0.1}})
    changed = apply(probability.astype(np.float32), steps, CALLS, clips)
    assert changed.dtype == np.float32
    rows = np.array(order)
    shuffled = apply(probability.astype(np.float32)[rows], steps, CALLS, clips.take(rows))
    assert_allclose(shuffled, changed[rows], rtol=1e-6)
    alone = np.flatnonzero(clips.recording == "b.ogg")
    assert_allclose(
        apply(probability.astype(np.float32)[alone], steps, CALLS, clips.take(alone)), changed[alone], rtol=1e-6
    )


def test_probabilities_of_0_and_1_stay_finite() -> None:
    _, clips = heard()
    probability = np.tile(np.float32([[0, 1, 1e-30, 1 - 6e-8]]), (12, 1))
    changed = apply(probability, steps_of({"boost": {"weight": 2}}), CALLS, clips)
    assert np.isfinite(changed).all()
    assert ((changed >= 0) & (changed <= 1)).all()
