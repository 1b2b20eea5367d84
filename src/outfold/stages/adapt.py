"""The adapt stage: test-time training. Members of a train stage go on learning, with the rows to predict among theirs.

Those rows are labelled by the run's own predictions of them. Out of fold, the held-out rows of each fold play their
part: the model that held them out goes on with its own training rows and with these, labelled by models that held them
out too, so that no label of a row that it is judged on ever reaches it.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from outfold.data.predictions import Predictions
from outfold.errors import RecipeError
from outfold.files import known, read_json, write_json
from outfold.metrics import metric_of
from outfold.run_folder import WHOLE
from outfold.settings.adapt import AdaptStage
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages import train
from outfold.stages.adapting import GoingOn, go_on, seconds_to_go_on
from outfold.stages.base import FORMAT, Context, Inference, Job, Model, Result, answered, digest
from outfold.stages.bounds import class_bounds, key_of_bounds
from outfold.stages.outputs import learned_content, member_codec
from outfold.stages.predicting import predict_model, read_predictions
from outfold.stages.scope import context_for
from outfold.stages.sharing import perform_all, predict_table
from outfold.stages.shown_rows import cells_read, keys_of_inputs, shown_rows
from outfold.stages.start import key_of_fit
from outfold.work import megapixels

START = "start.json"
"""In the stage's folder: which model each member goes on from for the test table and for later rows."""


def plan(name: str, stage: AdaptStage, context: Context) -> list[Job]:
    """The choice of what to start from; then by member a training and its predictions for each fold and the test table.

    Raises:
        RecipeError: the fold to start from is not held out.
    """
    first = _start_job(name, stage, context)
    return [first, *(job for model in _models(name, stage, context) for job in _jobs(model, stage, first.key, context))]


def perform(job: Job, stage: AdaptStage, context: Context) -> None:
    """Choose what to start from, train one model, or let it predict."""
    if job.model is None:
        write_json(context.place(job) / START, {"key": job.key, "members": _choose_starts(job.stage, stage, context)})
        return
    settings = context.recipe.members_of(job.stage)[job.model.member]
    if job.step == "fit":
        go_on(job, context.place(_start_of(job.model, stage, context)), stage, settings, context)
    else:
        predict_model(job, job.model, settings, context)


def collect(name: str, stage: AdaptStage, context: Context) -> Result:
    """The mean over members of each member's predictions; nothing out of fold where the recipe wants none."""
    models = _models(name, stage, context)
    members = {}
    for member, settings in context.recipe.members_of(name).items():
        held_out = [model for model in models if model.member == member and model.fold != WHOLE]
        oof = train.collect_member(held_out, settings, context, test=False).oof if held_out else None
        whole = Model(name, member, WHOLE, stage.seed)
        members[member] = Result(oof, _test(whole, settings, context) if whole in models else None)
    return train.combined(members)


def predict(name: str, stage: AdaptStage, inference: Inference) -> Result:
    """Adapt to rows that were not part of the run, and predict them; what is trained for them is not kept.

    Tells {"event": "adapting", "stage", "rows", "models", "seconds", "megapixels"} before it begins. Several
    members go on in several processes, where there are some.
    """
    dataset, members = replace(inference.training(), test=inference.rows), inference.recipe.members_of(name)
    run = Context(inference.recipe, dataset, inference.folder, inference.compute)
    models = {member: Model(name, member, WHOLE, stage.seed) for member in members}
    starts = {member: _start_of(model, stage, run) for member, model in models.items()}
    seconds = sum(seconds_to_go_on(starts[member], settings, run) for member, settings in members.items())
    learned = len(dataset.train) + len(inference.rows)
    work = sum(train.fit_work(settings, learned, 0) for settings in members.values())
    told = {"rows": len(inference.rows), "models": len(members), "seconds": round(seconds, 1), "megapixels": work}
    inference.compute.emit({"event": "adapting", "stage": name, **told})
    results = {}
    with tempfile.TemporaryDirectory(prefix="outfold-") as folder:
        apart = replace(run, folder=Path(folder), results=_results(name, run, inference))
        perform_all(
            [
                GoingOn(models[member], run.place(starts[member]), stage, settings, apart)
                for member, settings in members.items()
            ],
            inference.compute,
        )
        for member, settings in members.items():
            results[member] = _predict(apart.place(models[member]), settings, apart, inference)
    return train.combined(results)


