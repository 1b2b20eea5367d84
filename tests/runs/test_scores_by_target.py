"""Scores of each target by itself, against scikit-learn and the interval of one metric at a time."""

import numpy as np
import pytest
import sklearn.metrics as sk
from numpy.testing import assert_allclose

from outfold.metrics import get_metric, interval
from outfold.runs.scores import Judged, broken_sums, scores_by_target
from outfold.settings.task import Task

NAMES = ("a", "b", "c")
TASK = Task(kind="regression", target=NAMES, metric="rmse", identities={"c": ("a", "b")})


def judged(groups: np.ndarray | None = None, n: int = 50) -> Judged:
    rng = np.random.default_rng(0)
    target = rng.normal(size=(n, 3)).astype(np.float32) * (1, 5, 9)
    values = (target + rng.normal(size=(n, 3))).astype(np.float32)
    return Judged(np.arange(n), target.astype(np.float32), values, groups, np.arange(n) % 5)


@pytest.mark.parametrize("groups", [None, np.arange(50) // 4])
def test_each_target_alone(groups: np.ndarray | None) -> None:
    rows = judged(groups)
    found = scores_by_target(rows, TASK)
    assert list(found) == list(NAMES)
    for k, name in enumerate(NAMES):
        target, values = rows.target[:, [k]], rows.values[:, [k]]
        assert_allclose(found[name]["r2"]["value"], sk.r2_score(target, values), rtol=1e-5)
        assert_allclose(found[name]["rmse"]["value"], sk.root_mean_squared_error(target, values), rtol=1e-6)
        for metric in ("r2", "rmse"):
            low, high = interval(get_metric(metric, "regression"), target, values, groups)
            assert (found[name][metric]["low"], found[name][metric]["high"]) == (low, high)


def test_where_there_is_nothing_to_say() -> None:
    rows = judged()
    assert scores_by_target(rows, Task(kind="regression", target=("a",), metric="rmse")) == {}
    assert scores_by_target(rows, Task(kind="multilabel", target=NAMES, metric="macro_f1")) == {}
    none = rows.take(np.zeros(50, dtype=bool))
    assert scores_by_target(none, TASK) == {}
    assert broken_sums(none, TASK) == {}


def test_broken_sums() -> None:
    rows = judged()
    off = np.abs(rows.values[:, 2].astype(float) - rows.values[:, :2].astype(float).sum(axis=1))
    found = broken_sums(rows, TASK)
    assert found["c"]["parts"] == ["a", "b"]
    assert_allclose([found["c"]["mean"], found["c"]["largest"]], [off.mean(), off.max()])
    assert found["c"]["rows"] == len(off)
