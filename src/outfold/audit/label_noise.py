"""Labels that out-of-fold predictions confidently disagree with."""

from dataclasses import dataclass

import numpy as np

from outfold.data.findings import Finding, count, places_of
from outfold.data.table import Samples
from outfold.data.targets import TargetCodec
from outfold.settings.task import TaskKind

FAR = 6.0
"""Robust standard deviations from which on a regression's residual is suspicious."""
BINS, ROWS_A_BIN = 10, 30
"""Residuals are compared with those of rows with a similar prediction."""
FEWEST_ROWS = 20
CONFIDENT = 0.5
"""Only labels whose probability is lower by this than the suggested one's are shown: a weak model doubts everything."""


@dataclass(frozen=True)
class Candidate:
    """A label that may be wrong."""

    row: int
    output: int
    """multiclass: the class suggested; otherwise the column in doubt."""
    given: float
    """multiclass and labels: out-of-fold probability of the given label; regression: the given value."""
    suggested: float
    """The same of the other label; for a regression the predicted value."""
    strength: float
    """What candidates are ranked by: difference of probabilities, or size of the residual in robust deviations."""


def label_candidates(
    target: np.ndarray, prediction: np.ndarray, kind: TaskKind, unsure: np.ndarray | None = None
) -> list[Candidate]:
    """Rows whose label is in doubt, the most doubtful first.

    Classes follow confident learning (Northcutt, Jiang and Chuang 2021): a class's threshold is the mean probability
    that rows with its label get for it; a row is counted for the likeliest of the classes whose threshold it reaches,
    and is a candidate when that is not its label. Columns of a multilabel task are judged one by one.

    Args:
        target: (n, k) as encoded by `TargetCodec`.
        prediction: (n, k) out-of-fold probabilities, or values of a regression.
        kind: the task.
        unsure: bool (n, k), cells of a multilabel task that nobody claims to know, as secondary labels; they are in no
            doubt, and no measure for others.
    """
    if kind == "regression":
        found = [one for column in range(target.shape[1]) for one in _far_off(target, prediction, column)]
    elif kind == "multiclass":
        found = _confident(target, prediction)
    else:
        known = np.ones(target.shape, bool) if unsure is None else ~unsure
        columns = range(target.shape[1])
        found = [one for place in columns for one in _confident_column(target, prediction, place, known[:, place])]
    return sorted(found, key=lambda one: (-one.strength, one.row))


def label_noise(
    samples: Samples,
    codec: TargetCodec,
    target: np.ndarray,
    prediction: np.ndarray,
    rows: np.ndarray | None = None,
    unsure: np.ndarray | None = None,
) -> list[Finding]:
    """The labels most worth a second look, as one finding; never more than a note, for a model can be wrong too.

    Args:
        samples: the training rows.
        codec: what the outputs mean.
        target: (m, k) of the rows with an out-of-fold prediction.
        prediction: (m, k).
        rows: int (m,), which of the samples they are; all, in order, when not given.
        unsure: bool (m, k), see `label_candidates`.
    """
    least = 0 if codec.kind == "regression" else CONFIDENT
    candidates = [one for one in label_candidates(target, prediction, codec.kind, unsure) if one.strength >= least]
    if not candidates:
        return []
    rows = np.arange(len(target)) if rows is None else rows
    notes = [_note(one, codec, target) for one in candidates]
    doubtful = len({one.row for one in candidates})
    what = f"{count(doubtful, 'label')} that out-of-fold predictions confidently disagree with"
    impact = f"{doubtful / len(target):.1%} of {count(len(target), 'row')}; the most doubtful come first"
    fix = "look at the first ones: correct the labels that are wrong, and leave hard cases as they are"
    places = places_of(samples, [int(rows[one.row]) for one in candidates], notes=notes)
    return [Finding("note", what, places, fix, "label-noise", impact)]


def _confident(target: np.ndarray, probability: np.ndarray) -> list[Candidate]:
    given = target.argmax(axis=1)
    members = target.sum(axis=0)
    mean = (target * probability).sum(axis=0) / np.maximum(members, 1)
    threshold = np.where(members > 0, mean, np.inf)
    confident = np.where(probability >= threshold, probability, -1)
    suggested = confident.argmax(axis=1)
    rows = np.flatnonzero((confident.max(axis=1) >= 0) & (suggested != given))
    own, other = probability[rows, given[rows]], probability[rows, suggested[rows]]
    return [
        Candidate(int(row), int(suggested[row]), float(p), float(q), float(q - p))
        for row, p, q in zip(rows, own, other, strict=True)
        if q > p
    ]


def _confident_column(target: np.ndarray, probability: np.ndarray, column: int, known: np.ndarray) -> list[Candidate]:
    """Of one column, the rows where `known`, bool (n,), says that its label is meant."""
    rows = np.flatnonzero(known)
    both = np.stack([1 - probability[rows, column], probability[rows, column]], axis=1)
    onehot = np.stack([1 - target[rows, column], target[rows, column]], axis=1)
    found = _confident(onehot, both)
    return [Candidate(int(rows[one.row]), column, one.given, one.suggested, one.strength) for one in found]


def _far_off(target: np.ndarray, prediction: np.ndarray, column: int) -> list[Candidate]:
    """Residuals far from those of rows with a similar prediction: errors usually grow with the value."""
    if len(target) < FEWEST_ROWS:
        return []
    truth, guess = target[:, column].astype(np.float64), prediction[:, column].astype(np.float64)
    residual = truth - guess
    order = np.argsort(guess, kind="stable")
    distance = np.zeros(len(truth))
    # The spread over all rows is a floor: where most values are exactly zero, a bin has none of its own.
    floor = _deviation(residual - np.median(residual))
    for part in np.array_split(order, int(np.clip(len(order) // ROWS_A_BIN, 1, BINS))):
        centred = residual[part] - np.median(residual[part])
        scale = max(_deviation(centred), floor)
        distance[part] = np.abs(centred) / scale if scale > 0 else 0
    return [
        Candidate(int(row), column, float(truth[row]), float(guess[row]), float(distance[row]))
        for row in np.flatnonzero(distance >= FAR)
    ]


def _deviation(centred: np.ndarray) -> float:
    """Median absolute deviation, scaled to a normal distribution's standard deviation."""
    return 1.4826 * float(np.median(np.abs(centred)))


def _note(one: Candidate, codec: TargetCodec, target: np.ndarray) -> str:
    if codec.kind == "regression":
        name = codec.outputs[one.output]
        return f"{name} {one.given:.4g}, predicted {one.suggested:.4g}: {one.strength:.0f} deviations away"
    if codec.kind == "multiclass":
        given = codec.outputs[int(target[one.row].argmax())]
        return f"label {given} ({one.given:.3f}), rather {codec.outputs[one.output]} ({one.suggested:.3f})"
    positive = target[one.row, one.output] >= 0.5
    names = ("not " + codec.outputs[one.output], codec.outputs[one.output])
    given, other = names[int(positive)], names[int(not positive)]
    return f"label {given} ({one.given:.3f}), rather {other} ({one.suggested:.3f})"
