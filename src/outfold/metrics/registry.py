"""The metrics by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from outfold.errors import DataError, RecipeError
from outfold.metrics import labels, ranking, values
from outfold.metrics.statistic import Kernel, Statistic
from outfold.names import suggestion
from outfold.settings.task import Task, TaskKind


@dataclass(frozen=True)
class Metric:
    """A score that a task can be judged by.

    Attributes:
        name: what recipes call it.
        kernels: by task, how it is computed.
        greater_is_better: its direction.
        by_order: whether only the order of the predictions counts, so that ranks score as they do.
        judges: what it looks at: labels, probabilities, or regression values.
        kind: the task it was asked for; see `get_metric`.
        reweighted: for a metric that weighs targets, its kernel for given weights, in the order of the targets.
    """

    name: str
    kernels: Mapping[TaskKind, Kernel]
    judges: Literal["label", "probability", "value"]
    greater_is_better: bool = True
    kind: TaskKind | None = None
    reweighted: Callable[[Sequence[float]], Kernel] | None = None
    by_order: bool = False

    @property
    def tasks(self) -> tuple[TaskKind, ...]:
        """The tasks it can judge."""
        return tuple(self.kernels)

    def function(self, target: np.ndarray, prediction: np.ndarray) -> float:
        """The score of all rows alike; NaN where it is not defined, e.g. ROC-AUC with one class.

        Args:
            target: (n, k) as encoded by `TargetCodec`.
            prediction: (n, k) probabilities, or values of a regression.
        """
        return float(self.statistic(target, prediction)(np.ones((len(target), 1)))[0])

    def statistic(self, target: np.ndarray, prediction: np.ndarray) -> Statistic:
        """The score as a function of row weights (n, r)."""
        kind = self.kind or self.tasks[0]
        return self.kernels[kind](target, prediction)


def get_metric(name: str, kind: TaskKind, target_weights: Sequence[float] | None = None) -> Metric:
    """The metric of that name for a task.

    Args:
        name: a key of `METRICS`.
        kind: the task.
        target_weights: (k,) positive, in the order of the targets; only a metric that weighs targets looks at them.

    Raises:
        RecipeError: there is none, or it does not fit the task; names the nearest that does.
    """
    fitting = [metric.name for metric in METRICS.values() if kind in metric.tasks]
    if name not in fitting:
        problem = f"metric {name!r} does not fit a {kind} task" if name in METRICS else f"no metric {name!r}"
        raise RecipeError(problem, got=name, expected=", ".join(fitting), fix=suggestion(name, fitting))
    metric = replace(METRICS[name], kind=kind)
    if metric.reweighted is None or target_weights is None:
        return metric
    return replace(metric, kernels={kind: metric.reweighted(target_weights)})


def metric_of(task: Task, name: str | None = None) -> Metric:
    """A metric as the task needs it, its target weights bound to the targets by name; the task's own when not named.

    Raises:
        RecipeError: there is none of that name, or it does not fit the task.
    """
    return get_metric(name or task.metric, task.kind, task.weights)


def score(
    name: str,
    kind: TaskKind,
    target: np.ndarray,
    prediction: np.ndarray,
    target_weights: Sequence[float] | None = None,
) -> float:
    """The score of a prediction.

    Args:
        name: a key of `METRICS`.
        kind: the task.
        target: (n, k) as encoded by `TargetCodec`.
        prediction: (n, k) probabilities, or values of a regression.
        target_weights: see `get_metric`.

    Raises:
        RecipeError: no such metric for this task.
        DataError: the shapes differ, a number is not finite, or the metric is not defined on these rows.
    """
    metric = get_metric(name, kind, target_weights)
    check_arrays(target, prediction)
    value = metric.function(target, prediction)
    if np.isnan(value):
        raise DataError(
            f"{name} is not defined on these {len(target)} rows",
            got=f"rows per output {(np.asarray(target) >= 0.5).sum(axis=0).tolist()}"
            if kind != "regression"
            else f"{len(target)} rows",
            expected="more than one row" if kind == "regression" else "rows with and without the label",
            fix="use fewer or stratified folds, or another metric",
        )
    return value


def check_arrays(target: np.ndarray, prediction: np.ndarray) -> None:
    """Refuse arrays that cannot be scored.

    Raises:
        DataError: shapes differ or are not (n, k), there are no rows, or a number is NaN or infinite.
    """
    if target.ndim != 2 or target.shape != prediction.shape or not len(target):
        raise DataError(
            "target and prediction do not fit together",
            got=f"shapes {target.shape} and {prediction.shape}",
            expected="the same (rows, outputs), with at least one row",
        )
    for name, array in (("target", target), ("prediction", prediction)):
        finite = np.isfinite(array)
        if not finite.all():
            bad = np.flatnonzero(~finite.all(axis=1))
            raise DataError(f"a {name} is not finite", got=f"{len(bad)} rows, the first are {bad[:3].tolist()}")


def _f1(average: labels.Average, over_labels: labels.Average | None = None) -> dict[TaskKind, Kernel]:
    return {
        "multiclass": labels.f1_multiclass(average),
        "binary": labels.f1_both_classes(average),
        "multilabel": labels.f1_labels(over_labels or average),
    }


_AUC, _PRECISION = ranking.over_columns(ranking.roc_auc), ranking.over_columns(ranking.average_precision)

_ALL = (
    Metric(
        "accuracy",
        {
            "multiclass": labels.accuracy_multiclass,
            "binary": labels.accuracy_labels,
            "multilabel": labels.accuracy_labels,
        },
        "label",
    ),
    Metric("f1", {"binary": labels.f1_labels(labels.micro)}, "label"),
    Metric("macro_f1", _f1(labels.macro_present, labels.macro_all), "label"),
    Metric("micro_f1", _f1(labels.micro), "label"),
    Metric("weighted_f1", _f1(labels.weighted), "label"),
    Metric("roc_auc", {"binary": _AUC}, "probability", by_order=True),
    Metric("macro_roc_auc", {"multiclass": _AUC, "multilabel": _AUC}, "probability", by_order=True),
    Metric("average_precision", {"binary": _PRECISION}, "probability", by_order=True),
    Metric(
        "macro_average_precision", {"multiclass": _PRECISION, "multilabel": _PRECISION}, "probability", by_order=True
    ),
    # Not by order alone: cells of all columns are compared with one another, and with padding at a prediction of 1.
    Metric("micro_average_precision", {"multilabel": ranking.over_cells(ranking.average_precision)}, "probability"),
    Metric("padded_cmap", {"multilabel": ranking.padded(_PRECISION, rows=5)}, "probability"),
    Metric(
        "log_loss",
        {
            "multiclass": values.log_loss_multiclass,
            "binary": values.log_loss_labels,
            "multilabel": values.log_loss_labels,
        },
        "probability",
        greater_is_better=False,
    ),
    Metric("mae", {"regression": values.mean_absolute_error}, "value", greater_is_better=False),
    Metric("rmse", {"regression": values.root_mean_squared_error}, "value", greater_is_better=False),
    Metric("r2", {"regression": values.r_squared}, "value"),
    Metric(
        "weighted_r2",
        {"regression": values.weighted_r_squared()},
        "value",
        reweighted=values.weighted_r_squared,
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by the name recipes use.

Columns without a positive (and, for ROC-AUC, without a negative) row are left out of macro averages. All but `log_loss`
and those of a regression take a target from 0.5 on as positive: soft targets are rounded.

macro_roc_auc of a multilabel task is the metric of BirdCLEF 2024, which itself has no value where a column has no
negative row. padded_cmap is that of BirdCLEF 2023: macro average precision with five rows more, positive in all columns
and predicted with 1."""
