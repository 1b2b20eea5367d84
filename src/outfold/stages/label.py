"""The label stage: a teacher's models predict rows without labels, and the sure ones become rows to learn from.

A student that holds out a fold learns the mean answer of those models of the teacher that held it out too, so that
nothing which a label knows comes from a row that the student is judged on; with `teachers: same_seed` of those of its
own seed alone. Unlabelled rows that belong to held-out rows are left out for the same reason.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from outfold.data.dataset import Dataset
from outfold.data.predictions import Predictions
from outfold.data.pseudo import (
    INCOMPLETE,
    REASONS,
    SEEN,
    Chosen,
    choose,
    counts_by_class,
    mean_labels,
    most_likely,
    without_incomplete,
)
from outfold.errors import DataError
from outfold.files import read_json, write_json
from outfold.inference.in_time import sharpen_by_recording
from outfold.settings.label import LabelStage
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainStage
from outfold.stages.base import FORMAT, Context, Inference, Job, Model, Result, digest
from outfold.stages.predicting import predict_model, read_predictions
from outfold.stages.pseudo_rows import (
    Students,
    recordings_of,
    refuse_incomplete,
    rows_to_label,
    students_of,
    teachers_of,
    write_labels,
)
from outfold.stages.relatives import barred_rows, not_compared
from outfold.stages.train import models_of, table_job


def plan(name: str, stage: LabelStage, context: Context) -> list[Job]:
    """A prediction of each teacher's model, then the labels for each fold, or fold and seed, of students."""
    models, rows = models_of_teacher(stage, context.recipe, context.dataset), rows_to_label(stage, context.dataset)
    if stage.complete_windows is not None:
        refuse_incomplete(name, stage, recordings_of(rows))
    fits = {job.model: job for job in context.jobs if job.step == "fit"}
    known = {job.model: job for job in context.jobs if job.step == stage.rows}  # of the test table, or of another stage
    teacher = _teacher(stage, context.recipe)
    new = [
        table_job(name, model, teacher.member_settings(model.member), stage.rows, rows, fits[model].key, context)
        for model in models
        if model not in known
    ]
    known |= {job.model: job for job in new}
    keys = {model: known[model].key for model in models}
    return [*new, *(_labels_job(name, stage, one, keys, context) for one in all_students(stage, models))]


def perform(job: Job, stage: LabelStage, context: Context) -> None:
    """Let one of the teacher's models predict, or make the labels for some students."""
    if job.model is not None:
        settings = _teacher(stage, context.recipe).member_settings(job.model.member)
        predict_model(job, job.model, settings, context)
        return
    models = models_of_teacher(stage, context.recipe, context.dataset)
    students = next(one for one in all_students(stage, models) if one.step == job.step)
    (context.place(job) / f"{job.step}.json").unlink(missing_ok=True)
    models = teachers_of(stage, models, students)
    answers = _answers(stage, models, context)
    chosen = _chosen(stage, students.fold, answers, context)
    counts = _counts(stage, answers, chosen, context.dataset)
    if not chosen.repetitions.any():
        raise _nothing_left(job.stage, students, counts)
    write_labels(context.folder / job.output, answers, chosen)
    record = {**students._asdict(), "teachers": [model.place.as_posix() for model in models], **counts}
    write_json(context.place(job) / f"{job.step}.json", {"key": job.key, **record})
    what = _told(stage, counts, context)
    told = {"stage": job.stage, "students": str(students), "what": what}
    context.compute.emit({"event": "labelled", **told, **record})


def collect(name: str, stage: LabelStage, context: Context) -> Result:
    """A label stage predicts no rows of the recipe's answer."""
    return Result(None, None)


def predict(name: str, stage: LabelStage, inference: Inference) -> Result:
    """Rows that come later need no labels."""
    return Result(None, None)


def summary(name: str, stage: LabelStage, context: Context) -> dict[str, Any]:
    """By fold, or fold and seed, how many rows were labelled, kept and left out, and why."""
    folder = context.folder / "stages" / name
    models = models_of_teacher(stage, context.recipe, context.dataset)
    records = [read_json(folder / f"{one.step}.json") for one in all_students(stage, models)]
    counts = [{key: value for key, value in record.items() if key != "key"} for record in records]
    without = not_compared(stage, context.recipe, context.dataset)
    return {"rows": len(rows_to_label(stage, context.dataset)), "not_compared": without, "labels": counts}


def models_of_teacher(stage: LabelStage, recipe: Recipe, dataset: Dataset) -> list[Model]:
    """All models of the stage's teacher."""
    teacher = _teacher(stage, recipe)
    return [model for member in teacher.members for model in models_of(stage.source, teacher, member, dataset)]


def all_students(stage: LabelStage, models: Sequence[Model]) -> list[Students]:
    """Whom the teacher's models label for: students that hold out each fold, where it is asked for of each seed."""
    return list(dict.fromkeys(students_of(stage, model) for model in models))


def _teacher(stage: LabelStage, recipe: Recipe) -> TrainStage:
    teacher = recipe.stages[stage.source]
    assert isinstance(teacher, TrainStage)  # recipes with other teachers are refused
    return teacher


def _variant(stage: LabelStage, recipe: Recipe) -> str | None:
    """The assignment of folds that all members of the teacher, and all students, share."""
    teacher = _teacher(stage, recipe)
    return teacher.member_settings(next(iter(teacher.members))).folds


