"""The blend stage: one prediction from several members, with weights that no row they blend was used to learn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.dataset import Dataset
from outfold.data.predictions import Predictions, Space
from outfold.ensemble.methods import METHODS, Options, check_method
from outfold.ensemble.nested import Nested, nested
from outfold.ensemble.ranks import FEW_ROWS, RankReference, percent_ranks
from outfold.files import read_json, write_atomically, write_json
from outfold.metrics import Metric, metric_of
from outfold.settings.blend import BlendStage
from outfold.settings.task import TaskKind
from outfold.stages.base import FORMAT, Context, Emit, Inference, Job, Result, digest
from outfold.stages.blend_record import by_name, in_order, learning, scores
from outfold.stages.blend_sources import feeds, first_of, given_weights, members_of, source_names, values_of
from outfold.stages.cross_fit import Learned, groups_of, learned_by_fold, splits_of

WEIGHTS, REFERENCE = "weights.json", "reference.parquet"
"""In the stage's folder: weights and scores; what values are ranked among."""


def plan(name: str, stage: BlendStage, context: Context) -> list[Job]:
    """One job that finds the weights and scores the blend, and one that blends the test table where there is one.

    Raises:
        RecipeError: the method does not fit the task or its metric, or a member is blended twice.
    """
    task, folds = context.recipe.task.answer, context.dataset.folds
    check_method(stage.method, metric_of(task), task.kind)
    sources = source_names(name, stage, context.recipe)
    judged_by = [task.kind, task.metric, task.target_weights]
    upstream = [job for job in context.jobs if feeds(job, sources)]
    known = [job.key for job in upstream if job.step != "test"]
    settings = [stage.model_dump(mode="json"), sources]  # weights are kept by source
    key = digest(FORMAT, settings, judged_by, folds.fold, groups_of(context.dataset), known)
    jobs = [Job(name, "weights", key, Path("stages", name, WEIGHTS))]
    if context.dataset.test is not None:
        new = [job.key for job in upstream if job.step == "test"]
        jobs.append(Job(name, "test", digest(key, new), Path("stages", name, "test.parquet")))
    return jobs


def perform(job: Job, stage: BlendStage, context: Context) -> None:
    """Do one job."""
    (context.place(job) / f"{job.step}.json").unlink(missing_ok=True)
    if job.step == "weights":
        _find_weights(job, stage, context)
    else:
        _blend_test(job, stage, context)


def collect(name: str, stage: BlendStage, context: Context) -> Result:
    """The blend's predictions, and those of its members as they came."""
    names = source_names(name, stage, context.recipe)
    members = members_of(names, context.results)
    folder, dataset = context.folder / "stages" / name, context.dataset
    oof = None if dataset.folds.whole else _out_of_fold(read_json(folder / WEIGHTS), stage, names, members, dataset)
    if dataset.test is None:
        return Result(oof, None, members)
    like = first_of(members, "test")
    test = Predictions.from_frame(pd.read_parquet(folder / "test.parquet"), like.outputs, _space_of(stage, like))
    return Result(oof, test, members)


def predict(name: str, stage: BlendStage, inference: Inference) -> Result:
    """Blend rows that were not part of the run, with the weights that were learned on all of its rows."""
    members = members_of(source_names(name, stage, inference.recipe), inference.results)
    folder = inference.folder / "stages" / name
    return Result(None, _later(folder, stage, members, inference.answer.kind, inference.compute.emit), members)


def _out_of_fold(
    record: Mapping[str, Any], stage: BlendStage, names: Sequence[str], members: Mapping[str, Result], dataset: Dataset
) -> Predictions:
    """The blend of scored rows, each with the weights that were learned without its fold."""
    values, like = values_of(members, "oof"), first_of(members, "oof")
    if METHODS[stage.method].of_ranks:
        values = percent_ranks(values)
    prediction = np.empty_like(values[0])
    for weights, rows in _weights_by_rows(record, names, dataset):
        prediction[rows] = _combined(values[:, rows], weights, stage, dataset.answer.kind)
    return Predictions(like.ids, prediction, like.outputs, _space_of(stage, like))


def summary(name: str, stage: BlendStage, context: Context) -> dict[str, Any]:
    """What the run's summary tells of the stage besides its scores: method, weights, what learning them gained."""
    return summary_of(context.folder / "stages" / name)


def summary_of(folder: Path) -> dict[str, Any]:
    """The same, from the stage's folder."""
    return {name: value for name, value in read_json(folder / WEIGHTS).items() if name != "key"}


def learned_weights(name: str, stage: BlendStage, dataset: Dataset) -> list[Learned]:
    """Which rows each fold's weights are learned on and which rows they blend; none where nothing is learned."""
    return [] if METHODS[stage.method].learn is None else learned_by_fold(f"{name}/weights", dataset)