def summary(name: str, stage: AdaptStage, context: Context) -> dict[str, Any]:
    """By member, the model that goes on for the test table and for later rows."""
    return {"start": read_json(context.folder / "stages" / name / START)["members"]}


def _models(name: str, stage: AdaptStage, context: Context) -> list[Model]:
    """By member a model for each fold that is held out, and one for the test table."""
    dataset = context.dataset
    return [
        Model(name, member, fold, stage.seed)
        for member, settings in context.recipe.members_of(name).items()
        for fold in (
            *(dataset.held_out_of(settings.folds) if stage.out_of_fold else ()),
            *((WHOLE,) if dataset.test is not None else ()),
        )
    ]


def _start_job(name: str, stage: AdaptStage, context: Context) -> Job:
    task, members = context.recipe.task, context.recipe.members_of(name)
    for settings in members.values():
        held_out = context.dataset.held_out_of(settings.folds)
        if stage.start != "best" and stage.start not in held_out:
            problem = f"stage {name!r}: `start` names a fold that is not held out"
            raise RecipeError(problem, got=stage.start, expected=list(held_out))
    known_by = [job.key for job in context.jobs if job.stage == stage.source and job.step in ("fit", "oof")]
    judged_by = [task.metric, task.target_weights]
    key = digest(FORMAT, [stage.start, list(members)], judged_by, known_by)
    return Job(name, "start", key, Path("stages", name, START))


def _choose_starts(name: str, stage: AdaptStage, context: Context) -> dict[str, Any]:
    """By member the fold whose model has the best score on its held-out rows, or the one that the recipe names.

    Raises:
        RecipeError: no fold has a score.
    """
    metric = metric_of(context.recipe.task)
    chosen = {}
    for member, settings in context.recipe.members_of(name).items():
        scores = {model: _score(model, settings, context) for model in _sources(stage, member, context)}
        if stage.start == "best":
            judged = {model: score for model, score in scores.items() if not isnan(score)}
            if not judged:
                problem = f"stage {name!r}: {metric.name} of {member!r} is not defined on any fold, so none is the best"
                raise RecipeError(problem, fix="name a fold, e.g. `start: 0`")
            model = (max if metric.greater_is_better else min)(judged, key=lambda one: judged[one])
        else:
            model = next(one for one in scores if one.fold == stage.start)
        chosen[member] = {"fold": model.fold, "seed": model.seed, "score": known(scores[model])}
    return chosen


def _sources(stage: AdaptStage, member: str, context: Context) -> list[Model]:
    """The models of the train stage that a member may go on from: one a fold."""
    source = context.recipe.stages[stage.source]
    assert isinstance(source, TrainStage)  # a recipe that adapts other stages is refused
    models = train.models_of(stage.source, source, member, context.dataset)
    return [model for model in models if model.seed == source.seeds[0]]


def _score(model: Model, settings: TrainSettings, context: Context) -> float:
    """A model's score on the rows that it held out."""
    dataset, task = context.dataset, context.recipe.task
    rows = dataset.folds_of(settings.folds).split(model.fold)[1]
    codec = member_codec(settings, dataset.codec)
    oof = answered(read_predictions(context.place(model), "oof", codec), codec.kind, dataset.answer)
    values = oof.aligned_to(dataset.train.samples.ids[rows]).values
    return metric_of(task).function(dataset.answer_target[rows], values)


