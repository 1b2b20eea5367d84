"""The train stage: every member once per fold and seed; weights, out-of-fold and test predictions of each."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from outfold.data.dataset import Dataset, Rows
from outfold.data.predictions import Predictions
from outfold.models.weights import weights_identity
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages.base import FORMAT, Context, Inference, Job, Model, Result, answered, digest
from outfold.stages.fitting import fit_model
from outfold.stages.inputs import sizes_of
from outfold.stages.outputs import member_codec, member_target
from outfold.stages.predicting import predict_model, predict_rows, read_predictions
from outfold.views.batches import training_batches
from outfold.work import megapixels


def plan(name: str, stage: TrainStage, context: Context) -> list[Job]:
    """The jobs of all members, folds and seeds, each fit followed by its predictions."""
    return [
        job
        for member in stage.members
        for model in models_of(name, stage, member, context.dataset)
        for job in _model_jobs(model, stage.member_settings(member), context)
    ]


def perform(job: Job, stage: TrainStage, context: Context) -> None:
    """Do one job."""
    assert job.model is not None  # every job of this stage has one
    settings = stage.member_settings(job.model.member)
    if job.step == "fit":
        fit_model(job, job.model, settings, context)
    else:
        predict_model(job, job.model, settings, context)


def collect(name: str, stage: TrainStage, context: Context) -> Result:
    """The mean over members of each member's predictions."""
    members = {member: _collect_member(name, stage, member, context) for member in stage.members}
    return combined(members)


def predict(name: str, stage: TrainStage, inference: Inference) -> Result:
    """Predict rows that were not part of the run, as the test table is predicted."""
    rows, compute, folder = inference.rows, inference.compute, inference.folder / "stages"
    members = {}
    for member in stage.members:
        settings = stage.member_settings(member)
        codec = member_codec(settings, inference.codec)
        parts = [
            predict_rows(folder / model.place, settings, codec, rows, np.arange(len(rows)), compute)
            for model in inference.models[name, member]
        ]
        members[member] = Result(None, answered(Predictions.mean(parts), codec.kind, inference.answer))
    return combined(members)


def models_of(name: str, stage: TrainStage, member: str, dataset: Dataset) -> list[Model]:
    """One model a seed and fold."""
    held_out = dataset.held_out_of(stage.member_settings(member).folds)
    return [Model(name, member, fold, seed) for seed in stage.seeds for fold in held_out]


def combined(members: dict[str, Result]) -> Result:
    """The plain mean of the members' probabilities or values."""
    oof = [result.oof for result in members.values() if result.oof is not None]
    test = [result.test for result in members.values() if result.test is not None]
    return Result(Predictions.mean(oof) if oof else None, Predictions.mean(test) if test else None, members)


def _model_jobs(model: Model, settings: TrainSettings, context: Context) -> Iterator[Job]:
    """Fit, then predict the held-out rows, then the test table; each is kept as long as its own inputs stay."""
    dataset = context.dataset
    train, valid = dataset.folds_of(settings.folds).split(model.fold)
    size, views = settings.view.height_width, len(settings.predict.tta)
    fit_key = digest(
        FORMAT,
        _fit_recipe(settings, context),
        model.seed,
        _content(dataset.train, train, valid),
        member_target(settings, dataset),
        dataset.weight if dataset.weight is not None else "",
        train,
        valid,
    )
    predict_recipe = settings.predict.model_dump(mode="json", exclude={"batch_size"})
    folder = Path("stages") / model.place
    fit_cost, oof_cost = fit_work(settings, len(train), len(valid)), megapixels(len(valid) * views, size)
    yield Job(model.stage, "fit", fit_key, folder / "weights.safetensors", fit_cost, model)
    yield Job(model.stage, "oof", digest(fit_key, predict_recipe), folder / "oof.parquet", oof_cost, model)
    if dataset.test is not None:
        everything = np.arange(len(dataset.test))
        key = digest(fit_key, predict_recipe, _content(dataset.test, everything))
        cost = megapixels(len(dataset.test) * views, size)
        yield Job(model.stage, "test", key, folder / "test.parquet", cost, model)


def fit_work(settings: TrainSettings, train: int, valid: int) -> float:
    """Expected work of a fit job, in megapixels."""
    total = 0.0
    for phase, size in zip(settings.phases, sizes_of(settings)[1:], strict=True):
        if settings.trains_on_features(phase):
            continue
        samples = sum(map(len, training_batches(np.arange(train), settings.batch_size, (0,))))
        epoch = megapixels(samples, size, training=True) + megapixels(valid, settings.view.height_width)
        total += epoch * phase.epochs
    return total


def _fit_recipe(settings: TrainSettings, context: Context) -> dict[str, object]:
    """What of the recipe decides the weights; how they predict later does not."""
    task = context.recipe.task
    weights = {"target_weights": task.target_weights} if task.target_weights else {}
    return {
        "settings": settings.model_dump(mode="json", exclude={"predict": True, "keep": {"top"}, "folds": True}),
        "pretrained": weights_identity(settings.weights, context.dataset.root),
        "codec": member_codec(settings, context.dataset.codec).to_dict(),
        "watched": settings.keep.best or task.metric,
        **({"score_class": task.score_class} if task.score_class is not None else {}),
        **weights,
    }


def _content(rows: Rows, *selections: np.ndarray) -> list[list[str]]:
    """Ids and media of the selected rows."""
    selected = np.concatenate(selections)
    content = rows.content or [""] * len(rows)
    return [[str(rows.samples.ids[row]), content[row]] for row in selected]


def _collect_member(name: str, stage: TrainStage, member: str, context: Context) -> Result:
    """Folds put together, seeds and repeats averaged; for the test table all are averaged."""
    dataset, settings = context.dataset, stage.member_settings(member)
    codec, ids = member_codec(settings, dataset.codec), dataset.train.samples.ids[dataset.scored_rows]
    models = models_of(name, stage, member, dataset)

    def read(step: str) -> list[Predictions]:
        return [read_predictions(context.place(model), step, codec) for model in models]

    oof = answered(Predictions.pooled(read("oof")).aligned_to(ids), codec.kind, dataset.answer)
    if dataset.test is None:
        return Result(oof, None)
    return Result(oof, answered(Predictions.mean(read("test")), codec.kind, dataset.answer))
