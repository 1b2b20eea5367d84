"""Which classes are taken for which, and how well each is found; multiclass and binary."""

import numpy as np

from outfold.report.html import Child, Html, tag
from outfold.report.layout import TALL, Cell, Section, charts, score_cell, scroll, table, tables
from outfold.report.loading import Artefacts, Evaluation
from outfold.report.numbers import count, counted, percent
from outfold.report.plot import UNIT_TICKS, Scale, drawing, figure, integer_ticks, key, plot, short
from outfold.report.statistics import Confusions, confusions, precision_recall_f1
from outfold.report.thumbnails import data_uri

MOST_CELLS = 15
"""With more classes than this, the matrix is a picture instead of a table of numbers."""
MOST_PICTURED = 400
"""With more classes than this, a picture shows nothing that can be read."""
MOST_PAIRS, MOST_LISTED = 15, 1000
ACCENT, ALARM = (47, 120, 186), (200, 78, 40)
"""Colours of the picture, readable on light and dark paper; its alpha is the share."""


def classes(run: Artefacts) -> Section | None:
    """Confusions and the table of classes."""
    evaluation = run.evaluation
    if evaluation is None or evaluation.ranks or evaluation.codec.kind not in ("multiclass", "binary"):
        return None  # a rank is no probability, and says no label
    found = confusions(evaluation.true, evaluation.predicted, len(evaluation.classes))
    few = found.classes <= MOST_CELLS
    names = evaluation.classes
    pairs = _pairs(found, names) if found.classes > 2 else None
    top = tables(_matrix(found, names), pairs) if few else charts(_picture(found), pairs)
    body = [top, _class_table(found, names), None if few else charts(_by_size(found))]
    rule = "the class with the largest probability" if found.classes > 2 else "positive from 0.5 on"
    wrong = int((evaluation.true != evaluation.predicted).sum())
    intro = (
        f"{counted(wrong, 'row')} of {count(len(evaluation))} predicted as another class "
        f"({percent(wrong / len(evaluation))}). The label is {rule}."
    )
    return Section("classes", "Classes", intro, body)


def _matrix(found: Confusions, names: tuple[str, ...]) -> Html:
    """Counts in cells, shaded by the share of the true class."""
    counts = found.matrix()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    head = [
        tag("th", "true ↓ predicted →", class_="side"),
        *(tag("th", name, scope="col", title=name) for name in names),
    ]
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row", title=name),
            [_matrix_cell(counts, share, i, j) for j in range(len(names))],
        )
        for i, name in enumerate(names)
    ]
    caption = tag("caption", "Rows by true and predicted class")
    return scroll(tag("table", caption, tag("thead", tag("tr", head)), tag("tbody", rows), class_="matrix"))


def _matrix_cell(counts: np.ndarray, share: np.ndarray, i: int, j: int) -> Html:
    kind = " ".join(["hit"] * (i == j) + ["strong"] * bool(share[i, j] > 0.6))
    title = f"{percent(share[i, j])} of the true class"
    return tag("td", count(int(counts[i, j])), class_=kind or None, style=f"--v:{share[i, j]:.3f}", title=title)


def _picture(found: Confusions) -> Child:
    """A heat map: one pixel a pair of classes."""
    if found.classes > MOST_PICTURED:
        return tag("p", f"{found.classes} classes are too many for a picture of all pairs; the most frequent follow.")
    size, left, top = 352, 40, 22
    ticks = integer_ticks(1, found.classes)
    x = Scale(0.5, found.classes + 0.5, left, left + size, tuple(ticks))
    y = Scale(0.5, found.classes + 0.5, top, top + size, tuple(ticks))
    marks: list[Child] = [
        tag("text", "true class", x=2, y=13, class_="name"),
        tag("image", href=data_uri(_pixels(found)), x=left, y=top, width=size, height=size, preserveAspectRatio="none"),
        tag("path", d=f"M{left} {top}h{size}v{size}h-{size}z", class_="axis"),
        tag("text", "predicted class", x=left + size / 2, y=top + size + 36, text_anchor="middle", class_="name"),
    ]
    for (value, written), across, down in zip(x.labels(), x(ticks), y(ticks), strict=True):
        del value
        marks.append(tag("text", written, x=short(across), y=top + size + 17, text_anchor="middle", class_="tick"))
        marks.append(tag("text", written, x=left - 7, y=short(down + 4), text_anchor="end", class_="tick"))
    return figure(
        "Rows by true and predicted class",
        drawing(400, top + size + 44, f"Heat map of {found.classes} classes", marks),
        key(("accent square", "right"), ("alarm square", "wrong")),
        "The stronger the colour, the larger the share of the true class; numbers as in the table of classes.",
    )


def _pixels(found: Confusions) -> np.ndarray:
    """RGBA uint8 (classes, classes, 4); the alpha is the square root of the share, so that rare mistakes show."""
    counts = found.matrix()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colour = np.where(np.eye(found.classes, dtype=bool)[:, :, None], ACCENT, ALARM)
    return np.dstack([colour, np.round(255 * np.sqrt(share))]).astype(np.uint8)


def _pairs(found: Confusions, names: tuple[str, ...]) -> Child:
    pairs = found.worst_pairs(MOST_PAIRS)
    if not pairs:
        return None
    rows = [(names[true], names[predicted], count(rows), percent(share)) for true, predicted, rows, share in pairs]
    columns = ("true class", "predicted as", "rows", "of class")
    return table(columns, rows, text=columns[:2], main="rows", caption="Most confused")


def _class_table(found: Confusions, names: tuple[str, ...]) -> Html:
    """Precision, recall and F1 by class, the worst first."""
    support, claimed = found.support, found.claimed
    scores = precision_recall_f1(found.hits, claimed, support)
    order = np.argsort(np.nan_to_num(scores[2], nan=2.0), kind="stable")
    shown = order[:MOST_LISTED]
    rows = [
        (
            str(code + 1),
            names[code],
            score_cell(scores[2][code], with_bar=True),
            *(score_cell(score[code]) for score in scores[:2]),
            Cell(count(int(support[code])), float(support[code])),
            Cell(count(int(claimed[code])), float(claimed[code])),
        )
        for code in shown
    ]
    columns = ("no.", "class", "F1", "precision", "recall", "rows", "predicted")
    left_out = len(order) - len(shown)
    caption = f"{counted(len(rows), 'class', 'classes')}, the lowest F1 first" + (
        f" ({count(left_out)} more are not listed)" if left_out else ""
    )
    return table(columns, rows, text=("class",), main="F1", caption=caption, sortable=True, tall=len(rows) > TALL)


def _by_size(found: Confusions) -> Html:
    """F1 of each class over its rows: whether it is the rare classes that fail."""
    support = found.support
    present = support > 0
    _, _, f1 = precision_recall_f1(found.hits, found.claimed, support)
    most = int(support.max())
    area = plot((max(1, int(support[present].min())) / 1.2, most * 1.2), (-0.02, 1.02), y_ticks=UNIT_TICKS, log_x=True)
    drawn = area.drawing(
        "F1 by number of rows",
        area.axes("rows of the class", "F1"),
        area.dots(support[present], f1[present], "accent many"),
    )
    return figure("F1 by class size", drawn, "One dot a class; the horizontal axis is logarithmic.")


def confidence_of(evaluation: Evaluation) -> np.ndarray:
    """The probability of the predicted class, float32 (n,), multiclass or binary."""
    if evaluation.codec.kind == "multiclass":
        return evaluation.prediction.max(axis=1)
    positive = evaluation.prediction[:, 0]
    return np.where(positive >= 0.5, positive, 1 - positive)
