"""The train stage: every member once per fold and seed; weights, out-of-fold and test predictions of each."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from outfold.data.dataset import Dataset, Rows
from outfold.data.predictions import Predictions
from outfold.data.target_space import refuse_negative
from outfold.errors import RecipeError, RunError
from outfold.models.weights import weights_identity
from outfold.settings.train import TrainSettings, TrainStage
from outfold.settings.view import ImageView
from outfold.stages.base import FORMAT, Context, Inference, Job, Model, Result, answered, digest
from outfold.stages.bounds import class_bounds, epoch_rows, key_of_bounds
from outfold.stages.fitting import fit_model
from outfold.stages.inputs import backgrounds_of, media_keys, pixels_name, sizes_of, table_encoder, vectors_of
from outfold.stages.outputs import learned_content, member_codec
from outfold.stages.predicting import predict_model, read_predictions
from outfold.stages.pseudo_rows import labels_job, most_pseudo_rows, recordings_of, rows_beside, rows_of_labels
from outfold.stages.sharing import predict_table
from outfold.stages.shown_rows import cells_read, keys_of_inputs, shown_rows
from outfold.stages.start import key_of_fit, start_model
from outfold.training.combining import MOST_BATCHES
from outfold.views.batches import training_batches
from outfold.work import megapixels

NOT_OF_ONE_MODEL = {"batch_size", "fold_weights"}
"""What of `predict` changes no prediction of a single model."""


def plan(name: str, stage: TrainStage, context: Context) -> list[Job]:
    """The jobs of all members, folds and seeds, each fit followed by its predictions."""
    members = {member: stage.member_settings(member) for member in stage.members}
    models = {member: models_of(name, stage, member, context.dataset) for member in members}
    for member, settings in members.items():
        _refuse_unfit(settings, models[member], context)
    return [
        job
        for member in members
        for model in models[member]
        for job in _model_jobs(model, members[member], context, predicts=not stage.training_only)
    ]


def _refuse_unfit(settings: TrainSettings, models: Sequence[Model], context: Context) -> None:
    """Refuse what only the data shows to be wrong, before anything trains."""
    fold_weights(settings, models)
    if settings.outputs.log:
        dataset = context.dataset
        refuse_negative(dataset.target, dataset.codec.outputs, dataset.train.samples.frame)


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
    dataset, test = context.dataset, not stage.training_only
    members = {
        member: collect_member(models_of(name, stage, member, dataset), settings, context, test=test)
        for member, settings in context.recipe.members_of(name).items()
    }
    return combined(members)


def predict(name: str, stage: TrainStage, inference: Inference) -> Result:
    """Predict rows that were not part of the run, as the test table is predicted.

    Raises:
        RunError: a member reads columns that only training tables have.
    """
    if stage.training_only:
        raise RunError(
            f"stage {name!r} reads columns that only training tables have, and predicts no other rows",
            fix="let a `serve` stage predict with inputs that an auxiliary stage predicts",
        )
    members = {}
    for member, settings in inference.recipe.members_of(name).items():
        rows = shown_rows(settings, inference.rows, inference.results, "test")
        members[member] = predict_member(inference.models[name, member], settings, rows, inference)
    return combined(members)


def collect_member(models: Sequence[Model], settings: TrainSettings, context: Context, *, test: bool) -> Result:
    """Folds put together, seeds and repeats averaged; for the test table all are averaged.

    Where nothing is held out, nothing is predicted out of fold.

    Args:
        models: of the member, whose predictions are there.
        settings: the member's.
        context: the run's.
        test: whether they predicted the test table, where there is one.
    """
    dataset = context.dataset
    codec, ids = member_codec(settings, dataset.codec), dataset.train.samples.ids[dataset.scored_rows]

    def read(step: str) -> list[Predictions]:
        return [read_predictions(context.place(model), step, codec) for model in models]

    oof = None
    if not dataset.folds_of(settings.folds).whole:
        oof = answered(Predictions.pooled(read("oof")).aligned_to(ids), codec.kind, dataset.answer)
    if dataset.test is None or not test:
        return Result(oof, None)
    mean = Predictions.mean(read("test"), weights=fold_weights(settings, models))
    return Result(oof, answered(mean, codec.kind, dataset.answer))


def predict_member(models: Sequence[Model], settings: TrainSettings, rows: Rows, inference: Inference) -> Result:
    """What a member's models say of rows that were not part of the run, averaged as for the test table."""
    codec = member_codec(settings, inference.codec)
    parts = inference.heard.get((models[0].stage, models[0].member))
    if parts is None:
        folders = [inference.folder / "stages" / model.place for model in models]
        parts = predict_table(folders, settings, codec, rows, inference.compute)
    mean = Predictions.mean(parts, weights=fold_weights(settings, models))
    return Result(None, answered(mean, codec.kind, inference.answer))


