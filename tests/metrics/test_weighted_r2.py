"""The weighted R2 of several targets at once, against a loop over cells, scikit-learn, and a real system's values."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from numpy.testing import assert_allclose
from pydantic import ValidationError

from outfold.errors import DataError
from outfold.metrics import get_metric, metric_of, score
from outfold.settings.task import Task

WEIGHTS = {"Dry_Green_g": 0.1, "Dry_Dead_g": 0.1, "Dry_Clover_g": 0.1, "GDM_g": 0.2, "Dry_Total_g": 0.5}


def masses(seed: int = 0, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Three targets of different size and their predictions, each float64 (n, 3)."""
    rng = np.random.default_rng(seed)
    target = rng.gamma(2.0, (1.0, 5.0, 20.0), (n, 3))
    return target, target + rng.normal(size=(n, 3)) * (1.0, 3.0, 8.0)


def by_cell(target: np.ndarray, prediction: np.ndarray, weights: tuple[float, ...]) -> float:
    """The formula word by word: every cell of the table is one observation with its target's weight."""
    cells = [(w, y, p) for t, q in zip(target, prediction, strict=True) for w, y, p in zip(weights, t, q, strict=True)]
    mean = sum(w * y for w, y, _ in cells) / sum(w for w, _, _ in cells)
    return 1 - sum(w * (y - p) ** 2 for w, y, p in cells) / sum(w * (y - mean) ** 2 for w, y, _ in cells)


def test_a_small_case_by_hand() -> None:
    # Cells 0 and 4 with weight 1, 0 and 8 with weight 3: the mean is (0 + 4 + 0 + 24) / 8 = 3.5, the spread
    # 12.25 + 0.25 + 3 * 12.25 + 3 * 20.25 = 110; errors 1 and 2 with weights 1 and 3 leave 13.
    target, prediction = np.array([[0.0, 0.0], [4.0, 8.0]]), np.array([[1.0, 0.0], [4.0, 6.0]])
    assert_allclose(score("weighted_r2", "regression", target, prediction, (1, 3)), 1 - 13 / 110)


@pytest.mark.parametrize("seed", range(4))
def test_every_cell_is_an_observation(seed: int) -> None:
    target, prediction = masses(seed)
    for weights in ((0.2, 0.3, 0.5), (1, 1, 7)):
        value = score("weighted_r2", "regression", target, prediction, weights)
        assert_allclose(value, by_cell(target, prediction, weights))
        long = np.tile(weights, len(target))
        assert_allclose(value, sk.r2_score(target.ravel(), prediction.ravel(), sample_weight=long))
    alike = score("weighted_r2", "regression", target, prediction)
    assert_allclose(alike, sk.r2_score(target.ravel(), prediction.ravel()))


def test_of_one_target_it_is_r2() -> None:
    target, prediction = (part[:, :1] for part in masses())
    expected = sk.r2_score(target, prediction)
    assert_allclose(score("weighted_r2", "regression", target, prediction, (0.3,)), expected)


def test_the_scale_of_weights_and_an_offset_do_not_matter() -> None:
    target, prediction = masses()
    value = score("weighted_r2", "regression", target, prediction, (1, 2, 5))
    assert_allclose(score("weighted_r2", "regression", target, prediction, (10, 20, 50)), value)
    assert_allclose(score("weighted_r2", "regression", target + 1e5, prediction + 1e5, (1, 2, 5)), value, rtol=1e-9)


def test_without_spread() -> None:
    flat = np.full((3, 2), 0.1)
    assert score("weighted_r2", "regression", flat, flat) == 1
    assert score("weighted_r2", "regression", flat, flat + 1) == 0
    assert np.isnan(get_metric("weighted_r2", "regression").function(flat[:1, :1], flat[:1, :1]))


def test_weights_are_bound_to_targets_by_name() -> None:
    target, prediction = masses()
    weights = {"c": 0.5, "a": 0.2, "b": 0.3}
    task = Task(kind="regression", target=("a", "b", "c"), metric="weighted_r2", target_weights=weights)
    expected = by_cell(target, prediction, (0.2, 0.3, 0.5))
    assert_allclose(metric_of(task).function(target, prediction), expected)
    turned = Task(kind="regression", target=("c", "a", "b"), metric="rmse", target_weights=weights)
    columns = [2, 0, 1]
    assert_allclose(metric_of(turned, "weighted_r2").function(target[:, columns], prediction[:, columns]), expected)
    assert_allclose(metric_of(turned).function(target, prediction), score("rmse", "regression", target, prediction))


@pytest.mark.parametrize(
    ("kind", "weights", "words"),
    [
        ("regression", {"a": 1.0}, "must name each target once"),
        ("regression", {"a": 1.0, "b": 1.0, "c": 1.0}, "must name each target once"),
        ("regression", {"a": 1.0, "b": 0.0}, "greater than 0"),
        ("regression", {"a": 1.0, "b": float("inf")}, "finite"),
        ("multilabel", {"a": 1.0, "b": 1.0}, "regression tasks"),
    ],
)
def test_weights_that_do_not_fit_the_task(kind: str, weights: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Task.model_validate({"kind": kind, "target": ["a", "b"], "metric": "rmse", "target_weights": weights})


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 0), (1, 1, float("nan"))])
def test_weights_that_do_not_fit_the_arrays(weights: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="3 positive numbers"):
        score("weighted_r2", "regression", *masses(), weights)


def test_the_published_system(shared_data: Callable[[str], Path]) -> None:
    table = pd.read_csv(shared_data("csiro") / "oof.csv")
    target = table[list(WEIGHTS)].to_numpy()
    prediction = table[[f"pred_{name}" for name in WEIGHTS]].to_numpy()
    weights = np.array(list(WEIGHTS.values()))
    task = Task(kind="regression", target=tuple(WEIGHTS), metric="weighted_r2", target_weights=WEIGHTS)
    assert round(metric_of(task).function(target, prediction), 4) == 0.8117
    # What it is easily mistaken for: the weighted mean of each target's own R2, and the weights laid over the cells
    # in the wrong order, so that each weight goes to a fifth of the rows instead of to a target.
    by_target = [score("r2", "regression", target[:, [k]], prediction[:, [k]]) for k in range(5)]
    assert round(float(np.average(by_target, weights=weights)), 4) == 0.7228
    wrong = np.repeat(weights, len(target))
    assert round(sk.r2_score(target.ravel(), prediction.ravel(), sample_weight=wrong), 4) == 0.8287