def _labels_job(name: str, stage: LabelStage, students: Students, keys: dict[Model, str], context: Context) -> Job:
    """The job that makes the labels for some students; `keys` are of the predictions of all the teacher's models."""
    own = [[model.place.as_posix(), keys[model]] for model in teachers_of(stage, list(keys), students)]
    barred = _barred(stage, students.fold, context)
    recordings = [recordings_of(rows_to_label(stage, context.dataset))] if stage.of_recordings else []
    key = digest(FORMAT, stage.decisive(), context.dataset.codec.to_dict(), own, barred, *recordings)
    return Job(name, students.step, key, Path("stages", name, f"{students.step}.parquet"))


def _answers(stage: LabelStage, models: Sequence[Model], context: Context) -> Predictions:
    """The mean of the models' probabilities, logits or values as labels, in the order of the rows."""
    codec, rows = context.dataset.codec, rows_to_label(stage, context.dataset)
    mean = _mean(stage, models, context)
    if stage.sharpen is None:
        return mean.to_probability(codec.kind)
    logits = mean.to_logit(codec.kind).values
    return replace(mean, values=sharpen_by_recording(logits, recordings_of(rows)), space="probability")


def _mean(stage: LabelStage, models: Sequence[Model], context: Context) -> Predictions:
    """The mean of what models say of the rows, of which no more than one is held at a time: tables can be large."""
    kind, ids = context.dataset.codec.kind, rows_to_label(stage, context.dataset).samples.ids
    total: np.ndarray | None = None
    for model in models:
        part = read_predictions(context.place(model), stage.rows, context.dataset.codec).aligned_to(ids)
        part = part.to_logit(kind) if stage.averaged == "logit" else part.to_probability(kind)
        total = part.values.astype(np.float64) if total is None else np.add(total, part.values, out=total)
    assert total is not None  # a teacher has members
    return replace(part, values=total / len(models))


def _chosen(stage: LabelStage, fold: int, answers: Predictions, context: Context) -> Chosen:
    kind, shut = context.dataset.codec.kind, _barred(stage, fold, context)
    if kind == "regression":
        none = np.zeros(len(answers))
        return choose(none.astype(np.int64), none, shut, per_class="all")
    classes, certainty = most_likely(answers.values, kind)
    return choose(classes, certainty, shut, confidence=stage.confidence, per_class=stage.balance_of(kind))


def _barred(stage: LabelStage, fold: int, context: Context) -> np.ndarray:
    """Object (m,) of str, why rows may not be learned from when this fold is held out; empty text where they may."""
    train, held_out = context.dataset.folds_of(_variant(stage, context.recipe)).split(fold)
    barred = barred_rows(stage, train, held_out, context.recipe.folds, context.dataset)
    if stage.complete_windows is None:
        return barred
    return without_incomplete(barred, recordings_of(rows_to_label(stage, context.dataset)), stage.complete_windows)


def _counts(stage: LabelStage, answers: Predictions, chosen: Chosen, dataset: Dataset) -> dict[str, Any]:
    """How many rows there were, are kept and are left out and why; the same for each class, with its mean label."""
    codec = dataset.codec
    names, classes = ["all"], np.zeros(len(answers), dtype=np.int64)
    if codec.kind != "regression":
        names = list(map(str, codec.classes or codec.outputs))
        classes = most_likely(answers.values, codec.kind)[0]
    by_class = counts_by_class(names, classes, chosen)
    if stage.complete_windows is None:
        by_class = by_class.drop(columns=INCOMPLETE)
    total = by_class.drop(columns="class").sum()
    left_out = {reason: int(total[reason]) for reason in REASONS if reason in total}
    whole = {name: int(total[name]) for name in ("rows", "kept", "learned")}
    records = by_class.to_dict("records")
    if codec.kind != "regression":
        means = mean_labels(answers.values, codec.kind, chosen)
        records = [{**record, "mean": mean} for record, mean in zip(records, means, strict=True)]
    return {**whole, "left_out": left_out, "classes": records}


def _told(stage: LabelStage, counts: dict[str, Any], context: Context) -> str:
    """What became of the rows, in words."""
    kept = f"learns from {counts['kept']:,} of {counts['rows']:,} rows, {counts['learned']:,} with repetitions"
    parts = [kept, *_reasons(counts), *_unlikely(stage, counts, context.dataset.codec.kind)]
    if without_comparison := not_compared(stage, context.recipe, context.dataset):
        parts.append(f"not compared with held-out rows by {', '.join(without_comparison)}")
    return "; ".join(parts)


def _unlikely(stage: LabelStage, counts: dict[str, Any], kind: str) -> list[str]:
    """The classes that no row which is kept is most likely of; several labels of a row are learned all the same."""
    names = ", ".join(one["class"] for one in counts["classes"] if not one["kept"])
    if not names:
        return []
    if kind != "multilabel":
        return [f"none of {names}"]
    learned = "their probabilities are" if stage.labels == "soft" else "what reaches 0.5 is"
    return [f"no row is most likely of {names}, {learned} learned all the same"]


def _reasons(counts: dict[str, Any]) -> list[str]:
    return [f"{number:,} {REASONS[reason]}" for reason, number in counts["left_out"].items() if number]


def _nothing_left(name: str, students: Students, counts: dict[str, Any]) -> DataError:
    fix = "lower `confidence`, or give more rows"
    if counts["left_out"][SEEN]:
        fix += "; `seen_groups: keep` lets rows of groups pass that the teacher trained on"
    if counts["left_out"].get(INCOMPLETE):
        fix += "; lower `complete_windows`"
    problem = f"stage {name!r}: no row is left to learn from when {students}"
    return DataError(problem, got=f"of {counts['rows']:,} rows {', '.join(_reasons(counts))}", fix=fix)