def _find_weights(job: Job, stage: BlendStage, context: Context) -> None:
    """Learn or take the weights, judge the blend, and keep what later rows need."""
    folder, dataset, metric = context.place(job), context.dataset, metric_of(context.recipe.task.answer)
    names = source_names(job.stage, stage, context.recipe)
    record: dict[str, Any] = {"key": job.key, "method": stage.method}
    if dataset.folds.whole:  # nothing to learn on, and nothing to score
        write_json(folder / WEIGHTS, record | {"weights": by_name(names, given_weights(stage, names))})
        return
    oof = values_of(members_of(names, context.results), "oof")
    target = dataset.answer_target[dataset.scored_rows]
    if METHODS[stage.method].of_ranks:
        _write_reference(folder, oof, [f"{name} {output}" for name in names for output in dataset.answer.outputs])
        oof = percent_ranks(oof)
        further = [metric_of(context.recipe.task.answer, name) for name in context.recipe.task.metrics]
        _say_unjudgeable(job.stage, further, context.compute.emit)
    if METHODS[stage.method].learn is None:
        weights = given_weights(stage, names)
        prediction = _combined(oof, weights, stage, dataset.answer.kind)
        record["weights"] = by_name(names, weights)
    else:
        found = _nested(oof, target, metric, stage, dataset)
        prediction = found.prediction
        record |= learning(found, names, splits_of(dataset))
        _say_unlearned(job.stage, found, dataset, context.compute.emit)
    # As the run's tables keep them: in float32, which clips probabilities of 0 and 1 elsewhere.
    judged = oof.astype(np.float32), prediction.astype(np.float32)
    record["scores"] = scores(*judged, target, metric, names, groups_of(dataset))
    write_json(folder / WEIGHTS, record)


def _blend_test(job: Job, stage: BlendStage, context: Context) -> None:
    """Blend the test table with the weights that were learned on all scored rows."""
    folder = context.place(job)
    members = members_of(source_names(job.stage, stage, context.recipe), context.results)
    blend = _later(folder, stage, members, context.dataset.answer.kind, context.compute.emit)
    write_atomically(folder / "test.parquet", lambda part: blend.to_frame("").to_parquet(part, index=False))
    write_json(folder / "test.json", {"key": job.key, "space": blend.space})


def _space_of(stage: BlendStage, like: Predictions) -> Space:
    """What a blend of such members is: ranks, or what the members are."""
    return "rank" if METHODS[stage.method].of_ranks else like.space


def _options(stage: BlendStage, kind: TaskKind) -> Options:
    return Options(kind, stage.power, stage.rounds, stage.bags, stage.seed)


def _combined(values: np.ndarray, weights: np.ndarray, stage: BlendStage, kind: TaskKind) -> np.ndarray:
    return METHODS[stage.method].combine(values, weights, _options(stage, kind))


def _nested(values: np.ndarray, target: np.ndarray, metric: Metric, stage: BlendStage, dataset: Dataset) -> Nested:
    options, learn = _options(stage, dataset.answer.kind), METHODS[stage.method].learn
    assert learn is not None  # asked for methods that learn
    return nested(
        values,
        target,
        list(splits_of(dataset).values()),
        metric,
        lambda members, truth, judged_by: learn(members, truth, judged_by, options),
        combine=lambda members, weights: _combined(members, weights, stage, options.kind),
        groups=groups_of(dataset),
    )


def _weights_by_rows(
    record: Mapping[str, Any], names: Sequence[str], dataset: Dataset
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights (m,) and the places among scored rows that they blend."""
    if "folds" not in record:
        return [(in_order(record["weights"], names), np.arange(len(dataset.scored_rows)))]
    splits = splits_of(dataset)
    return [(in_order(fold["weights"], names), splits[fold["fold"]][1]) for fold in record["folds"]]


def _later(folder: Path, stage: BlendStage, members: Mapping[str, Result], kind: TaskKind, emit: Emit) -> Predictions:
    """Blend rows without a fold: the test table's, or later ones."""
    record = read_json(folder / WEIGHTS)
    values, like = values_of(members, "test"), first_of(members, "test")
    if METHODS[stage.method].of_ranks:
        values = _ranked(values, folder, stage, emit)
    blend = _combined(values, in_order(record["weights"], list(members)), stage, kind)
    return Predictions(like.ids, blend, like.outputs, _space_of(stage, like))


def _write_reference(folder: Path, oof: np.ndarray, columns: Sequence[str]) -> None:
    """Keep each member's out-of-fold predictions, sorted by column."""
    known = np.concatenate([RankReference.of(one).values for one in oof], axis=1)
    table = pd.DataFrame(known.astype(np.float32), columns=list(columns))
    write_atomically(folder / REFERENCE, lambda part: table.to_parquet(part, index=False))


def _ranked(values: np.ndarray, folder: Path, stage: BlendStage, emit: Emit) -> np.ndarray:
    """Members (m, n, k) as ranks, within their own table or among the out-of-fold predictions."""
    if stage.ranks == "oof":
        known = np.split(pd.read_parquet(folder / REFERENCE).to_numpy(np.float64), len(values), axis=1)
        return np.stack([RankReference(part)(one) for part, one in zip(known, values, strict=True)])
    if values.shape[1] < FEW_ROWS:
        text = (
            f"{folder.name}: ranks within a table of {values.shape[1]} rows say where a row stands in this table, "
            f"not how likely it is; set `ranks: oof` in stage {folder.name!r} to rank among out-of-fold predictions"
        )
        emit({"event": "warning", "text": text})
    return percent_ranks(values)


def _say_unjudgeable(name: str, metrics: Sequence[Metric], emit: Emit) -> None:
    wrong = [metric.name for metric in metrics if not metric.by_order]
    if wrong:
        text = f"{name}: its predictions are ranks, so that {', '.join(wrong)} of it means nothing"
        emit({"event": "warning", "text": text})


def _say_unlearned(name: str, found: Nested, dataset: Dataset, emit: Emit) -> None:
    for fold, rows in zip(splits_of(dataset), found.learned_on, strict=True):
        if not rows:
            text = f"{name}: fold {fold} has no other scored rows to learn weights on; its members count alike"
            emit({"event": "warning", "text": text})
