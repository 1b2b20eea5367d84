"""The serve stage: models that learned on given inputs predict as they will where another stage predicts the inputs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from outfold.data.dataset import Rows
from outfold.settings.serve import ServeStage
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages.base import FORMAT, Context, Inference, Job, Model, Result, digest
from outfold.stages.predicting import predict_job
from outfold.stages.shown_rows import cells_without, with_predicted
from outfold.stages.start import key_of_fit
from outfold.stages.train import NOT_OF_ONE_MODEL, collect_member, combined, content_of, models_of, predict_member
from outfold.work import megapixels


def plan(name: str, stage: ServeStage, context: Context) -> list[Job]:
    """For each of the train stage's models a prediction of its held-out rows, and one of the test table."""
    return [
        job
        for member, settings in context.recipe.members_of(stage.source).items()
        for model in _models_of(stage, member, context)
        for job in _jobs(name, model, settings, stage, context)
    ]


def perform(job: Job, stage: ServeStage, context: Context) -> None:
    """Let one of the train stage's models predict with predicted inputs."""
    assert job.model is not None  # every job of this stage has one
    model, inputs = replace(job.model, stage=stage.source), context.results[stage.inputs]
    settings = context.recipe.members_of(stage.source)[model.member]
    rows, predictions = _rows(job.step, model, settings, context), inputs.oof if job.step == "oof" else inputs.test
    assert predictions is not None  # the auxiliary stage predicts whatever its reader does
    shown = with_predicted(rows, predictions)
    predict_job(job, context.place(model), settings, shown, np.arange(len(rows)), context)


def collect(name: str, stage: ServeStage, context: Context) -> Result:
    """The mean over members of each member's predictions."""
    members = {}
    for member, settings in context.recipe.members_of(stage.source).items():
        models = [replace(model, stage=name) for model in _models_of(stage, member, context)]
        members[member] = collect_member(models, settings, context, test=True)
    return combined(members)


def predict(name: str, stage: ServeStage, inference: Inference) -> Result:
    """Predict rows that were not part of the run, with the inputs that the auxiliary stage predicts of them."""
    predictions = inference.results[stage.inputs].test
    assert predictions is not None  # it has just predicted them
    rows = with_predicted(inference.rows, predictions)
    members = {
        member: predict_member(inference.models[stage.source, member], settings, rows, inference)
        for member, settings in inference.recipe.members_of(stage.source).items()
    }
    return combined(members)


def _models_of(stage: ServeStage, member: str, context: Context) -> list[Model]:
    source = context.recipe.stages[stage.source]
    assert isinstance(source, TrainStage)  # a recipe that serves other stages is refused
    return models_of(stage.source, source, member, context.dataset)


def _jobs(name: str, model: Model, settings: TrainSettings, stage: ServeStage, context: Context) -> Iterator[Job]:
    """The predictions of one model: each is made anew when its weights, its rows or their inputs have changed."""
    predict_recipe = settings.predict.model_dump(mode="json", exclude=NOT_OF_ONE_MODEL)
    weights, own = key_of_fit(model, context), replace(model, stage=name)
    cells = cells_without(settings, context.recipe.task_of(stage.inputs).target)
    for step in ("oof", *(["test"] if context.dataset.test is not None else [])):
        rows = _rows(step, model, settings, context)
        inputs = [job.key for job in context.jobs if job.stage == stage.inputs and job.step == step]
        key = digest(FORMAT, weights, predict_recipe, content_of(settings, cells, rows, np.arange(len(rows))), inputs)
        cost = megapixels(len(rows) * len(settings.predict.tta), settings.view.height_width)
        yield Job(name, step, key, Path("stages") / own.place / f"{step}.parquet", cost, own)


def _rows(step: str, model: Model, settings: TrainSettings, context: Context) -> Rows:
    """The rows that a model held out, or the test table."""
    dataset = context.dataset
    if step == "oof":
        return dataset.train.take(dataset.folds_of(settings.folds).split(model.fold)[1])
    assert dataset.test is not None  # such jobs are planned only where there is such a table
    return dataset.test
