"""The postprocess stage: steps after the models, with numbers that no row they change was used to learn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.audio.rows import RowClips
from outfold.data.dataset import Dataset
from outfold.data.predictions import Predictions
from outfold.data.table import Samples
from outfold.files import known, read_json, write_atomically, write_json
from outfold.inference.learned_steps import check_metric, learn
from outfold.inference.postprocess import apply
from outfold.metrics import Metric, compare, metric_of
from outfold.settings.postprocess import PostprocessStage, Step
from outfold.settings.task import Task
from outfold.stages.base import FORMAT, Context, Emit, Inference, Job, Result, digest
from outfold.stages.blend_record import gain_of
from outfold.stages.blend_sources import members_of
from outfold.stages.cross_fit import Learned, groups_of, learned_by_fold, splits_of
from outfold.stages.rows_in_time import idle_steps, refuse_rows, scored_clips, units_of_gain

VALUES = "values.json"
"""In the stage's folder: the steps with their numbers, for later rows and by fold, and what they gained."""


def plan(name: str, stage: PostprocessStage, context: Context) -> list[Job]:
    """One job that finds the numbers and scores the steps, and one for the test table where there is one.

    Raises:
        RecipeError: a number is to be learned by a metric that nobody knows how to learn by, or on rows that tell
            nothing of it.
        DataError: folds tear recordings whose rows are to be looked at together.
    """
    task, dataset = context.recipe.task, context.dataset
    check_fits(stage, task)
    if stage.in_time:
        refuse_rows(name, stage, context.recipe, dataset, metric_of(task.answer))
    upstream = [job for job in context.jobs if _feeds(job, stage)]
    known_before = [job.key for job in upstream if job.step != "test"]
    settings = [_key_of(stage), task.identities, task.target, task.metric, task.target_weights]
    places = _places(stage, dataset.train.samples)
    key = digest(FORMAT, settings, dataset.folds.fold, groups_of(dataset), known_before, *places)
    jobs = [Job(name, "values", key, Path("stages", name, VALUES))]
    if dataset.test is not None:
        new = [job.key for job in upstream if job.step == "test"]
        test_key = digest(key, new, *_places(stage, dataset.test.samples))
        jobs.append(Job(name, "test", test_key, Path("stages", name, "test.parquet")))
    return jobs


def perform(job: Job, stage: PostprocessStage, context: Context) -> None:
    """Do one job."""
    (context.place(job) / f"{job.step}.json").unlink(missing_ok=True)
    if job.step == "values":
        _find_values(job, stage, context)
        return
    folder, rows = context.place(job), context.dataset.test
    assert rows is not None  # planned only with a test table
    _say_idle(job.stage, "test table", idle_steps(stage.steps, rows.samples.clips), context.compute.emit)
    test = _later(folder, _source(stage, context.results), rows.samples, context.recipe.task)
    write_atomically(folder / "test.parquet", lambda part: test.to_frame("").to_parquet(part, index=False))
    write_json(folder / "test.json", {"key": job.key, "space": test.space})


def collect(name: str, stage: PostprocessStage, context: Context) -> Result:
    """The predictions after all steps, and before them as the stage's only member."""
    folder, before, oof = context.folder / "stages" / name, _source(stage, context.results), None
    if before.oof is not None:
        values = _of_scored_rows(before.oof, context.dataset)
        record = read_json(folder / VALUES)
        changed = _by_rows(values.values, record, context.recipe.task, context.dataset)
        oof = Predictions(values.ids, changed, values.outputs, values.space)
    test = None
    if before.test is not None:
        frame = pd.read_parquet(folder / "test.parquet")
        test = Predictions.from_frame(frame, before.test.outputs, before.test.space)
    return Result(oof, test, {stage.source: before})


def predict(name: str, stage: PostprocessStage, inference: Inference) -> Result:
    """Change rows that were not part of the run, with the numbers that were learned on all of its rows."""
    before, samples = _source(stage, inference.results), inference.rows.samples
    _say_idle(name, "new rows", idle_steps(stage.steps, samples.clips), inference.compute.emit)
    later = _later(inference.folder / "stages" / name, before, samples, inference.recipe.task)
    return Result(None, later, {stage.source: before})


def summary(name: str, context: Context) -> dict[str, Any]:
    """What the run's summary tells of the stage besides its scores: numbers, also by fold, and what they gained."""
    record = read_json(context.folder / "stages" / name / VALUES)
    return {part: value for part, value in record.items() if part != "key"}


def check_fits(stage: PostprocessStage, task: Task) -> None:
    """Raise RecipeError where a number is to be learned by a metric that nobody knows how to learn by."""
    if stage.fitted and not stage.in_time:
        check_metric(metric_of(task))


def learned_values(name: str, stage: PostprocessStage, dataset: Dataset) -> list[Learned]:
    """Which rows each fold's numbers are learned on and which rows they change; none where nothing is learned."""
    return learned_by_fold(f"{name}/values", dataset) if stage.fitted else []


def _key_of(stage: PostprocessStage) -> dict[str, Any]:
    """The settings as keys have known them since before there were steps in time."""
    absent = set() if stage.in_time else {"boost", "smooth"}
    absent |= set() if stage.overlaps else {"overlap"}
    return stage.model_dump(mode="json", exclude={"steps": {"__all__": absent}})


def _places(stage: PostprocessStage, samples: Samples) -> list[np.ndarray]:
    """Where in recordings rows are, where that decides what the steps do."""
    if not stage.in_time or samples.clips is None:
        return []
    ends = [samples.clips.end_s] if stage.overlaps else []
    return [samples.clips.recording, samples.clips.start_s, *ends]


