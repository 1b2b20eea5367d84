"""Steps that change predictions after the models.

Those of a regression (multiply, clip, cut small values to zero, add up) look at named columns, one row at a time. Those
in time (boost, smooth, overlap) look at the rows of a recording together, and at no others. Either way rows that come
later are changed as the rows of a run were.

Arrays are (n, k) of any float type, which is kept; `names` are those of the k columns.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from outfold.data.audio.rows import RowClips
from outfold.data.identities import add_up
from outfold.data.predictions import logits_of, probabilities_of
from outfold.errors import DataError, RecipeError
from outfold.inference.in_time import boost_by_recording, overlap_mean, smooth_in_time
from outfold.settings.postprocess import Smooth, Step
from outfold.settings.task import Task, TaskKind


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


def boost(probability: np.ndarray, recording: np.ndarray, kind: TaskKind, weight: float) -> np.ndarray:
    """`boost_by_recording` on the logits of probabilities; see `outfold.settings.postprocess.Boost`.

    Args:
        probability: (n, k).
        recording: (n,), whatever names the recording of each row.
        kind: the task, which says what logits are.
        weight: 0 changes nothing.
    """
    logits = boost_by_recording(logits_of(probability, kind), recording, weight=weight)
    return probabilities_of(logits, kind).astype(probability.dtype)


def smooth(probability: np.ndarray, clips: RowClips, step: Smooth) -> np.ndarray:
    """`smooth_in_time` by the rows' beginnings."""
    assert step.kernel != "fit"  # refused before
    return smooth_in_time(probability, clips.recording, clips.start_s, kernel=step.kernel, hop_s=step.hop_s)


def overlapped(probability: np.ndarray, clips: RowClips) -> np.ndarray:
    """Each row as the mean over the rows of its recording by shared seconds; a row that is alone stays as it is."""
    _, recording, count = np.unique(clips.recording, return_inverse=True, return_counts=True)
    several = np.flatnonzero(count[recording] > 1)  # the others may last to their recording's end, wherever that is
    changed, rows = probability.copy(), clips.take(several)
    changed[several] = overlap_mean(probability[several], rows, rows)
    return changed


def apply(values: np.ndarray, steps: Sequence[Step], task: Task, clips: RowClips | None = None) -> np.ndarray:
    """Values after all steps, in their order.

    Args:
        values: (n, k), a column for each of `task.target`, or the probabilities of what is judged.
        steps: without a number that is still to be learned.
        task: names the columns, and the sums of `sum: identities`.
        clips: which seconds of which recording each row is; for steps in time.

    Raises:
        RecipeError: a number is still to be learned.
        DataError: a step in time has no clips, or see `outfold.inference.in_time`.
    """
    changed = working(values, steps)
    for step in steps:
        changed = apply_one(changed, step, task, clips)
    return changed.astype(values.dtype)


def working(values: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """Values as steps take them from each other: those in time in float64, which tells more of what is nearly 1."""
    return values.astype(np.float64) if any(step.in_time for step in steps) else values


def apply_one(values: np.ndarray, step: Step, task: Task, clips: RowClips | None = None) -> np.ndarray:
    """Values after one step."""
    if step.fitted:
        raise RecipeError(f"step `{step.name}` has numbers that are still to be learned", got=step.model_dump())
    return _in_time(values, step, task, clips) if step.in_time else _on_columns(values, step, task)


def _in_time(values: np.ndarray, step: Step, task: Task, clips: RowClips | None) -> np.ndarray:
    if clips is None:
        raise DataError(f"step `{step.name}` needs rows of recordings", fix="set data.audio")
    if step.boost is not None:
        return boost(values, clips.recording, task.answer.kind, float(step.boost.weight))
    if step.smooth is not None:
        return smooth(values, clips, step.smooth)
    return overlapped(values, clips)


def _on_columns(values: np.ndarray, step: Step, task: Task) -> np.ndarray:
    names = task.target
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
