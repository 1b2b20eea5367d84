"""The train stage: every member once per fold and seed; weights, out-of-fold and test predictions of each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions
from outfold.data.targets import TargetCodec
from outfold.models.weights import weights_identity
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages.base import FORMAT, Compute, Context, Job, Model, Result, digest
from outfold.stages.fitting import fit_model
from outfold.stages.inputs import sizes_of
from outfold.stages.predicting import predict_model, predict_rows, read_predictions
from outfold.views.batches import training_batches
from outfold.work import megapixels


def plan(name: str, stage: TrainStage, context: Context) -> list[Job]:
    """The jobs of all members, folds and seeds, each fit followed by its predictions."""
    return [
        job
        for member in stage.members
        for model in models_of(name, stage, member, context.dataset.held_out)
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


def predict(
    name: str, stage: TrainStage, folds: Sequence[int], rows: Rows, codec: TargetCodec, folder: Path, compute: Compute
) -> Predictions:
    """Predict rows that were not part of the run, as the test table is predicted.

    Args:
        name: the stage's name.
        stage: its settings.
        folds: the folds it held out.
        rows: rows that can be read.
        codec: between outputs and the user's labels.
        folder: the run folder; nothing else is read.
        compute: device, workers and who is told.
    """
    everything = np.arange(len(rows))
    members = {}
    for member in stage.members:
        settings = stage.member_settings(member)
        parts = [
            predict_rows(folder / "stages" / model.place, settings, codec, rows, everything, compute)
            for model in models_of(name, stage, member, folds)
        ]
        members[member] = Result(None, Predictions.mean(parts).to_probability(codec.kind))
    test = combined(members).test
    assert test is not None  # each member predicted
    return test


def models_of(name: str, stage: TrainStage, member: str, folds: Sequence[int]) -> list[Model]:
    """One model a seed and fold."""
    return [Model(name, member, fold, seed) for seed in stage.seeds for fold in folds]


def combined(members: dict[str, Result]) -> Result:
    """The plain mean of the members' probabilities or values."""
    oof = [result.oof for result in members.values() if result.oof is not None]
    test = [result.test for result in members.values() if result.test is not None]
    return Result(Predictions.mean(oof) if oof else None, Predictions.mean(test) if test else None, members)


def _model_jobs(model: Model, settings: TrainSettings, context: Context) -> Iterator[Job]:
    """Fit, then predict the held-out rows, then the test table; each is kept as long as its own inputs stay."""
    dataset = context.dataset
    train, valid = dataset.folds.split(model.fold)
    size, views = settings.view.height_width, len(settings.predict.tta)
    fit_key = digest(
        FORMAT,
        _fit_recipe(settings, context),
        model.seed,
        _content(dataset.train, train, valid),
        dataset.target,
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
        "settings": settings.model_dump(mode="json", exclude={"predict": True, "keep": {"top"}}),
        "pretrained": weights_identity(settings.weights, context.dataset.root),
        "codec": context.dataset.codec.to_dict(),
        "watched": settings.keep.best or task.metric,
        **weights,
    }


def _content(rows: Rows, *selections: np.ndarray) -> list[list[str]]:
    """Ids and media of the selected rows."""
    selected = np.concatenate(selections)
    content = rows.content or [""] * len(rows)
    return [[str(rows.samples.ids[row]), content[row]] for row in selected]


def _collect_member(name: str, stage: TrainStage, member: str, context: Context) -> Result:
    """Folds put together, seeds and repeats averaged; for the test table all are averaged."""
    dataset = context.dataset
    kind, ids = dataset.codec.kind, dataset.train.samples.ids[dataset.scored_rows]
    models = models_of(name, stage, member, dataset.held_out)
    oof = Predictions.pooled([_read(model, "oof", context) for model in models]).aligned_to(ids)
    test = [_read(model, "test", context) for model in models] if dataset.test is not None else []
    return Result(oof.to_probability(kind), Predictions.mean(test).to_probability(kind) if test else None)


def _read(model: Model, step: str, context: Context) -> Predictions:
    return read_predictions(context.place(model), step, context.dataset.codec)
