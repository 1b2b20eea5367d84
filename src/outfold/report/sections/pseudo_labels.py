"""Pseudo-labels: of the rows that a teacher labelled, how many students learn from and why others are left out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from outfold.report.html import Child, Html
from outfold.report.layout import TALL, Section, notice, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import count
from outfold.run_folder import WHOLE

LEFT_OUT = {
    "held_out": "belong to held-out rows",
    "seen": "teacher trained on theirs",
    "incomplete": "of incomplete recordings",
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
    """A row for each fold that students hold out, or for each fold and seed."""
    reasons = _reasons(folds[0])
    rows = [(*_students(one), *_cells(one, one["left_out"], reasons)) for one in folds]
    who = ("held-out fold", "seed")[: len(_students(folds[0]))]
    columns = (*who, "rows", *reasons.values(), "learned from", "with repetitions")
    return table(columns, rows, text=who, caption=f"{name}, by {' and '.join(who)}")


def _students(one: Mapping[str, Any]) -> list[str]:
    """The fold that they hold out, and their seed where only those of one learn these labels."""
    seed = one.get("seed")
    return ["none" if one["fold"] == WHOLE else str(one["fold"]), *([] if seed is None else [str(seed)])]


def _classes(name: str, folds: Sequence[Mapping[str, Any]]) -> Html:
    """Means over folds, rounded."""
    reasons, rows = _reasons(folds[0]), []
    for place, one in enumerate(folds[0]["classes"]):
        own = [fold["classes"][place] for fold in folds]
        mean = {key: round(sum(part[key] for part in own) / len(own)) for key in one if key != "class"}
        rows.append((one["class"], *_cells(mean, mean, reasons)))
    columns = ("class", "rows", *reasons.values(), "learned from", "with repetitions")
    caption = f"{name}, by most likely class, mean over folds"
    return table(columns, rows, text=("class",), caption=caption, sortable=True, tall=len(rows) > TALL)


def _reasons(one: Mapping[str, Any]) -> dict[str, str]:
    """The reasons that the stage knows."""
    return {reason: said for reason, said in LEFT_OUT.items() if reason in one["left_out"]}


def _cells(counts: Mapping[str, int], left_out: Mapping[str, int], reasons: Iterable[str]) -> list[str]:
    out = [left_out[reason] for reason in reasons]
    return [count(number) for number in (counts["rows"], *out, counts["kept"], counts["learned"])]
