"""The train stage: every member once per fold and seed; weights, out-of-fold and test predictions of each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions
from outfold.data.targets import TargetCodec
from outfold.files import read_json
from outfold.models.weights import weights_identity
from outfold.recipe.train import TrainSettings, TrainStage
from outfold.stages.base import FORMAT, Compute, Context, Job, Result, digest, job_place
from outfold.stages.fitting import fit_member
from outfold.stages.predicting import predict_member, predict_rows
from outfold.views.batches import training_batches
from outfold.work import megapixels


def plan(name: str, stage: TrainStage, context: Context) -> list[Job]:
    """The jobs of all members, folds and seeds, each fit followed by its predictions."""
    return [
        job
        for member in stage.members
        for seed in stage.seeds
        for fold in folds_of(context)
        for job in _member_jobs(name, stage, member, fold, seed, context)
    ]


def perform(job: Job, stage: TrainStage, context: Context) -> None:
    """Do one job."""
    assert job.member is not None  # every job of this stage belongs to a member
    settings = stage.member_settings(job.member)
    (fit_member if job.step == "fit" else predict_member)(job, settings, context)


def collect(name: str, stage: TrainStage, context: Context) -> Result:
    """The mean over members of each member's predictions."""
    members = {member: _collect_member(name, stage, member, context) for member in stage.members}
    return combined(members)


def predict(
    folder: Path, stage: TrainStage, folds: Sequence[int], codec: TargetCodec, rows: Rows, compute: Compute
) -> Predictions:
    """Predict rows that were not part of the run, as the test table is predicted.

    Args:
        folder: the stage's folder in the run.
        stage: its settings.
        folds: the folds it trained.
        codec: between outputs and the user's labels.
        rows: rows that can be read.
        compute: device, workers and who is told.
    """
    everything = np.arange(len(rows))
    members = {}
    for member in stage.members:
        settings = stage.member_settings(member)
        places = [folder.parent / job_place(folder.name, member, fold, seed) for seed in stage.seeds for fold in folds]
        parts = [predict_rows(place, settings, codec, rows, everything, compute) for place in places]
        members[member] = Result(None, Predictions.mean(parts).to_probability(codec.kind))
    test = combined(members).test
    assert test is not None  # each member predicted
    return test


def combined(members: dict[str, Result]) -> Result:
    """The plain mean of the members' probabilities or values."""
    oof = [result.oof for result in members.values() if result.oof is not None]
    test = [result.test for result in members.values() if result.test is not None]
    return Result(Predictions.mean(oof) if oof else None, Predictions.mean(test) if test else None, members)


def folds_of(context: Context) -> list[int]:
    """The folds, in order."""
    return [int(fold) for fold in np.unique(context.dataset.folds.fold)]


def _member_jobs(
    name: str, stage: TrainStage, member: str, fold: int, seed: int, context: Context
) -> Iterator[Job]:
    settings, dataset = stage.member_settings(member), context.dataset
    train, valid = np.flatnonzero(dataset.folds.fold != fold), np.flatnonzero(dataset.folds.fold == fold)
    size, views = settings.view.height_width, len(settings.predict.tta)
    fit_key = digest(FORMAT, _fit_recipe(settings, context), seed, _content(dataset.train, train, valid),
                     dataset.target, dataset.weight if dataset.weight is not None else "", train, valid)
    predict_recipe = settings.predict.model_dump(mode="json", exclude={"batch_size"})
    yield Job(name, "fit", fit_key, fit_work(settings, len(train), len(valid)), member, fold, seed)
    yield Job(name, "oof", digest(fit_key, predict_recipe), megapixels(len(valid) * views, size), member, fold, seed)
    if dataset.test is not None:
        everything = np.arange(len(dataset.test))
        key = digest(fit_key, predict_recipe, _content(dataset.test, everything))
        yield Job(name, "test", key, megapixels(len(dataset.test) * views, size), member, fold, seed)


def fit_work(settings: TrainSettings, train: int, valid: int) -> float:
    """Expected work of a fit job, in megapixels."""
    total = 0.0
    for phase in settings.phases:
        size = phase.size or settings.view.size
        height_width = (size, size) if isinstance(size, int) else size
        samples = sum(map(len, training_batches(np.arange(train), settings.batch_size, (0,))))
        epoch = megapixels(samples, height_width, training=True) + megapixels(valid, settings.view.height_width)
        total += epoch * phase.epochs
    return total


def _fit_recipe(settings: TrainSettings, context: Context) -> dict[str, object]:
    """What of the recipe decides the weights; how they predict later does not."""
    task = context.recipe.task
    return {
        "settings": settings.model_dump(mode="json", exclude={"predict"}),
        "pretrained": weights_identity(settings.weights, context.dataset.root),
        "codec": context.dataset.codec.to_dict(),
        "metrics": [task.metric, *task.metrics],
    }


def _content(rows: Rows, *selections: np.ndarray) -> list[list[str]]:
    """Ids and media of the selected rows."""
    selected = np.concatenate(selections)
    content = rows.content or [""] * len(rows)
    return [[str(rows.samples.ids[row]), content[row]] for row in selected]


def _collect_member(name: str, stage: TrainStage, member: str, context: Context) -> Result:
    kind, ids = context.dataset.codec.kind, context.dataset.train.samples.ids
    oof = [
        Predictions.concat([_read(Job(name, "oof", "", 0.0, member, fold, seed), context) for fold in folds_of(context)])
        for seed in stage.seeds
    ]
    test = []
    if context.dataset.test is not None:
        places = [(fold, seed) for seed in stage.seeds for fold in folds_of(context)]
        test = [_read(Job(name, "test", "", 0.0, member, fold, seed), context) for fold, seed in places]
    return Result(
        Predictions.mean([part.aligned_to(ids) for part in oof]).to_probability(kind),
        Predictions.mean(test).to_probability(kind) if test else None,
    )


def _read(job: Job, context: Context) -> Predictions:
    folder = context.place(job)
    space = read_json(folder / f"{job.step}.json")["space"]
    frame = pd.read_parquet(folder / f"{job.step}.parquet")
    return Predictions.from_frame(frame, context.dataset.codec.outputs, space)
