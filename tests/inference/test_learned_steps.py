"""Learned factors and thresholds against searches by the metric itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from outfold.data.audio.rows import RowClips
from outfold.data.predictions import logits_of
from outfold.errors import DataError, RecipeError
from outfold.inference import learned_in_time
from outfold.inference.learned_steps import ERRORS, check_metric, column_weights, factor, learn, threshold
from outfold.inference.postprocess import apply, multiply, zero_below
from outfold.metrics import METRICS, Metric, get_metric
from outfold.settings.postprocess import Step
from outfold.settings.task import Task

NAMES = ("green", "dead", "clover")
WEIGHTS = (0.2, 0.3, 0.5)
REGRESSION = [name for name, metric in METRICS.items() if "regression" in metric.tasks]


def metric_of(name: str) -> Metric:
    return get_metric(name, "regression", WEIGHTS)


def better(metric: Metric) -> int:
    return 1 if metric.greater_is_better else -1


def masses(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truth (n, 3): too large, with false small amounts where there is nothing."""
    rng = np.random.default_rng(seed)
    target = rng.gamma(2.0, (2.0, 5.0, 3.0), (n, 3)) * (rng.random((n, 3)) < (1, 0.7, 0.3))
    return 1.3 * target + rng.gamma(1.0, 0.7, (n, 3)), target


def task_of(name: str) -> Task:
    weights = dict(zip(NAMES, WEIGHTS, strict=True)) if name == "weighted_r2" else {}
    return Task(kind="regression", target=NAMES, metric=name, target_weights=weights)


def test_every_metric_of_a_regression_can_be_learned_by() -> None:
    assert set(ERRORS) == set(REGRESSION)
    with pytest.raises(RecipeError, match="no number of a step can be learned by log_loss"):
        check_metric(get_metric("log_loss", "binary"))


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("seed", range(3))
def test_a_factor_is_as_good_as_a_search_finds(name: str, seed: int) -> None:
    (values, target), metric = masses(seed), metric_of(name)
    learned = learn(values, target, [Step(multiply={"clover": "fit"})], task_of(name), metric)

    def loss(number: float) -> float:
        return -better(metric) * metric.function(target, multiply(values, NAMES, {"clover": number}))

    searched = minimize_scalar(loss, bounds=(0, 4), method="bounded", options={"xatol": 1e-10})
    assert loss(float(learned[0].multiply["clover"])) <= searched.fun + 1e-12


@pytest.mark.parametrize("power", [1, 2])
def test_a_factor_of_what_is_exactly_proportional(power: int) -> None:
    y = np.array([1.0, 0.0, 3.0, 7.0])
    assert_allclose(factor(y / 0.8, y, power), 0.8)
    assert factor(-y, y, power) == 0  # never turned around
    assert factor(np.zeros(4), y, power) == 1
    assert factor(np.zeros(0), np.zeros(0), power) == 1


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("shared", [True, False])
def test_a_threshold_is_as_good_as_any(name: str, shared: bool) -> None:
    for seed in range(4):
        (values, target), metric = masses(seed, 25), metric_of(name)
        given_step = Step(zero_below="fit" if shared else {"dead": "fit"})
        learned = learn(values, target, [given_step], task_of(name), metric)
        score = metric.function(target, apply(values, learned, task_of(name)))
        columns = NAMES if shared else ("dead",)
        tried = [*np.unique(values), values.max() + 1]
        all_scores = [
            metric.function(target, zero_below(values, NAMES, dict.fromkeys(columns, limit))) for limit in tried
        ]
        best = max(all_scores) if metric.greater_is_better else min(all_scores)
        assert_allclose(score, best, rtol=1e-9)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (7, 2), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.0])), st.sampled_from(REGRESSION))
def test_a_threshold_never_makes_it_worse(values: np.ndarray, name: str) -> None:
    target = np.array([[0, 1], [0, 1], [1, 2], [0, 0], [3, 1], [0, 0], [2, 2]], dtype=float)
    limit = threshold(values, target, ERRORS[name])
    loss = np.abs(values - target) ** ERRORS[name].power
    if limit is not None:
        cut = np.abs(np.where(values < limit, 0, values) - target) ** ERRORS[name].power
        root = ERRORS[name].root
        assert (cut.sum(axis=0) ** root).sum() < (loss.sum(axis=0) ** root).sum()
        assert (values < limit).any()


def test_a_threshold_lies_between_what_is_cut_and_what_is_not() -> None:
    values, target = np.array([[0.25], [0.5], [4.0]]), np.array([[0.0], [0.0], [4.0]])
    assert threshold(values, target, ERRORS["rmse"]) == 2.25
    assert threshold(values, values, ERRORS["rmse"]) is None
    above = threshold(values, np.zeros((3, 1)), ERRORS["mae"])
    assert above is not None
    assert above > 4
    assert threshold(np.zeros((0, 1)), np.zeros((0, 1)), ERRORS["mae"]) is None