def models_of(name: str, stage: TrainStage, member: str, dataset: Dataset) -> list[Model]:
    """One model a seed and fold."""
    held_out = dataset.held_out_of(stage.member_settings(member).folds)
    return [Model(name, member, fold, seed) for seed in stage.seeds for fold in held_out]


def fold_weights(settings: TrainSettings, models: Sequence[Model]) -> list[float] | None:
    """How much each of a member's models counts for rows outside the folds; None where all count alike.

    Models of one fold, of several seeds, count alike.

    Raises:
        RecipeError: there are weights, but not one for each fold that is held out.
    """
    given, folds = settings.predict.fold_weights, sorted({model.fold for model in models})
    if not given:
        return None
    if len(given) != len(folds):
        raise RecipeError(
            f"stage {models[0].stage!r}, member {models[0].member!r}: predict.fold_weights does not fit the folds",
            got=f"{len(given)} weights",
            expected=f"one for each held-out fold: {', '.join(map(str, folds))}",
        )
    return [given[folds.index(model.fold)] for model in models]


def combined(members: dict[str, Result]) -> Result:
    """The plain mean of the members' probabilities or values."""
    oof = [result.oof for result in members.values() if result.oof is not None]
    test = [result.test for result in members.values() if result.test is not None]
    return Result(Predictions.mean(oof) if oof else None, Predictions.mean(test) if test else None, members)


def _model_jobs(model: Model, settings: TrainSettings, context: Context, *, predicts: bool) -> Iterator[Job]:
    """Fit, then predict the held-out rows, if any, then the test table; each is kept as long as its inputs stay."""
    dataset = context.dataset
    train, valid = dataset.folds_of(settings.folds).split(model.fold)
    size, views = settings.view.height_width, len(settings.predict.tta)
    labels, bounds = labels_job(model, context), class_bounds(settings, dataset)
    table_encoder(settings, dataset.train, train)  # rows that it cannot learn from are refused before anything trains
    fit_key = digest(
        FORMAT,
        fit_recipe(model, settings, context),
        model.seed,
        content_of(settings, cells_read(settings, context.recipe, training=True), dataset.train, train, valid),
        *learned_content(settings, dataset),
        train,
        valid,
        *([] if labels is None else [labels.key, *_labelled_cells(settings, labels, context)]),
        *key_of_bounds(bounds, train),
        *keys_of_inputs(settings, context.jobs, "oof"),
    )
    predict_recipe = settings.predict.model_dump(mode="json", exclude=NOT_OF_ONE_MODEL)
    folder = Path("stages") / model.place
    learned, beside = _rows_of_epoch(epoch_rows(bounds, train), labels, settings, context)
    fit_cost, oof_cost = fit_work(settings, learned, len(valid), beside), megapixels(len(valid) * views, size)
    yield Job(model.stage, "fit", fit_key, folder / "weights.safetensors", fit_cost, model)
    if len(valid):
        yield Job(model.stage, "oof", digest(fit_key, predict_recipe), folder / "oof.parquet", oof_cost, model)
    if dataset.test is not None and predicts:
        yield table_job(model.stage, model, settings, "test", dataset.test, fit_key, context)


def _rows_of_epoch(train: int, labels: Job | None, settings: TrainSettings, context: Context) -> tuple[int, int]:
    """How many rows an epoch deals out in batches, at most, and how many further ones every batch has."""
    if labels is None:
        return train, 0
    if settings.pseudo_batch is None:
        return train + most_pseudo_rows(labels, context), 0
    return train, rows_beside(labels, settings.pseudo_batch, context)


