"""Steps that change predictions after the models: their numbers, and what they gain out of fold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from outfold.report.html import Child, marked, tag
from outfold.report.layout import Section, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import MISSING, metric_title, number

ALL, CLASSES = "all targets", "all classes"
Entry = Mapping[str, Any]


def postprocess(run: Artefacts) -> Section | None:
    """A table of steps and a sentence on their worth, for each such stage."""
    stages = run.summary.get("stages", {}) if run.status == "complete" else {}
    entries = {name: entry["postprocess"] for name, entry in stages.items() if "postprocess" in entry}
    if not entries:
        return None
    body = [part for name, entry in entries.items() for part in _stage(name, entry, several=len(entries) > 1)]
    intro = (
        "Steps in the order in which they change predictions. What is learned is learned on other folds; a dash is a "
        "number that gained nothing."
    )
    return Section("postprocess", "Post-processing", intro, body)


def _stage(name: str, entry: Entry, *, several: bool) -> list[Child]:
    folds: Sequence[Entry] = entry.get("folds", [])
    rows = [row for place in range(len(entry["steps"])) for row in _rows(place, entry["steps"], folds)]
    columns = ("step", "target", "value", "by fold")
    shown = [row if folds else row[:3] for row in rows]
    drawn = table(columns if folds else columns[:3], shown, text=("step", "target"), caption=name if several else None)
    notes: Sequence[str] = entry.get("notes", [])
    return [drawn, _worth(entry), *(tag("p", marked(f"Out of fold: {note}.")) for note in notes)]


def _rows(place: int, steps: Sequence[Entry], folds: Sequence[Entry]) -> Iterator[tuple[str, str, str, str]]:
    """What a step does: its name, a target, the number or sum for it, and the folds' own where they differ."""
    by_fold = [_numbers(fold["steps"][place]) for fold in folds]
    known = {key: None for found in (_numbers(steps[place]), *by_fold) for key in found}
    for key in known:
        values = [found.get(key, MISSING) for found in by_fold]
        yield *key, _numbers(steps[place]).get(key, MISSING), ", ".join(values) if len(set(values)) > 1 else ""
    if not known:
        yield "zero below", ALL, MISSING, ""


def _numbers(step: Entry) -> dict[tuple[str, str], str]:
    """By name of the step and target, the number or the sum."""
    found = {("multiply", name): number(factor) for name, factor in step.get("multiply", {}).items()}
    if "clip" in step:
        bounds = [f"{end} {step['clip'][end]:g}" for end in ("min", "max") if step["clip"].get(end) is not None]
        found["clip", ", ".join(step["clip"].get("columns", [])) or ALL] = ", ".join(bounds)
    cut = step.get("zero_below", {})
    limits = cut if isinstance(cut, dict) else {ALL: cut}
    found |= {("zero below", name): number(limit) for name, limit in limits.items()}
    sums = step.get("sum", {})
    told = {ALL: "as task.identities say"} if isinstance(sums, str) else {n: " + ".join(p) for n, p in sums.items()}
    return found | {("sum", name): text for name, text in told.items()} | _numbers_in_time(step)


def _numbers_in_time(step: Entry) -> dict[tuple[str, str], str]:
    """The same of steps in time."""
    if "boost" in step:
        return {("boost", CLASSES): number(step["boost"]["weight"] or None)}
    if "smooth" in step:
        return {("smooth", place): number(weight or None) for place, weight in _places(step["smooth"]["kernel"])}
    return {("overlap", "mean by shared seconds"): MISSING} if "overlap" in step else {}


def _places(kernel: Sequence[float]) -> Iterator[tuple[str, float]]:
    """A kernel from the middle outwards; both sides at once where they are equal."""
    half = len(kernel) // 2
    yield "the row itself", kernel[half]
    for away in range(1, half + 1):
        before, after = kernel[half - away], kernel[half + away]
        if list(kernel) == list(kernel)[::-1]:
            yield f"{away} before or after", before
        else:
            yield from ((f"{away} before", before), (f"{away} after", after))


def _worth(entry: Entry) -> Child:
    """What the steps gain, and what learning their numbers on the judged rows would have pretended."""
    scores = entry.get("scores")
    if scores is None:
        return tag("p", "Nothing is predicted out of fold here, so what the steps gain is not known.")
    gain, metric = scores["gain"], metric_title(scores["metric"])
    said = f"{metric} {number(scores['before'])} before, {number(scores['after'])} after, out of fold"
    if gain is None:
        said += f"; what the steps gain is not known: {scores['gain_not_known']}"
    elif gain["low"] is not None:
        said += f"; the difference is {_signed(gain['value'])}, 95% interval "
        said += f"{_signed(gain['low'])} to {_signed(gain['high'])}"
    if scores.get("in_sample") is not None:
        said += f". Numbers learned on the very rows they change would show {number(scores['in_sample'])}"
    return tag("p", f"{said}.")


def _signed(value: float) -> str:
    return number(value) if value < 0 else f"+{number(value)}"