@pytest.mark.parametrize("name", REGRESSION)
def test_errors_and_weights_give_the_metric(name: str) -> None:
    values, target = masses(5)
    metric, errors = metric_of(name), ERRORS[name]
    sums = (np.abs(values - target) ** errors.power).sum(axis=0)
    lost = sums**errors.root @ column_weights(target, metric)
    assert_allclose(lost, abs(metric.function(target, target) - metric.function(target, values)), rtol=1e-9)


def test_steps_are_learned_on_what_the_steps_before_them_give() -> None:
    values, target = masses(1)
    steps = [Step(multiply=dict.fromkeys(NAMES, "fit")), Step(zero_below=dict.fromkeys(NAMES, "fit"))]
    task, metric = task_of("weighted_r2"), metric_of("weighted_r2")
    first, second = learn(values, target, steps, task, metric)
    between = apply(values, [first], task)
    assert [second] == learn(between, target, steps[1:], task, metric)
    scores = [metric.function(target, part) for part in (values, between, apply(between, [second], task))]
    assert scores == sorted(scores)


def test_without_rows_nothing_is_learned() -> None:
    steps = [Step(multiply={"dead": "fit", "green": 0.5}), Step(zero_below="fit"), Step(zero_below={"dead": "fit"})]
    empty = np.zeros((0, 3))
    learned = learn(empty, empty, steps, task_of("rmse"), metric_of("rmse"))
    assert learned[0].multiply == {"dead": 1.0, "green": 0.5}
    values = masses(0)[0]
    assert_allclose(apply(values, learned, task_of("rmse"))[:, 1:], values[:, 1:])


CALLS = Task(kind="multilabel", target=("a", "b", "c"), metric="macro_roc_auc")
IN_TIME = [Step.model_validate(step) for step in ({"boost": {"weight": "fit"}}, {"smooth": {"kernel": "fit"}})]


def heard(seed: int = 0) -> tuple[np.ndarray, np.ndarray, RowClips]:
    """Probabilities and truth of three classes in eight soundscapes; a class calls for six windows or never."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((8, 20, 3))
    for one in truth:
        for column in np.flatnonzero(rng.random(3) < 0.5):
            start = rng.integers(0, 14)
            one[start : start + 6, column] = 1
    truth = truth.reshape(-1, 3)
    probability = 1 / (1 + np.exp(3 - 3 * truth - rng.normal(0, 2, truth.shape)))
    start = np.tile(5.0 * np.arange(20), 8)
    return probability, truth, RowClips(np.repeat([f"s{i}.ogg" for i in range(8)], 20).astype(object), start, start + 5)


def test_steps_in_time_are_learned_one_after_the_other() -> None:
    probability, truth, clips = heard()
    metric = get_metric("macro_roc_auc", "multilabel")
    boost, smooth = learn(probability, truth, IN_TIME, CALLS, metric, clips)
    logits = logits_of(probability, "multilabel")
    together = learned_in_time.learn(logits, truth, clips.recording, clips.start_s, metric)
    assert boost.boost is not None
    assert smooth.smooth is not None
    assert (boost.boost.weight, smooth.smooth.kernel) == (together.boost, together.kernel)
    assert smooth.smooth.hop_s == 5
    boosted = apply(probability, [boost], CALLS, clips)
    alone = learn(boosted, truth, IN_TIME[1:], CALLS, metric, clips)
    assert alone == [smooth]
    turned = learn(probability, truth, IN_TIME[::-1], CALLS, metric, clips)
    assert turned[0] == learn(probability, truth, IN_TIME[1:], CALLS, metric, clips)[0]


def test_a_loss_of_probabilities_teaches_steps_in_time_too() -> None:
    probability, truth, clips = heard()
    metric = get_metric("log_loss", "multilabel")
    learned = learn(probability, truth, IN_TIME, CALLS, metric, clips)
    changed = apply(probability, learned, CALLS, clips)
    assert metric.function(truth, changed) < metric.function(truth, probability)


def test_steps_in_time_without_rows_or_without_a_score() -> None:
    probability, truth, clips = heard()
    metric, none = get_metric("macro_roc_auc", "multilabel"), np.zeros(0, dtype=np.int64)
    boost, smooth = learn(probability[none], truth[none], IN_TIME, CALLS, metric, clips.take(none))
    assert boost.boost is not None
    assert smooth.smooth is not None
    assert (boost.boost.weight, smooth.smooth.kernel) == (0, (1,))
    assert_allclose(apply(probability, [boost, smooth], CALLS, clips), probability, rtol=1e-6)
    with pytest.raises(DataError, match="not defined"):
        learn(probability, np.zeros_like(truth), IN_TIME, CALLS, metric, clips)
