"""Pseudo-labels: of the rows that a teacher labelled, how many students learn from and why others are left out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from outfold.report.html import Child, Html
from outfold.report.layout import TALL, Cell, Section, bar, notice, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import MISSING, count, percent
from outfold.run_folder import WHOLE

LEFT_OUT = {
    "held_out": "belong to held-out rows",
    "seen": "teacher trained on theirs",
    "incomplete": "of incomplete recordings",
    "unsure": "below the confidence",
    "surplus": "more than needed",
}
"""Columns by the summary's name of a reason."""
NO_COUNTS = ("class", "mean")
"""What a summary says of a class that is no number of rows."""


def pseudo_labels(run: Artefacts) -> Section | None:
    """A table by fold and one by class for each label stage."""
    stages = {name: entry for name, entry in run.summary.get("stages", {}).items() if entry.get("labels")}
    if not stages:
        return None
    body = [part for name, entry in stages.items() for part in _stage(name, entry)]
    intro = (
        "Rows without labels that a teacher labelled, and what the students that hold out each fold learn of them: "
        "every row that is not learned from is counted under one reason. The mean label of a class is what the "
        "teacher gives it on average over all rows that are learned from."
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
    who = ("held-out fold", "seed")[: len(_students(folds[0]))]
    reasons, repeated = _reasons([one["left_out"] for one in folds]), _repeated(folds)
    rows = [(*_students(one), *_cells(one, one["left_out"], reasons, repeated)) for one in folds]
    return table((*who, *_columns(reasons, repeated)), rows, text=who, caption=f"{name}, by {' and '.join(who)}")


def _students(one: Mapping[str, Any]) -> list[str]:
    """The fold that they hold out, and their seed where only those of one learn these labels."""
    seed = one.get("seed")
    return ["none" if one["fold"] == WHOLE else str(one["fold"]), *([] if seed is None else [str(seed)])]


def _classes(name: str, folds: Sequence[Mapping[str, Any]]) -> Html:
    """Means over folds, rounded; the class with the most rows first."""
    means = [_mean([fold["classes"][place] for fold in folds]) for place in range(len(folds[0]["classes"]))]
    means.sort(key=lambda one: -one["rows"])
    reasons, repeated = _reasons(means), _repeated(means)
    most = max((one["mean"] for one in means if one["mean"] is not None), default=None)  # earlier versions kept none
    soft = [] if most is None else ["mean label"]
    rows = [
        (one["class"], *([_soft(one["mean"], most)] if most is not None else []), *_cells(one, one, reasons, repeated))
        for one in means
    ]
    columns = ("class", *soft, *_columns(reasons, repeated))
    over = ", mean over folds" if len(folds) > 1 else ""
    caption = f"{name}, by most likely class{over}"
    return table(columns, rows, text=("class",), caption=caption, sortable=True, tall=len(rows) > TALL)


def _mean(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One class over all folds: numbers of rows rounded, and the mean label of the folds that have one."""
    counts = {key: round(sum(part[key] for part in parts) / len(parts)) for key in parts[0] if key not in NO_COUNTS}
    labels = [part["mean"] for part in parts if part.get("mean") is not None]
    return {**counts, "class": parts[0]["class"], "mean": sum(labels) / len(labels) if labels else None}


def _soft(mean: float | None, most: float) -> Cell:
    """A mean label, with a bar that the largest of them fills."""
    return Cell(MISSING, None) if mean is None else Cell([bar(mean / max(most, 1e-12)), f"{mean:.3f}"], mean)


def _reasons(counts: Sequence[Mapping[str, int]]) -> dict[str, str]:
    """The reasons for which any row is left out."""
    return {reason: said for reason, said in LEFT_OUT.items() if any(one.get(reason) for one in counts)}


def _repeated(counts: Sequence[Mapping[str, int]]) -> bool:
    """Whether any row is learned from more than once in an epoch."""
    return any(one["learned"] != one["kept"] for one in counts)


def _columns(reasons: Mapping[str, str], repeated: bool) -> list[str]:
    return ["rows", "learned from", "share", *(["with repetitions"] if repeated else []), *reasons.values()]


def _cells(
    counts: Mapping[str, int], left_out: Mapping[str, int], reasons: Iterable[str], repeated: bool
) -> list[Cell | str]:
    """Numbers of rows as `_columns` names them."""
    rows, kept = counts["rows"], counts["kept"]
    share = Cell(percent(kept / rows), kept / rows) if rows else Cell(MISSING, None)
    numbers = [count(left_out[reason]) for reason in reasons]
    return [count(rows), count(kept), share, *([count(counts["learned"])] if repeated else []), *numbers]
