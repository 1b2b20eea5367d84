"""Steps that change predictions after the models: their numbers, and what they gain out of fold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from outfold.report.html import Child, tag
from outfold.report.layout import Section, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import MISSING, metric_title, number

ALL = "all targets"
Entry = Mapping[str, Any]


def postprocess(run: Artefacts) -> Section | None:
    """A table of steps and a sentence on their worth, for each such stage."""
    stages = run.summary.get("stages", {}) if run.status == "complete" else {}
    entries = {name: entry["postprocess"] for name, entry in stages.items() if "postprocess" in entry}
    if not entries:
        return None
    body = [part for name, entry in entries.items() for part in _stage(name, entry, several=len(entries) > 1)]
    intro = "Steps in the order in which they change predictions. Numbers that are learned are learned on other folds."
    return Section("postprocess", "Post-processing", intro, body)


def _stage(name: str, entry: Entry, *, several: bool) -> list[Child]:
    folds: Sequence[Entry] = entry.get("folds", [])
    rows = [
        (step, target, value, _by_fold(place, step, target, folds))
        for place, written in enumerate(entry["steps"])
        for step, target, value in _numbers(written)
    ]
    columns = ("step", "target", "value", "by fold")
    shown = [row if folds else row[:3] for row in rows]
    drawn = table(columns if folds else columns[:3], shown, text=("step", "target"), caption=name if several else None)
    return [drawn, _worth(entry)]


def _numbers(step: Entry) -> Iterator[tuple[str, str, str]]:
    """What a step does: its name, a target, and the number or the sum for it."""
    for name, target in step.get("multiply", {}).items():
        yield "multiply", name, number(target)
    if "clip" in step:
        bounds = [f"{end} {number(step['clip'][end])}" for end in ("min", "max") if step["clip"].get(end) is not None]
        yield "clip", ", ".join(step["clip"].get("columns", [])) or ALL, ", ".join(bounds)
    if "zero_below" in step:
        given = step["zero_below"]
        limits = given if isinstance(given, dict) else {ALL: given}
        yield from (("zero below", name, number(limit)) for name, limit in limits.items())
        if not limits:
            yield "zero below", ALL, "nothing is cut"
    if "sum" in step:
        given = step["sum"]
        if isinstance(given, str):
            yield "sum", ALL, "as task.identities say"
        else:
            yield from (("sum", total, " + ".join(parts)) for total, parts in given.items())


def _by_fold(place: int, step: str, target: str, folds: Sequence[Entry]) -> str:
    """The same number of each fold; empty where it is the same in all."""
    found = [dict(_by_target(fold["steps"][place])).get((step, target), MISSING) for fold in folds]
    return "" if len(set(found)) == 1 else ", ".join(found)


def _by_target(step: Entry) -> Iterator[tuple[tuple[str, str], str]]:
    return (((name, target), value) for name, target, value in _numbers(step))


def _worth(entry: Entry) -> Child:
    """What the steps gain, and what learning their numbers on the judged rows would have pretended."""
    scores = entry.get("scores")
    if scores is None:
        return tag("p", "Nothing is predicted out of fold here, so what the steps gain is not known.")
    gain, metric = scores["gain"], metric_title(scores["metric"])
    said = f"{metric} {number(scores['before'])} before, {number(scores['after'])} after, out of fold"
    if gain["low"] is not None:
        said += f"; the difference is {_signed(gain['value'])}, 95% interval "
        said += f"{_signed(gain['low'])} to {_signed(gain['high'])}"
    if scores.get("in_sample") is not None:
        said += f". Numbers learned on the very rows they change would show {number(scores['in_sample'])}"
    return tag("p", f"{said}.")


def _signed(value: float) -> str:
    return number(value) if value < 0 else f"+{number(value)}"
