"""The top of the page: the score, its interval, and what it means; or that the run is not complete."""

from collections.abc import Sequence
from typing import Any

from outfold.report.html import Child, Html, join, tag
from outfold.report.layout import bullets, notice
from outfold.report.loading import Artefacts
from outfold.report.numbers import count, counted, duration, metric_title, number
from outfold.report.plot import WIDTH, Scale, drawing, short, widened
from outfold.settings.recipe import Recipe
from outfold.settings.task import TaskKind

TASKS: dict[TaskKind, str] = {
    "multiclass": "one class of several",
    "binary": "one of two classes",
    "multilabel": "several labels a row",
    "regression": "numbers",
}
STRIP_HEIGHT, MOST_COLUMNS = 92, 4


def headline(run: Artefacts, anchors: Sequence[tuple[str, str]]) -> Html:
    """The page's header with the score of a complete run."""
    return tag("header", _title(run), _navigation(anchors), _outcome(run))


def _title(run: Artefacts) -> Child:
    task = run.recipe.task
    few = len(task.target) <= MOST_COLUMNS
    columns = f"column {', '.join(task.target)}" if few else counted(len(task.target), "column")
    predicts = f"{task.kind}: {TASKS[task.kind]}, from {columns}"
    parts = [predicts]
    if run.status == "complete":
        parts.append(f"{count(run.summary['data']['rows'])} training rows, {duration(run.summary['seconds'])}")
    return [
        tag("p", "outfold report", class_="eyebrow"),
        tag("h1", run.recipe.name),
        tag("p", run.recipe.description) if run.recipe.description else None,
        tag("p", "; ".join(parts), class_="soft"),
    ]


def _navigation(anchors: Sequence[tuple[str, str]]) -> Html:
    return tag("nav", [tag("a", title, href=f"#{anchor}") for anchor, title in anchors], aria_label="Parts of the page")


def _outcome(run: Artefacts) -> Html:
    if run.status != "complete":
        return _unfinished(run)
    if run.summary.get("score") is None:
        return notice("This run has no out-of-fold score: no stage of it predicts rows that it did not train on.")
    metric, scores = run.summary["metric"], run.summary["scores"]
    entry = scores[metric]
    first = [
        tag("p", f"{metric_title(metric)}, out of fold", class_="metric"),
        tag("p", number(entry["value"]), class_="score"),
        tag("p", f"95% interval {number(entry['low'])} to {number(entry['high'])}", class_="interval"),
        _strip(entry, run.scored_stage.get("folds", []), metric),
    ]
    return tag("div", tag("div", first), tag("div", _meaning(run)), class_="headline")


def _meaning(run: Artefacts) -> Child:
    """What the score says about new data, and what weakens it."""
    data, folds = run.summary["data"], run.recipe.folds
    rows, groups = len(run.evaluation) if run.evaluation else 0, data.get("groups")
    named = ", ".join(folds.group)
    group = f" or its group ({named})" if named else " or its group" if groups else ""
    first = (
        f"Out of fold: each of {counted(rows, 'row')} was predicted by a model that never saw it{group}. "
        "This is the score to expect on new rows of the same kind."
    )
    drawn = f"{counted(groups, 'group')}" if groups else "the rows"
    second = (
        f"The interval says how far chance in the choice of rows moves the score: 95% of 1,000 bootstrap samples of "
        f"{drawn} fall inside it. The dots are the folds; those of a fair split scatter around the score."
    )
    cautions = _cautions(run, rows)
    return [tag("p", first), tag("p", second), bullets(cautions) if cautions else None]


def _cautions(run: Artefacts, scored_rows: int) -> list[str]:
    rows = run.summary["data"]["rows"]
    cautions = []
    if scored_rows < rows:
        cautions.append(f"Only {count(scored_rows)} of {count(rows)} rows are scored: not every fold was held out.")
    cautions.extend(f"{', '.join(names)}: {why}" for why, names in _judged_twice(run.recipe).items())
    return cautions


