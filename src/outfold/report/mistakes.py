"""Which samples a reader should look at: the ones a model got most wrong, and why each was chosen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from outfold.report.loading import Evaluation
from outfold.report.numbers import number

SHOWN = 12
"""Samples a gallery."""


@dataclass(frozen=True)
class Mistake:
    """One sample to look at.

    Attributes:
        row: its place in the evaluation.
        true: the truth in words.
        predicted: the prediction in words, with its probability.
    """

    row: int
    true: str
    predicted: str


@dataclass(frozen=True)
class Gallery:
    """Samples chosen for one reason.

    Attributes:
        title: the reason in few words.
        explanation: the same in a sentence.
        mistakes: the samples, the worst first.
    """

    title: str
    explanation: str
    mistakes: Sequence[Mistake]


def galleries(evaluation: Evaluation) -> list[Gallery]:
    """The galleries of a task, without empty ones."""
    if evaluation.ranks:
        found = _binary_ranks(evaluation) if evaluation.codec.kind == "binary" else iter(())
        return [gallery for gallery in found if gallery.mistakes]
    choose = {"multiclass": _multiclass, "binary": _binary, "multilabel": _multilabel, "regression": _regression}
    return [gallery for gallery in choose[evaluation.codec.kind](evaluation) if gallery.mistakes]


def _multiclass(evaluation: Evaluation) -> Iterator[Gallery]:
    wrong = np.flatnonzero(evaluation.true != evaluation.predicted)
    rows = np.arange(len(evaluation))
    claimed = evaluation.prediction[rows, evaluation.predicted]
    given = evaluation.prediction[rows, evaluation.true]
    confident = _first(wrong, -claimed)
    yield Gallery(
        "Most confidently wrong",
        "The largest probability of a wrong class.",
        [_of_class(evaluation, row, claimed[row]) for row in confident],
    )
    worst = _first(np.setdiff1d(wrong, confident), given)
    yield Gallery(
        "Worst",
        "Besides those, the true class was given the smallest probability.",
        [_of_class(evaluation, row, claimed[row], given[row]) for row in worst],
    )


def _of_class(evaluation: Evaluation, row: int, claimed: float, given: float | None = None) -> Mistake:
    true = evaluation.classes[evaluation.true[row]]
    return Mistake(
        row,
        true if given is None else f"{true} ({_probability(given)})",
        f"{evaluation.classes[evaluation.predicted[row]]} ({_probability(claimed)})",
    )


def _binary(evaluation: Evaluation) -> Iterator[Gallery]:
    negative, positive = evaluation.classes
    scores = evaluation.prediction[:, 0]
    for title, true, order in (
        (f"Truly {positive}, predicted {negative}", 1, scores),
        (f"Truly {negative}, predicted {positive}", 0, -scores),
    ):
        wrong = np.flatnonzero((evaluation.true == true) & (evaluation.predicted != true))
        mistakes = [
            Mistake(row, evaluation.classes[true], f"P({positive}) = {_probability(scores[row])}")
            for row in _first(wrong, order)
        ]
        yield Gallery(title, f"The most confidently wrong first; {len(wrong):,} rows in all.", mistakes)


def _binary_ranks(evaluation: Evaluation) -> Iterator[Gallery]:
    """Ranks have no threshold: the rows of each class that stand furthest on the other's side."""
    scores = evaluation.prediction[:, 0]
    for true, side, order in ((1, "lowest", scores), (0, "highest", -scores)):
        name = evaluation.classes[true]
        mistakes = [
            Mistake(row, name, f"rank {_probability(scores[row])}")
            for row in _first(np.flatnonzero(evaluation.true == true), order)
        ]
        yield Gallery(f"Truly {name}, ranked {side}", "The furthest from where they belong first.", mistakes)


def _multilabel(evaluation: Evaluation) -> Iterator[Gallery]:
    """By label and row, the largest mistakes; a row that is wrong in several labels comes once, for its worst.

    A secondary label of a row is no mistake there: nobody knows whether it is wrong.
    """
    target, scores, names = evaluation.target == 1, evaluation.prediction, evaluation.codec.outputs
    absent = ~target if evaluation.secondary is None else ~(target | evaluation.secondary)
    unsure = "" if evaluation.secondary is None else " Secondary labels of a row count as neither there nor not."
    for title, wrong, order, explanation in (
        ("Missed labels", target & (scores < 0.5), scores, "A label that is there was given the smallest probability."),
        ("False labels", absent & (scores >= 0.5), -scores, "A label that is not there was given the largest one."),
    ):
        ranks = np.where(wrong, order, np.inf)
        label = ranks.argmin(axis=1)
        chosen = _first(np.flatnonzero(wrong.any(axis=1)), ranks.min(axis=1))
        mistakes = [
            Mistake(
                row, _true_labels(evaluation, row), f"{names[label[row]]} ({_probability(scores[row, label[row]])})"
            )
            for row in chosen
        ]
        yield Gallery(title, explanation + unsure, mistakes)


def _true_labels(evaluation: Evaluation, row: int) -> str:
    """The labels of a row, and its secondary ones."""
    names, secondary = evaluation.codec.outputs, evaluation.secondary
    own = _label_set(evaluation.target[row] == 1, names)
    if secondary is None or not secondary[row].any():
        return own
    return f"{own}; secondary: {_label_set(secondary[row], names)}"


def _label_set(present: np.ndarray, names: Sequence[str], most: int = 4) -> str:
    found = [names[place] for place in np.flatnonzero(present).tolist()]
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "") or "no label"


def _regression(evaluation: Evaluation) -> Iterator[Gallery]:
    """The largest residuals to both sides, in units of each target's standard deviation."""
    residual = (evaluation.prediction - evaluation.target).astype(np.float64)
    scaled = residual / np.maximum(evaluation.target.std(axis=0, dtype=np.float64), 1e-12)
    for title, sign in (("Predicted too high", 1.0), ("Predicted too low", -1.0)):
        target = (sign * scaled).argmax(axis=1)
        size = (sign * scaled).max(axis=1)
        mistakes = [_of_value(evaluation, row, target[row]) for row in _first(np.flatnonzero(size > 0), -size)]
        yield Gallery(title, "The largest residuals first.", mistakes)


def _of_value(evaluation: Evaluation, row: int, column: int) -> Mistake:
    name = f" {evaluation.codec.columns[column]}" if len(evaluation.codec.columns) > 1 else ""
    true, predicted = evaluation.target[row, column], evaluation.prediction[row, column]
    return Mistake(row, f"{number(float(true))}{name}", number(float(predicted)))


def _first(rows: np.ndarray, order: np.ndarray) -> list[int]:
    """The rows with the smallest `order` (n,), at most SHOWN; ties by place."""
    return [int(row) for row in rows[np.argsort(order[rows], kind="stable")][:SHOWN]]


def _probability(value: float) -> str:
    """Two decimals, and more where two would claim certainty."""
    if 0.005 <= value < 0.995:
        return f"{value:.2f}"
    if 0.0005 <= value < 0.9995:
        return f"{value:.3f}"
    return ">0.999" if value > 0.5 else "<0.001"