def _start_of(model: Model, stage: AdaptStage, context: Context) -> Model:
    """The model that one goes on from: that of its own fold, or the chosen one."""
    sources = _sources(stage, model.member, context)
    if model.fold != WHOLE:
        return next(one for one in sources if one.fold == model.fold)
    chosen = read_json(context.folder / "stages" / model.stage / START)["members"][model.member]
    return next(one for one in sources if one.fold == chosen["fold"])


def _jobs(model: Model, stage: AdaptStage, start_key: str, context: Context) -> Iterator[Job]:
    """Train one model, then let it predict the rows that it adapted to."""
    dataset, settings = context.dataset, context.recipe.members_of(model.stage)[model.member]
    if model.fold == WHOLE:
        assert dataset.test is not None  # such models are planned only where there is such a table
        step, learned, rows = "test", np.arange(len(dataset.train)), dataset.test
        start = start_key
    else:
        learned, valid = dataset.folds_of(settings.folds).split(model.fold)
        step, rows, start = "oof", dataset.train.take(valid), key_of_fit(_start_of(model, stage, context), context)
    given, told = (cells_read(settings, context.recipe, training=training) for training in (True, False))
    key = digest(
        FORMAT,
        train.fit_recipe(model, settings, context),
        [stage.seed, stage.weight],
        start,
        _label_keys(stage.labels, step, context),
        train.content_of(settings, given, dataset.train, learned),
        train.content_of(settings, told, rows, np.arange(len(rows))),
        *learned_content(settings, dataset),
        learned,
        *key_of_bounds(class_bounds(settings, dataset), learned),
        *(keys_of_inputs(settings, context.jobs, one) for one in dict.fromkeys(("oof", step))),
    )
    folder, views = Path("stages") / model.place, len(settings.predict.tta)
    work = train.fit_work(settings, len(learned) + len(rows), 0)
    yield Job(model.stage, "fit", key, folder / "weights.safetensors", work, model)
    predict_recipe = settings.predict.model_dump(mode="json", exclude=train.NOT_OF_ONE_MODEL)
    work = megapixels(len(rows) * views, settings.view.height_width)
    yield Job(model.stage, step, digest(key, predict_recipe), folder / f"{step}.parquet", work, model)


def _label_keys(labels: str, step: str, context: Context) -> list[Any]:
    """What decides the labels: the settings of the stages that they come from, and the keys of their jobs."""
    found = []
    for name in context.recipe.ancestors(labels):
        keys = [job.key for job in context.jobs if job.stage == name and (step == "test" or job.step != "test")]
        stage = context.recipe.stages[name]
        found.append([name, keys, None if isinstance(stage, TrainStage) else stage.model_dump(mode="json")])
    return found


def _test(model: Model, settings: TrainSettings, context: Context) -> Predictions:
    codec = member_codec(settings, context.dataset.codec)
    return answered(read_predictions(context.place(model), "test", codec), codec.kind, context.dataset.answer)


def _predict(folder: Path, settings: TrainSettings, context: Context, inference: Inference) -> Result:
    """What the model in a folder says of later rows."""
    codec, rows = member_codec(settings, inference.codec), shown_rows(settings, inference.rows, context.results, "test")
    (answer,) = predict_table([folder], settings, codec, rows, inference.compute)
    return Result(None, answered(answer, codec.kind, inference.answer))


def _results(name: str, run: Context, inference: Inference) -> dict[str, Result]:
    """What the stages before say of later rows, and of the training rows where members read that as inputs."""
    results, training = dict(inference.results), replace(run, dataset=replace(run.dataset, test=None))
    tables = [settings.table for settings in inference.recipe.members_of(name).values()]
    for auxiliary in {table.predicted_by for table in tables if table is not None and table.predicted_by is not None}:
        stage = inference.recipe.stages[auxiliary]
        assert isinstance(stage, TrainStage)  # a recipe whose inputs other stages predict is refused
        stored = train.collect(auxiliary, stage, context_for(auxiliary, training))
        results[auxiliary] = Result(stored.oof, inference.results[auxiliary].test)
    return results