CHOSEN = {
    "best": "the best epoch is picked on the fold that is then scored, which flatters the score a little.",
    "average": (
        "the epochs whose weights are averaged are picked on the fold that is then scored, which flatters the score a "
        "little."
    ),
    "greedy_soup": (
        "the epochs whose weights are averaged are picked, and then tried one by one, on the fold that is then scored, "
        "and every choice flatters the score a little."
    ),
}
"""What choosing epochs on the held-out fold means for its score, by `keep.combine`."""
FOLLOWED = "the learning rate follows the loss of the fold that is then scored, which flatters the score a little."


def _judged_twice(recipe: Recipe) -> dict[str, list[str]]:
    """What the held-out fold decided in training, as sentences, each with the names of the members it is true of."""
    found: dict[str, list[str]] = {}
    for stage, member, settings in recipe.members():
        keep, epochs = settings.keep, sum(phase.epochs for phase in settings.phases)
        if keep.best != "last" and epochs > 1:
            found.setdefault(CHOSEN[keep.combine], []).append(f"{stage}/{member}")
        if any(phase.schedule == "plateau" for phase in settings.phases) and epochs > 1:
            found.setdefault(FOLLOWED, []).append(f"{stage}/{member}")
    return found


def _strip(entry: dict[str, Any], folds: Sequence[dict[str, Any]], metric: str) -> Html:
    """The interval as a band, the score as a line, the folds as dots, on one axis."""
    judged = [(fold["fold"], fold["scores"][metric]) for fold in folds if fold["scores"][metric] is not None]
    low_end, high_end = (entry["value"] if entry[name] is None else entry[name] for name in ("low", "high"))
    known = [low_end, high_end, entry["value"], *(value for _, value in judged)]
    low, high = widened(min(known), max(known))
    x = Scale(low - 0.08 * (high - low), high + 0.08 * (high - low), 6, WIDTH - 6)
    left, right, middle = (float(x(value)) for value in known[:3])
    band = tag("rect", x=short(left), y=18, width=short(right - left), height=32, class_="band")
    dots = join(
        *(
            tag(
                "path",
                tag("title", f"fold {fold}: {number(value)}"),
                d=f"M{short(x(value))} 34h0",
                class_="dots neutral",
            )
            for fold, value in judged
        )
    )
    ticks = [
        tag("text", written, x=short(x(value)), y=76, text_anchor="middle", class_="tick")
        for value, written in x.labels()
    ]
    axis = tag("path", d=f"M{short(x.start)} 58H{short(x.stop)}", class_="axis")
    mark = tag("path", d=f"M{short(middle)} 14V54", class_="mark")
    said = f"{metric_title(metric)} {number(entry['value'])}, folds from {number(min(known))} to {number(max(known))}"
    return tag("figure", drawing(WIDTH, STRIP_HEIGHT, said, band, axis, ticks, dots, mark))


def _unfinished(run: Artefacts) -> Html:
    """Why there is no score yet, and how to go on."""
    trained = counted(len(run.trainings), "model")
    if run.status == "failed":
        reason = str(run.summary.get("error", "the reason was not written down"))
        opening = tag("p", tag("b", "This run failed. "), reason)
    else:
        opening = tag("p", tag("b", f"This run is not complete (status: {run.status}). "), "It has no score yet.")
    rest = f"{trained} finished training before. The run's command, given again, goes on from there."
    events = [tag("li", tag("code", _event_text(event))) for event in run.events]
    log = tag("details", tag("summary", "The last events of the log"), tag("ul", events)) if events else None
    return notice(opening, rest, log or "", class_="notice failed")


def _event_text(event: dict[str, Any]) -> str:
    rest = (
        f"{name} {number(value) if isinstance(value, float) else value}"
        for name, value in event.items()
        if name not in ("event", "time")
    )
    return ": ".join(filter(None, (str(event.get("event", "?")), ", ".join(rest))))
