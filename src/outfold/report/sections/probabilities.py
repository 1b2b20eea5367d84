"""How good the probabilities are: ranking (ROC, precision and recall), separation, calibration."""

import numpy as np

from outfold.metrics import score
from outfold.report.html import Child, Html
from outfold.report.layout import Section, charts
from outfold.report.loading import Artefacts, Evaluation
from outfold.report.numbers import number, percent
from outfold.report.plot import UNIT_TICKS, figure, key, plot
from outfold.report.sections.classes import confidence_of
from outfold.report.statistics import (
    Calibration,
    calibration,
    precision_recall_points,
    roc_points,
    thin,
)

BINS = 40
UNIT = (0.0, 1.0)


def probabilities(run: Artefacts) -> Section | None:
    """Charts of a binary task, and the calibration of a multiclass one."""
    evaluation = run.evaluation
    if evaluation is None or evaluation.codec.kind not in ("binary", "multiclass"):
        return None
    if evaluation.ranks:
        return _of_ranks(evaluation)
    if evaluation.codec.kind == "multiclass":
        right, confidence = evaluation.true == evaluation.predicted, confidence_of(evaluation)
        found = calibration(right, confidence)
        intro = (
            "Whether a probability can be taken at its word: of rows predicted with 0.8, four in five should be right."
        )
        body = charts(
            _calibration_chart(found, "probability of the predicted class", "share right"),
            _histogram(confidence, right, "probability of the predicted class", ("right", "wrong")),
        )
        return Section("probabilities", "Probabilities", f"{intro} {_bias(found)}", [body])
    positive, scores = evaluation.target[:, 0] == 1, evaluation.prediction[:, 0]
    name = evaluation.codec.outputs[0]
    both = 0 < positive.sum() < len(positive)
    found = calibration(positive, scores)
    drawn = [
        *([_roc(evaluation, positive, scores), _precision_recall(evaluation, positive, scores)] if both else []),
        _histogram(scores, positive, f"probability of {name}", evaluation.classes[::-1]),
        _calibration_chart(found, f"probability of {name}", f"share that is {name}"),
    ]
    intro = f"The positive class is {name}, {percent(positive.mean())} of the rows. {_bias(found)}"
    return Section("probabilities", "Probabilities", intro, [charts(*drawn)])


def _of_ranks(evaluation: Evaluation) -> Section | None:
    """What the order of a binary task's predictions shows."""
    positive, ranks = evaluation.target[:, 0] == 1, evaluation.prediction[:, 0]
    if evaluation.codec.kind != "binary" or not 0 < positive.sum() < len(positive):
        return None
    intro = (
        f"The positive class is {evaluation.codec.outputs[0]}, {percent(positive.mean())} of the rows. Predictions are "
        "ranks: their order means something, their size is no probability, and no threshold makes labels of them."
    )
    drawn = [_roc(evaluation, positive, ranks), _precision_recall(evaluation, positive, ranks)]
    return Section("probabilities", "Ranking", intro, [charts(*drawn)])


def _roc(evaluation: Evaluation, positive: np.ndarray, scores: np.ndarray) -> Html:
    area = plot(UNIT, UNIT, x_ticks=UNIT_TICKS, y_ticks=UNIT_TICKS)
    x, y = thin(*roc_points(positive, scores))
    at_half = np.array([(scores[~positive] >= 0.5).mean()]), np.array([(scores[positive] >= 0.5).mean()])
    drawn = area.drawing(
        "ROC curve",
        area.axes("false positive rate", "true positive rate"),
        area.line(np.array(UNIT), np.array(UNIT), "neutral dashed"),
        area.line(x, y, "accent"),
        None if evaluation.ranks else area.dots(*at_half, "accent kept"),
    )
    auc = score("roc_auc", "binary", evaluation.target, evaluation.prediction)
    dot = "" if evaluation.ranks else "The dot is the threshold 0.5; "
    return figure(f"ROC curve, area {number(auc)}", drawn, f"{dot}{'the' if dot else 'The'} dashed line is chance.")


def _precision_recall(evaluation: Evaluation, positive: np.ndarray, scores: np.ndarray) -> Html:
    area = plot(UNIT, UNIT, x_ticks=UNIT_TICKS, y_ticks=UNIT_TICKS)
    x, y = thin(*precision_recall_points(positive, scores))
    chosen = scores >= 0.5
    at_half = np.array([chosen[positive].mean()]), np.array([positive[chosen].mean() if chosen.any() else np.nan])
    drawn = area.drawing(
        "Precision-recall curve",
        area.axes("recall", "precision"),
        area.line(np.array(UNIT), np.full(2, positive.mean()), "neutral dashed"),
        area.line(x, y, "accent"),
        None if evaluation.ranks else area.dots(*at_half, "accent kept"),
    )
    precision = score("average_precision", "binary", evaluation.target, evaluation.prediction)
    return figure(f"Precision and recall, average precision {number(precision)}", drawn, "The dashed line is chance.")


def _histogram(scores: np.ndarray, positive: np.ndarray, label: str, names: tuple[str, ...]) -> Html:
    """Shares of each class's rows by probability; names are (of the positive rows, of the others)."""
    edges = np.linspace(0, 1, BINS + 1)
    shares = [np.histogram(part, edges)[0] / max(len(part), 1) for part in (scores[positive], scores[~positive])]
    area = plot(UNIT, (0, 1.05 * max(part.max() for part in shares)), x_ticks=UNIT_TICKS)
    drawn = area.drawing(
        f"Histogram of the {label}",
        area.axes(label, "share of the rows of each kind"),
        area.bars(edges, shares[1], "alarm"),
        area.bars(edges, shares[0], "accent"),
    )
    return figure("Separation", drawn, key(("accent square", names[0]), ("alarm square", names[1])))


def _calibration_chart(found: Calibration, x_label: str, y_label: str) -> Html:
    area = plot(UNIT, UNIT, x_ticks=UNIT_TICKS, y_ticks=UNIT_TICKS)
    whiskers: list[Child] = [
        area.line(np.full(2, x), np.array([low, high]), "accent")
        for x, low, high in zip(found.predicted, found.low, found.high, strict=True)
    ]
    drawn = area.drawing(
        "Calibration curve",
        area.axes(x_label, y_label),
        area.line(np.array(UNIT), np.array(UNIT), "neutral dashed"),
        whiskers,
        area.line(found.predicted, found.observed, "accent"),
        area.dots(found.predicted, found.observed, "accent"),
    )
    note = f"{len(found.rows)} bins of equal counts with 95% intervals; on the dashed line predictions come true."
    return figure(f"Calibration, mean error {found.error:.3f}", drawn, note)


def _bias(found: Calibration) -> str:
    predicted, observed = (float(np.average(part, weights=found.rows)) for part in (found.predicted, found.observed))
    return f"On average {predicted:.3f} is predicted and {observed:.3f} comes true."