def table_job(
    stage: str, model: Model, settings: TrainSettings, step: str, rows: Rows, fit_key: str, context: Context
) -> Job:
    """The job in which a model predicts all rows of a table.

    Args:
        stage: name of the stage that asks for it.
        model: the model.
        settings: its member's.
        step: `test` or `unlabelled`, which table.
        rows: the table.
        fit_key: key of the model's fit job.
        context: the run's, with the jobs of the stages before.
    """
    predict_recipe = settings.predict.model_dump(mode="json", exclude=NOT_OF_ONE_MODEL)
    content = content_of(settings, cells_read(settings, context.recipe, training=False), rows, np.arange(len(rows)))
    key = digest(fit_key, predict_recipe, content, *keys_of_inputs(settings, context.jobs, step))
    cost = megapixels(len(rows) * len(settings.predict.tta), settings.view.height_width)
    return Job(stage, step, key, Path("stages") / model.place / f"{step}.parquet", cost, model)


def fit_work(settings: TrainSettings, train: int, valid: int, beside: int = 0) -> float:
    """Expected work of a fit job, in megapixels.

    Args:
        settings: the member's.
        train: rows that an epoch deals out in batches.
        valid: rows that judge.
        beside: further rows that every batch has.
    """
    total = 0.0
    batches = training_batches(np.arange(train), settings.batch_size, (0,))
    samples = sum(map(len, batches)) + beside * len(batches)
    for phase, size in zip(settings.phases, sizes_of(settings)[1:], strict=True):
        if settings.trains_on_features(phase):
            continue
        total += megapixels(samples * phase.epochs, size, training=True)
        total += megapixels(valid * settings.validations(phase), settings.view.height_width)
    learned = min(train, MOST_BATCHES * settings.batch_size)  # by batch norms, where there are any
    learned += beside * min(len(batches), MOST_BATCHES)
    return total + megapixels((learned + valid) * settings.keep.means, settings.view.height_width)


def fit_recipe(model: Model, settings: TrainSettings, context: Context) -> dict[str, object]:
    """What of the recipe decides the weights; how they predict later does not."""
    task = context.recipe.task
    start = start_model(model, settings, context.recipe, context.dataset)
    prepare, on_photos = context.recipe.data.prepare, isinstance(settings.view, ImageView)
    weights = {"target_weights": task.target_weights} if task.target_weights else {}
    only_stored = {"top"} if settings.keep.combine == "best" else set()  # further epochs on disk change no prediction
    outside: dict[str, Any] = {"predict": True, "folds": True, "keep": only_stored} | settings.unused()
    drawn = backgrounds_of(settings, context.dataset.train)
    sums = {"identities": task.identities} if settings.outputs.identities != "report" else {}
    return {
        "settings": settings.model_dump(mode="json", exclude=outside),
        "pretrained": weights_identity(settings.pretrained, context.dataset.root)
        if start is None
        else {"source": "stage", "key": key_of_fit(start, context)},
        "codec": member_codec(settings, context.dataset.codec).to_dict(),
        "watched": settings.keep.best or task.metric,
        **({"backgrounds": {pattern: one.keys for pattern, one in drawn.items()}} if drawn else {}),
        **({"score_class": task.score_class} if task.score_class is not None else {}),
        **weights,
        **sums,
        **({"pixels": pixels_name(settings, prepare)} if prepare is not None and on_photos else {}),
    }


def content_of(
    settings: TrainSettings, cells: Sequence[str], rows: Rows, *selections: np.ndarray
) -> list[list[object]]:
    """What a member sees of the selected rows: ids and media (or vectors), and cells in the columns of these keys."""
    selected, vectors = np.concatenate(selections), vectors_of(settings, rows)
    content = vectors.content if vectors is not None else media_keys(settings, rows) or [""] * len(rows)
    columns = [rows.columns[key] for key in cells]
    return [[str(rows.samples.ids[row]), content[row], *(column[row] for column in columns)] for row in selected]


def _labelled_cells(settings: TrainSettings, labels: Job, context: Context) -> list[object]:
    """What a member reads of the rows that a job labels beyond what its key knows: table inputs, and recordings."""
    rows, parts = rows_of_labels(labels, context), list[object]()
    if settings.pseudo_batch is not None and settings.pseudo_batch.recordings is not None:
        parts.append(recordings_of(rows))
    if settings.table is None:
        return parts
    content = content_of(settings, cells_read(settings, context.recipe, training=False), rows, np.arange(len(rows)))
    return [*parts, content, *keys_of_inputs(settings, context.jobs, "test")]
