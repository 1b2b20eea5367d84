"""Averages of several members' predictions, each with weights where some should count more.

With one member, or with members that agree, every average is the member itself (up to rounding, and for probabilities
of several classes up to their sum, which comes out as one).
"""

from collections.abc import Sequence

import numpy as np

from outfold.data.predictions import sigmoid, softmax
from outfold.ensemble.members import Members, shares, stacked
from outfold.errors import DataError
from outfold.settings.task import TaskKind

Weights = np.ndarray | Sequence[float] | None

EDGE = float(np.finfo(np.float32).eps)
"""Probabilities of exactly 0 or 1 have no logit and are moved in by this much, as by `Predictions.to_logit`."""
SMALLEST = float(np.finfo(np.float32).tiny)
"""A class that some member rules out keeps this much, so that a row whose classes are all ruled out still has some."""


def mean(members: Members) -> np.ndarray:
    """The plain mean, float64 (n, k), of members (m, n, k)."""
    return weighted(members, None)


def weighted(members: Members, weights: Weights) -> np.ndarray:
    """The weighted arithmetic mean, float64 (n, k).

    Args:
        members: (m, n, k) probabilities or values.
        weights: (m,) from 0 on; their scale does not matter.

    Raises:
        DataError: members do not fit together or are not finite, or the weights do not fit them.
    """
    values = stacked(members)
    return np.tensordot(shares(weights, len(values)), values, axes=1)


def logit_mean(members: Members, kind: TaskKind, weights: Weights = None) -> np.ndarray:
    """The mean of the logits, as a probability again, float64 (n, k).

    For a multiclass task logits are log(p) and the softmax of their mean is the renormalised geometric mean.

    Raises:
        DataError: as `weighted`; a number is no probability; the task is a regression.
    """
    if kind == "regression":
        raise DataError("values of a regression have no logits", fix="use the mean")
    values = stacked(members)
    _refuse(values, (values < 0) | (values > 1), "no probability", "a number from 0 to 1")
    inside = np.clip(values, EDGE, 1 - EDGE)
    logits = np.log(inside) if kind == "multiclass" else np.log(inside) - np.log1p(-inside)
    middle = weighted(logits, weights)
    return softmax(middle) if kind == "multiclass" else sigmoid(middle)


def geometric(members: Members, kind: TaskKind, weights: Weights = None) -> np.ndarray:
    """The geometric mean, float64 (n, k); classes of a multiclass task are scaled to a sum of one.

    Raises:
        DataError: as `weighted`; a number is negative.
    """
    values = stacked(members)
    _refuse(values, values < 0, "negative, it has no geometric mean", "numbers from 0 on")
    given = shares(weights, len(values))
    used = given > 0  # a member without weight must not rule anything out
    floor = SMALLEST if kind == "multiclass" else 0.0
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(values[used], floor))
    middle = np.tensordot(given[used], logs, axes=1)
    return softmax(middle) if kind == "multiclass" else np.exp(middle)


def power_mean(members: Members, power: float, kind: TaskKind, weights: Weights = None) -> np.ndarray:
    """The power mean (mean p^power)^(1/power), float64 (n, k); classes of a multiclass task are scaled to a sum of one.

    1 is the arithmetic mean, 0 the geometric and -1 the harmonic one; the larger, the more the highest prediction
    counts.

    Raises:
        DataError: as `weighted`; a number is negative and the power is not 1.
    """
    if power == 0:
        return geometric(members, kind, weights)
    values = stacked(members)
    if power == 1:
        middle = weighted(values, weights)
    else:
        _refuse(values, values < 0, f"negative, it has no mean of power {power:g}", "numbers from 0 on")
        given = shares(weights, len(values))
        middle = _power_mean(values[given > 0], given[given > 0], power)
    return _to_one(middle) if kind == "multiclass" else middle


def _power_mean(values: np.ndarray, given: np.ndarray, power: float) -> np.ndarray:
    """The power mean over the first axis; in units of the value that counts most, so that no power overflows."""
    leading = values.max(axis=0) if power > 0 else values.min(axis=0)
    unit = np.where(leading > 0, leading, 1.0)
    with np.errstate(divide="ignore"):  # a 0 to a negative power is infinite, and the mean 0
        inner = np.tensordot(given, (values / unit) ** power, axes=1)
        return unit * inner ** (1 / power)


def _to_one(values: np.ndarray) -> np.ndarray:
    """Rows (n, k) of numbers from 0 on with a sum of one; equal parts where all are 0."""
    floored = np.maximum(values, SMALLEST)
    return floored / floored.sum(axis=1, keepdims=True)


def _refuse(values: np.ndarray, wrong: np.ndarray, what: str, expected: str) -> None:
    member, row, output = (places[:1] for places in np.nonzero(wrong))
    if len(member):
        got = f"{values[member[0], row[0], output[0]]:g} by member {member[0]} in row {row[0]}"
        raise DataError(f"a prediction is {what}", got=got, expected=expected)
