"""Scores of predictions: over all rows with intervals, over some of the rows, over ranks within folds, by fold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.breaches import breaches
from outfold.data.dataset import Dataset
from outfold.data.folds import FoldTable
from outfold.data.predictions import Predictions
from outfold.data.where import matching_rows
from outfold.ensemble.ranks import fold_ranks
from outfold.errors import RecipeError
from outfold.files import known
from outfold.metrics import Metric, interval, metric_of, middle
from outfold.metrics.bootstrap import resampled, units_of
from outfold.settings.task import Score, Task
from outfold.stages.scoring import metric_names

BY_TARGET = ("r2", "rmse")
"""What each target of a regression is judged by, beside the task's metric."""
N_RESAMPLES = 1000


@dataclass(frozen=True)
class Judged:
    """Predictions of m rows beside the truth.

    Attributes:
        rows: int64 (m,), places in the training table.
        target: float32 (m, k).
        values: float32 (m, k).
        groups: int64 (m,), or None.
        fold: int64 (m,).
    """

    rows: np.ndarray
    target: np.ndarray
    values: np.ndarray
    groups: np.ndarray | None
    fold: np.ndarray

    def take(self, places: np.ndarray) -> "Judged":
        """Some of the rows, by place or mask."""
        groups = None if self.groups is None else self.groups[places]
        return Judged(self.rows[places], self.target[places], self.values[places], groups, self.fold[places])


def judged_rows(predictions: Predictions, dataset: Dataset, folds: FoldTable | None = None) -> Judged:
    """Out-of-fold predictions beside the truth.

    Args:
        predictions: of all rows that the run judges.
        dataset: the run's data.
        folds: those that the predictions were made by; the run's own when not given.
    """
    folds = folds or dataset.folds
    rows = dataset.scored_rows
    values = predictions.aligned_to(dataset.train.samples.ids[rows]).values
    groups = None if folds.groups is None else folds.groups[rows]
    return Judged(rows, dataset.answer_target[rows], values, groups, folds.fold[rows])


def scores_with_intervals(judged: Judged, task: Task, dataset: Dataset) -> dict[str, dict[str, float | None]]:
    """By score, its value over all out-of-fold rows and its 95% interval, over groups where there are groups."""
    return {name: _with_interval(metric, part) for name, metric, part in _parts(judged, task, dataset)}


def scores_of_rows(judged: Judged, task: Task, dataset: Dataset, rows: np.ndarray) -> dict[str, float | None]:
    """By score, its value over some training rows, int64 (m,), such as those of one fold."""
    some = judged.take(np.isin(judged.rows, rows))
    return {
        name: known(metric.function(part.target, part.values)) if len(part.rows) else None
        for name, metric, part in _parts(some, task, dataset)
    }


def scores_by_target(judged: Judged, task: Task) -> dict[str, dict[str, dict[str, float | None]]]:
    """By target of a regression of several, its own R2 and RMSE with 95% intervals; empty for other tasks.

    All intervals are of the same resamples of rows, or of groups where there are groups.
    """
    names = task.target if task.kind == "regression" else ()
    if len(names) < 2 or not len(judged.rows):
        return {}
    metrics = [metric_of(task, name) for name in BY_TARGET]
    columns = [(judged.target[:, [k]], judged.values[:, [k]]) for k in range(len(names))]
    statistics = [metric.statistic(*column) for column in columns for metric in metrics]
    drawn = resampled(statistics, units_of(judged.groups, len(judged.rows)), N_RESAMPLES, 0)
    found = iter(map(middle, drawn))
    return {
        name: {metric.name: _estimate(metric.function(*column), *next(found)) for metric in metrics}
        for name, column in zip(names, columns, strict=True)
    }


def broken_sums(judged: Judged, task: Task) -> dict[str, dict[str, Any]]:
    """By identity of the task, its parts and by how much out-of-fold predictions break it; see `breaches`."""
    if not len(judged.rows):
        return {}
    found = breaches(judged.values, task.target, task.identities)
    return {name: {"parts": list(task.identities[name]), **off} for name, off in found.items()}


def validate_scores(task: Task) -> None:
    """Refuse scores that cannot be computed.

    Raises:
        RecipeError: no such metric for this task, or ranks for a metric that looks at more than the order.
    """
    for name, score in task.scores.items():
        metric = metric_of(task.answer, score.metric)
        if score.fold_ranks and not metric.by_order:
            raise RecipeError(f"task.scores.{name}: {metric.name} of ranks has no meaning", fix="remove fold_ranks")


def score_masks(task: Task, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """By further score, bool (n,): the training rows that it looks at.

    Args:
        task: the recipe's.
        frame: the training table, n rows.

    Raises:
        DataError: a column is missing, or no row meets the conditions.
    """
    return {
        name: matching_rows(frame, score.where, role=f"task.scores.{name}", table="training table")
        for name, score in task.scores.items()
    }


def _parts(judged: Judged, task: Task, dataset: Dataset) -> Iterator[tuple[str, Metric, Judged]]:
    """Every score's name, its metric, and the rows it looks at with the predictions as it sees them."""
    answer = task.answer
    for name in metric_names(answer):
        yield name, metric_of(answer, name), judged
    for name, mask in score_masks(task, dataset.train.samples.frame).items():
        score: Score = task.scores[name]
        seen = judged
        if score.fold_ranks:
            ranks = fold_ranks(judged.values, judged.fold)
            seen = Judged(judged.rows, judged.target, ranks, judged.groups, judged.fold)
        yield name, metric_of(answer, score.metric), seen.take(mask[judged.rows])


def _with_interval(metric: Metric, judged: Judged) -> dict[str, float | None]:
    if not len(judged.rows):
        return {"value": None, "low": None, "high": None}
    low, high = interval(metric, judged.target, judged.values, groups=judged.groups)
    return _estimate(metric.function(judged.target, judged.values), low, high)


def _estimate(value: float, low: float, high: float) -> dict[str, float | None]:
    return {"value": known(value), "low": known(low), "high": known(high)}
