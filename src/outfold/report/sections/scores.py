"""All scores with their intervals, the folds one by one, and the members."""

from collections.abc import Mapping
from typing import Any

from outfold.metrics import METRICS
from outfold.report.html import Child
from outfold.report.layout import Section, table, tables
from outfold.report.loading import Artefacts
from outfold.report.numbers import count, metric_title, number, spread


def scores(run: Artefacts) -> Section | None:
    """The tables of scores."""
    if run.status != "complete" or not run.summary["scores"]:
        return None
    body = [tables(_all_scores(run.summary["scores"]), _by_fold(run)), _by_member(run)]
    intro = (
        "Every score is out of fold. Intervals are bootstrap intervals over rows, or over groups where rows share one."
    )
    return Section("scores", "Scores", intro, body)


def _all_scores(entries: Mapping[str, Mapping[str, float]]) -> Child:
    rows = [
        (
            metric_title(name),
            number(entry["value"]),
            spread(entry),
            _better(name),
        )
        for name, entry in entries.items()
    ]
    columns = ("metric", "score", "95% interval", "better")
    return table(columns, rows, text=("metric",), main="score", caption="All rows")


def _better(name: str) -> str:
    if name not in METRICS:
        return ""
    return "higher" if METRICS[name].greater_is_better else "lower"


def _by_fold(run: Artefacts) -> Child:
    folds = run.scored_stage.get("folds", [])
    if not folds:
        return None
    names = list(folds[0]["scores"])
    groups = run.groups_by_fold
    columns = ["fold", "rows", *(["groups"] if groups else []), *map(metric_title, names)]
    rows = [
        [
            str(fold["fold"]),
            count(fold["rows"]),
            *([count(groups.get(fold["fold"], 0))] if groups else []),
            *(number(fold["scores"][name]) for name in names),
        ]
        for fold in folds
    ]
    return table(columns, rows, main=metric_title(names[0]), caption="By fold", sortable=len(rows) > 5)


def _by_member(run: Artefacts) -> Child:
    """Members of all scored stages; nothing where there is a single one, whose scores are the run's."""
    stages: Mapping[str, Mapping[str, Any]] = run.summary["stages"]
    found = [(stage, name, part) for stage, s in stages.items() for name, part in s.get("members", {}).items()]
    if len(found) < 2:
        return None
    main = metric_title(run.summary["metric"])
    rows = [_member_row(stage, name, part, run) for stage, name, part in found]
    columns = ("stage", "member", main, "95% interval", "models")
    return table(columns, rows, text=("stage", "member"), main=main, caption="By member")


def _member_row(stage: str, name: str, part: Mapping[str, Any], run: Artefacts) -> tuple[Child, ...]:
    """A member's score by the run's metric, or by that of its auxiliary stage, which is named then."""
    metric, models = run.recipe.task_of(stage).metric, part.get("served", part["jobs"])
    own = "" if metric == run.summary["metric"] else f"{metric_title(metric)} "
    return (stage, name, f"{own}{number(part['score'])}", spread(part["scores"][metric]), count(len(models)))
