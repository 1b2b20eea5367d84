"""A multilabel task, label by label."""

import numpy as np

from outfold.metrics import by_column
from outfold.report.html import Child, Html
from outfold.report.layout import TALL, Cell, Section, score_cell, table
from outfold.report.loading import Artefacts, Evaluation
from outfold.report.numbers import count, counted, percent
from outfold.report.statistics import precision_recall_f1

MOST_LISTED = 1000


def labels(run: Artefacts) -> Section | None:
    """The table of labels."""
    evaluation = run.evaluation
    if evaluation is None or evaluation.codec.kind != "multilabel":
        return None
    positives = evaluation.target.sum(axis=0)
    absent = int((positives == 0).sum())
    intro = (
        f"{counted(len(positives), 'label')}, {evaluation.target.sum(axis=1).mean():.2f} a row on average. "
        "AUC and average precision (AP) judge the ranking; precision, recall and F1 the labels from 0.5 on."
    )
    notes: list[Child] = []
    if absent:
        notes.append(
            f"{counted(absent, 'label')} without a positive row cannot be judged and are left out of averages."
        )
    return Section("labels", "Labels", intro, [*notes, _label_table(evaluation)])


def _label_table(evaluation: Evaluation) -> Html:
    target, chosen = evaluation.target == 1, evaluation.prediction >= 0.5
    scores = precision_recall_f1((target & chosen).sum(axis=0), chosen.sum(axis=0), target.sum(axis=0))
    ranking = by_column(evaluation.target, evaluation.prediction)
    order = np.argsort(np.nan_to_num(ranking.roc_auc, nan=2.0), kind="stable")[:MOST_LISTED]
    rows = [
        (
            evaluation.codec.outputs[place],
            score_cell(ranking.roc_auc[place], with_bar=True),
            Cell(count(int(target[:, place].sum())), float(target[:, place].sum())),
            Cell(percent(target[:, place].mean()), float(target[:, place].mean())),
            *(score_cell(part[place]) for part in (ranking.average_precision, *scores)),
        )
        for place in order
    ]
    columns = ("label", "AUC", "rows", "share", "AP", "precision", "recall", "F1")
    left_out = evaluation.target.shape[1] - len(rows)
    caption = f"{counted(len(rows), 'label', 'labels')}, the lowest AUC first" + (
        f" ({count(left_out)} more are not listed)" if left_out else ""
    )
    return table(columns, rows, text=("label",), main="AUC", caption=caption, sortable=True, tall=len(rows) > TALL)
