"""From what a network gives to what a metric judges."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from outfold.data.target_space import TargetSpace
from outfold.metrics import metric_of
from outfold.settings.task import Task, TaskKind

ACTIVATIONS: dict[TaskKind, Callable[[Tensor], Tensor] | None] = {
    "multiclass": lambda logits: torch.softmax(logits, dim=1),
    "binary": torch.sigmoid,
    "multilabel": torch.sigmoid,
    "regression": None,
}
"""Logits (n, k) -> probabilities (n, k); a regression's outputs are used as they are."""


def judged(logits: np.ndarray, kind: TaskKind, space: TargetSpace | None) -> np.ndarray:
    """Logits (n, k) as probabilities, or a regression's outputs (n, k) as values in the user's units."""
    if space is not None:
        return space.decode(logits)
    activation = ACTIVATIONS[kind]
    return logits if activation is None else activation(torch.from_numpy(logits)).numpy()


def metric_names(task: Task, *further: str | None) -> list[str]:
    """The task's metric, then its further metrics, then any others asked for, each once."""
    names = [task.metric, *task.metrics, *(name for name in further if name is not None)]
    return list(dict.fromkeys(names))


def scores_of(names: Sequence[str], task: Task, target: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    """By metric name, the score of predictions (n, k) against encoded targets (n, k); NaN where it is undefined.

    An AUC of rows of one class is undefined; a small fold may be so, and the run goes on.
    """
    return {name: metric_of(task, name).function(target, prediction) for name in names}


def greater_is_better(name: str, task: Task) -> bool:
    """Direction of a metric or of the validation loss."""
    return name != "valid_loss" and metric_of(task, name).greater_is_better
