"""Where the time went: by stage and by model, and how much of it was waiting for data."""

from collections.abc import Iterator
from typing import Any

from outfold.report.html import Child, Html
from outfold.report.layout import TALL, Cell, Section, bar, notice, table
from outfold.report.loading import Artefacts
from outfold.report.numbers import MISSING, count, duration, fold_name, metric_title, number, percent
from outfold.settings.nouns import Noun
from outfold.work import WAIT_WORTH_SAYING


def time(run: Artefacts) -> Section | None:
    """Tables of stages and models, with advice where data is what limits the speed."""
    if run.status != "complete":
        return None
    stages = run.summary["stages"]
    timed = {name: entry for name, entry in stages.items() if "seconds" in entry}
    waiting = [name for name, entry in timed.items() if entry.get("wait_share", 0) > WAIT_WORTH_SAYING]
    advice = [notice(f"{', '.join(waiting)}: {_advice(run.recipe.data.noun)}")] if waiting else []
    body: list[Child] = [*advice, _stages(run.summary["seconds"], timed), _models(run)]
    took = duration(run.summary["seconds"])
    intro = f"The last command took {took}. Work kept from earlier commands counts by stage and model only."
    return Section("time", "Time", intro, body)


def _advice(noun: Noun) -> str:
    return (
        f"Training waits for {noun.file}s: give more --workers, or {noun.lighter}; slow disks gain from a cache on a "
        "local one (OUTFOLD_CACHE)."
    )


def _stages(total: float, stages: dict[str, dict[str, Any]]) -> Html:
    longest = max([total, *(entry["seconds"] for entry in stages.values())]) or 1.0
    rows = [
        (name, [bar(entry["seconds"] / longest), duration(entry["seconds"])], percent(entry.get("wait_share")))
        for name, entry in stages.items()
    ]
    rows.append(("whole command", [bar(total / longest), duration(total)], ""))
    return table(("stage", "time", "waiting for data"), rows, text=("stage",), caption="By stage")


def _models(run: Artefacts) -> Child:
    jobs = list(_jobs(run))
    if not jobs:
        return None
    longest = max(job["seconds"] for *_, job in jobs) or 1.0
    rates = {(m.stage, m.member, m.fold, m.seed): m.history.get("images_per_second") for m in run.trainings}
    rows = []
    for stage, member, job in jobs:
        rate = rates.get((stage, member, job["fold"], job["seed"]))
        rows.append(
            (
                f"{stage}/{member}",
                fold_name(job["fold"]),
                str(job["seed"]),
                _score(run, stage, job["score"]),
                _kept(job),
                Cell([bar(job["seconds"] / longest), duration(job["seconds"])], job["seconds"]),
                MISSING if rate is None or rate.isna().all() else count(round(float(rate.median()))),
                Cell(percent(job["wait_share"]), job["wait_share"]),
            )
        )
    score, speed = metric_title(run.summary["metric"]), f"{run.recipe.data.noun.sample}s/s"
    columns = ("model", "fold", "seed", score, "weights of epoch", "time", speed, "waiting for data")
    return table(columns, rows, text=("model",), caption="By model", sortable=True, tall=len(rows) > TALL)


def _kept(job: dict[str, Any]) -> str:
    """The epoch whose weights predict, or those whose mean does."""
    epochs = job.get("combined", {}).get("epochs", [job["best_epoch"]])
    return f"{', '.join(map(str, epochs))} of {job['epochs']}"


def _score(run: Artefacts, stage: str, score: float | None) -> Cell | str:
    """A model's score, with the metric of an auxiliary stage, which is not the run's."""
    metric = run.recipe.task_of(stage).metric
    if metric == run.summary["metric"]:
        return number(score)
    return Cell(f"{metric_title(metric)} {number(score)}", score)


def _jobs(run: Artefacts) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for stage, entry in run.summary["stages"].items():
        for member, part in entry.get("members", {}).items():
            yield from ((stage, member, job) for job in part["jobs"])
