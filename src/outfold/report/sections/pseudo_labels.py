"""Pseudo-labels: of the rows that a teacher labelled, how many students learn from and why others are left out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from outfold.report.html import Child, Html
from outfold.report.layout import TALL, Section, notice, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import count

LEFT_OUT = {
    "held_out": "belong to held-out rows",
    "seen": "teacher trained on theirs",
    "unsure": "below the confidence",
    "surplus": "more than needed",
}
"""Columns by the summary's name of a reason."""


def pseudo_labels(run: Artefacts) -> Section | None:
    """A table by fold and one by class for each label stage."""
    stages = {name: entry for name, entry in run.summary.get("stages", {}).items() if entry.get("labels")}
    if not stages:
        return None
    body = [part for name, entry in stages.items() for part in _stage(name, entry)]
    intro = (
        "Rows without labels that a teacher labelled, and what the students that hold out each fold learn of them: "
        "every row that is not learned from is counted under one reason."
    )
    return Section("pseudo-labels", "Pseudo-labels", intro, body)


def _stage(name: str, entry: Mapping[str, Any]) -> Iterator[Child]:
    if entry["not_compared"]:
        by = ", ".join(entry["not_compared"])
        yield notice(f"{name}: rows could not be compared with held-out ones by {by}; some may belong together.")
    folds = entry["labels"]
    yield _folds(name, folds)
    if len(folds[0]["classes"]) > 1:
        yield _classes(name, folds)


def _folds(name: str, folds: Sequence[Mapping[str, Any]]) -> Html:
    rows = [(str(one["fold"]), *_cells(one, one["left_out"])) for one in folds]
    columns = ("held-out fold", "rows", *LEFT_OUT.values(), "learned from", "with repetitions")
    return table(columns, rows, text=("held-out fold",), caption=f"{name}, by fold")


def _classes(name: str, folds: Sequence[Mapping[str, Any]]) -> Html:
    """Means over folds, rounded."""
    rows = []
    for place, one in enumerate(folds[0]["classes"]):
        own = [fold["classes"][place] for fold in folds]
        mean = {key: round(sum(part[key] for part in own) / len(own)) for key in one if key != "class"}
        rows.append((one["class"], *_cells(mean, mean)))
    columns = ("class", "rows", *LEFT_OUT.values(), "learned from", "with repetitions")
    caption = f"{name}, by most likely class, mean over folds"
    return table(columns, rows, text=("class",), caption=caption, sortable=True, tall=len(rows) > TALL)


def _cells(counts: Mapping[str, int], left_out: Mapping[str, int]) -> list[str]:
    reasons = [left_out[reason] for reason in LEFT_OUT]
    return [count(number) for number in (counts["rows"], *reasons, counts["kept"], counts["learned"])]
