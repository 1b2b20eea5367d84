"""Which recordings a reader should look at along time, and which classes of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from outfold.data.audio.rows import RowClips
from outfold.report.loading import Evaluation

SHOWN = 6
"""Recordings that are shown."""
MOST_PRESENT, MOST_ABSENT = 6, 3
"""Classes of a recording that are shown: those that are there, and those that are not but get high probabilities."""
EDGE = 1e-7
"""How near to 0 and 1 a probability may come in the loss."""


@dataclass(frozen=True)
class Lane:
    """One class along a recording.

    Attributes:
        name: of the class.
        probability: float (t,), as predicted for each row.
        present: bool (t,), whether the class is there.
    """

    name: str
    probability: np.ndarray
    present: np.ndarray


@dataclass(frozen=True)
class Timeline:
    """A recording of t rows in the order of time.

    Attributes:
        recording: its name.
        start_s: float64 (t,), where each row begins.
        end_s: float64 (t,), where it ends, or the next one begins.
        lanes: of the classes that are there, the largest loss first, then of others, the largest probability first.
        loss: mean cross-entropy of a row.
    """

    recording: str
    start_s: np.ndarray
    end_s: np.ndarray
    lanes: tuple[Lane, ...]
    loss: float


def timelines(evaluation: Evaluation, clips: RowClips, most: int = SHOWN) -> list[Timeline]:
    """The recordings of several rows that have the largest loss, the worst first.

    Args:
        evaluation: probabilities of n rows.
        clips: of the same rows.
        most: how many recordings.
    """
    loss = cross_entropy(evaluation)
    several = [(float(loss[rows].sum(axis=1).mean()), rows) for rows in rows_by_recording(clips) if len(rows) > 1]
    worst = sorted(several, key=lambda one: -one[0])[:most]
    return [_timeline(evaluation, clips, loss, mean, rows) for mean, rows in worst]


def cross_entropy(evaluation: Evaluation) -> np.ndarray:
    """float64 (n, k): -y log(p) of each class of a multiclass task, -y log(p) - (1 - y) log(1 - p) otherwise."""
    y, p = evaluation.target.astype(np.float64), np.clip(evaluation.prediction.astype(np.float64), EDGE, 1 - EDGE)
    present = -y * np.log(p)
    return present if evaluation.codec.kind == "multiclass" else present - (1 - y) * np.log1p(-p)


def rows_by_recording(clips: RowClips) -> Iterator[np.ndarray]:
    """int64 (t,) by recording: its rows in the order of time."""
    group = np.unique(clips.recording, return_inverse=True)[1]
    order = np.lexsort((clips.start_s, group))
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _timeline(evaluation: Evaluation, clips: RowClips, loss: np.ndarray, mean: float, rows: np.ndarray) -> Timeline:
    present, probability = evaluation.target[rows] >= 0.5, evaluation.prediction[rows]
    there = present.any(axis=0)
    by_loss = np.argsort(-loss[rows].sum(axis=0), kind="stable")
    by_height = np.argsort(-probability.max(axis=0), kind="stable")
    chosen = [*by_loss[there[by_loss]][:MOST_PRESENT], *by_height[~there[by_height]][:MOST_ABSENT]]
    names = evaluation.codec.outputs
    lanes = tuple(Lane(names[place], probability[:, place], present[:, place]) for place in chosen)
    start = clips.start_s[rows]
    return Timeline(str(clips.recording[rows[0]]), start, _ends(start, clips.end_s[rows]), lanes, mean)


def _ends(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Where each row stops being drawn: at its end, or before at the beginning of the next one."""
    usual = float(np.median(np.diff(start))) or 1.0
    return np.minimum(np.where(np.isfinite(end), end, start + usual), np.append(start[1:], np.inf))