def _feeds(job: Job, stage: PostprocessStage) -> bool:
    """Whether a job's outcome is part of what the stage reads."""
    place, _, member = stage.source.partition("/")
    return job.stage == place and (not member or job.model is None or job.model.member == member)


def _source(stage: PostprocessStage, results: Mapping[str, Result]) -> Result:
    return members_of([stage.source], results)[stage.source]


def _of_scored_rows(oof: Predictions, dataset: Dataset) -> Predictions:
    return oof.aligned_to(dataset.train.samples.ids[dataset.scored_rows])


def _find_values(job: Job, stage: PostprocessStage, context: Context) -> None:
    """Learn or take the numbers, judge what they do, and keep what later rows need."""
    dataset, task = context.dataset, context.recipe.task
    before, metric = _source(stage, context.results).oof, metric_of(task.answer)
    record: dict[str, Any] = {"key": job.key, "steps": _written(stage.steps)}
    if before is not None:
        values, target = _of_scored_rows(before, dataset).values, dataset.answer_target[dataset.scored_rows]
        if stage.fitted:
            record |= _learned(values, target, stage.steps, task, metric, dataset)
            _say_unlearned(job.stage, record["folds"], context)
        changed, clips = _by_rows(values, record, task, dataset), scored_clips(dataset)
        record["scores"] = _scores(values, changed, target, metric, units_of_gain(stage, dataset))
        if stage.in_time:
            idle = idle_steps(stage.steps, clips)
            record |= {"notes": [f"step `{step}`: {why}" for step, why in idle]}
            record["scores"] |= _not_known(idle, stage.steps)
            _say_idle(job.stage, "out-of-fold rows", idle, context.compute.emit)
        if stage.fitted:
            in_sample = metric.function(target, _changed(values, record["steps"], task, clips))
            record["scores"] |= {"in_sample": known(in_sample), "optimism": _optimism(in_sample, record["scores"])}
    write_json(context.place(job) / VALUES, record)


def _learned(
    values: np.ndarray, target: np.ndarray, steps: Sequence[Step], task: Task, metric: Metric, dataset: Dataset
) -> dict[str, Any]:
    """The steps with numbers learned on all scored rows, and for each fold on those of the other folds."""
    clips = scored_clips(dataset)

    def on(rows: np.ndarray) -> list[dict[str, Any]]:
        seconds = None if clips is None else clips.take(rows)
        return _written(learn(values[rows], target[rows], steps, task, metric, seconds))

    folds = [
        {"fold": fold, "steps": on(train), "learned_on": len(train)} for fold, (train, _) in splits_of(dataset).items()
    ]
    return {"steps": on(np.arange(len(values))), "folds": folds}


def _scores(
    before: np.ndarray, after: np.ndarray, target: np.ndarray, metric: Metric, groups: np.ndarray | None
) -> dict[str, Any]:
    """The task's metric before and after the steps, and how sure it is that they gain."""
    comparison = compare(metric, target, before, after, groups)
    scores = {"before": known(comparison.a.value), "after": known(comparison.b.value)}
    return {"metric": metric.name, **scores, "gain": gain_of(comparison)}


def _not_known(idle: Sequence[tuple[str, str]], steps: Sequence[Step]) -> dict[str, Any]:
    """In place of a gain, why it is not known: no step could do on the scored rows what it is for."""
    if len(idle) < len(steps):
        return {}
    why = "; ".join(dict.fromkeys(why for _, why in idle))
    return {"gain": None, "gain_not_known": f"out of fold {why}"}


def _optimism(in_sample: float, scores: Mapping[str, Any]) -> float | None:
    """In-sample minus honest score, in the metric's own sense: what learning on the judged rows would pretend."""
    return None if scores["after"] is None else known(in_sample - scores["after"])


def _by_rows(values: np.ndarray, record: Mapping[str, Any], task: Task, dataset: Dataset) -> np.ndarray:
    """Scored rows (m, k) after the steps, float32, each with the numbers that were learned without its fold."""
    clips = scored_clips(dataset)
    if "folds" not in record:
        return _changed(values, record["steps"], task, clips)
    changed, splits = np.empty_like(values), splits_of(dataset)
    for fold in record["folds"]:
        rows = splits[fold["fold"]][1]
        seconds = None if clips is None else clips.take(rows)
        changed[rows] = _changed(values[rows], fold["steps"], task, seconds)
    return changed


def _later(folder: Path, before: Result, samples: Samples, task: Task) -> Predictions:
    """Rows without a fold, the test table's or later ones, after the steps."""
    assert before.test is not None  # every stage that can be read predicts
    predictions = before.test.aligned_to(samples.ids)
    values = _changed(predictions.values, read_json(folder / VALUES)["steps"], task, samples.clips)
    return Predictions(predictions.ids, values, predictions.outputs, predictions.space)


def _changed(
    values: np.ndarray, written: Sequence[Mapping[str, Any]], task: Task, clips: RowClips | None
) -> np.ndarray:
    """Values (n, k) after steps as they are written down."""
    return apply(values, [Step.model_validate(step) for step in written], task, clips)


def _written(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [step.model_dump(mode="json", exclude_unset=True) for step in steps]


def _say_unlearned(name: str, folds: Sequence[Mapping[str, Any]], context: Context) -> None:
    for fold in folds:
        if not fold["learned_on"]:
            text = f"{name}: fold {fold['fold']} has no other scored rows to learn numbers on; `fit` changes none of it"
            context.compute.emit({"event": "warning", "text": text})


def _say_idle(name: str, rows: str, idle: Sequence[tuple[str, str]], emit: Emit) -> None:
    """Tell of steps in time that cannot do what they are for on the rows of that name."""
    for step, why in idle:
        emit({"event": "warning", "text": f"{name}: step `{step}`, {rows}: {why}"})
