"""Steps on named columns of a regression's predictions: multiply, clip, cut small values to zero, add up.

Every step looks at one row at a time, so that rows which come later are changed as the rows of a run were. Arrays are
(n, k) of any float type, which is kept; `names` are those of the k columns.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from outfold.data.identities import add_up
from outfold.errors import RecipeError
from outfold.settings.data import Task
from outfold.settings.postprocess import Step


def multiply(values: np.ndarray, names: Sequence[str], factors: Mapping[str, float]) -> np.ndarray:
    """Columns times a factor each; those that are not named stay."""
    return (values * np.array([factors.get(name, 1.0) for name in names])).astype(values.dtype)


def clip(
    values: np.ndarray,
    names: Sequence[str],
    low: float | None = None,
    high: float | None = None,
    columns: Sequence[str] = (),
) -> np.ndarray:
    """Columns cut at bounds, of which each may be missing; all columns where none is named."""
    chosen = _chosen(names, columns or names)
    below, above = -np.inf if low is None else low, np.inf if high is None else high
    return np.where(chosen, np.clip(values, below, above), values).astype(values.dtype)


def zero_below(values: np.ndarray, names: Sequence[str], thresholds: Mapping[str, float]) -> np.ndarray:
    """Values below a threshold of their column become 0; columns without one stay."""
    limits = np.array([thresholds.get(name, -np.inf) for name in names])
    return np.where(values < limits, 0, values).astype(values.dtype)


def apply(values: np.ndarray, steps: Sequence[Step], task: Task) -> np.ndarray:
    """Values after all steps, in their order.

    Args:
        values: (n, k), a column for each of `task.target`.
        steps: without a number that is still to be learned.
        task: names the columns, and the sums of `sum: identities`.
    """
    for step in steps:
        values = apply_one(values, step, task)
    return values


def apply_one(values: np.ndarray, step: Step, task: Task) -> np.ndarray:
    """Values after one step."""
    names = task.target
    if step.fitted:
        raise RecipeError(f"step `{step.name}` has numbers that are still to be learned", got=step.model_dump())
    if step.name == "multiply":
        return multiply(values, names, {name: float(factor) for name, factor in step.multiply.items()})
    if step.clip is not None:
        return clip(values, names, step.clip.min, step.clip.max, step.clip.columns)
    if step.name == "zero_below":
        return zero_below(values, names, thresholds_of(step, names))
    return add_up(values, names, step.sums(task))


def thresholds_of(step: Step, names: Sequence[str]) -> dict[str, float]:
    """By column, the threshold of a step `zero_below` without numbers to learn."""
    given = step.zero_below
    by_name = given if isinstance(given, dict) else dict.fromkeys(names, given)
    return {name: float(limit) for name, limit in by_name.items() if limit is not None}


def _chosen(names: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """Bool (k,): the columns that are named."""
    return np.isin(np.array(names, dtype=object), np.array(columns, dtype=object))
