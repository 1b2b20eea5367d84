"""What a run came to: scores with intervals, tables of predictions, and the summary that other tools read."""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from outfold.data.audio.clip_columns import clip_columns
from outfold.data.dataset import Dataset
from outfold.data.label_sets import SECONDARY, list_texts
from outfold.data.predictions import PREFIXES, Predictions
from outfold.data.targets import TargetCodec
from outfold.files import known, read_json, write_atomically, write_json
from outfold.metrics import metric_of
from outfold.run_folder import OOF, PREDICTIONS, TARGET, WHOLE
from outfold.runs.scores import (
    Judged,
    broken_sums,
    judged_rows,
    scores_by_target,
    scores_of_rows,
    scores_with_intervals,
)
from outfold.settings.adapt import AdaptStage
from outfold.settings.blend import BlendStage
from outfold.settings.label import LabelStage
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recipe import Stage
from outfold.settings.serve import ServeStage
from outfold.settings.submit import SubmitStage
from outfold.settings.task import Task
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages import adapt, blend, label, postprocess
from outfold.stages.base import Context, Model, Result, answered
from outfold.stages.outputs import member_codec
from outfold.stages.predicting import read_predictions

PACKAGES = ("outfold", "torch", "timm", "lightning-fabric", "numpy", "pandas", "opencv-python-headless", "scikit-learn")


def prediction_columns(predictions: Predictions) -> pd.DataFrame:
    """Id and predictions as the run's tables name them: `prob_<output>`, `rank_<output>` or `pred_<target>`."""
    return predictions.to_frame(PREFIXES[predictions.space])


def write_codecs(folder: Path, dataset: Dataset) -> None:
    """Write target.json: how to read oof.parquet, and beside it what models learned where that is more."""
    learned = {} if dataset.score_class is None else {"learned": dataset.codec.to_dict()}
    write_json(folder / TARGET, dataset.answer.to_dict() | learned)


def read_codecs(folder: Path) -> tuple[TargetCodec, TargetCodec]:
    """The codec of what models learned, and that of what is judged."""
    stored = read_json(folder / TARGET)
    return TargetCodec.from_dict(stored.get("learned", stored)), TargetCodec.from_dict(stored)


def write_tables(context: Context, result: Result) -> None:
    """Write oof.parquet and predictions.parquet; one that the final stage does not make is none of an earlier run."""
    dataset = context.dataset
    for name, made in ((OOF, result.oof), (PREDICTIONS, result.test)):
        if made is None:
            (context.folder / name).unlink(missing_ok=True)
    if result.oof is not None:
        rows = dataset.scored_rows
        truth = dataset.train.samples.frame[list(dataset.answer.columns)].iloc[rows].reset_index(drop=True)
        oof = prediction_columns(result.oof)
        variant = context.recipe.fold_variant_of(context.recipe.final_stage())
        oof.insert(1, "fold", dataset.folds_of(variant).fold[rows])
        clips = dataset.train.samples.clips
        told = [] if clips is None else [clip_columns(clips.take(rows))]
        if dataset.secondary is not None:
            texts = list_texts(dataset.secondary[rows], dataset.codec.outputs)
            told.append(pd.DataFrame({SECONDARY: pd.Series(texts, dtype="str")}))
        table = pd.concat([oof[["id", "fold"]], *told, truth, oof.drop(columns=["id", "fold"])], axis=1)
        write_atomically(context.folder / OOF, lambda part: table.to_parquet(part, index=False))
    if result.test is not None:
        test = prediction_columns(result.test)
        write_atomically(context.folder / PREDICTIONS, lambda part: test.to_parquet(part, index=False))


def stage_summary(name: str, context: Context, result: Result) -> dict[str, Any]:
    """What a stage came to: its file, or its scores: all, by fold, by member, and by model."""
    stage = context.recipe.stages[name]
    entry: dict[str, Any] = {"kind": stage.kind}
    if isinstance(stage, TrainStage) and stage.target:
        entry |= {"target": list(stage.target), "metric": context.recipe.task.metric}
    if isinstance(stage, SubmitStage):
        return entry | {"file": stage.file if result.test is not None else None}
    if isinstance(stage, LabelStage):
        return entry | label.summary(name, stage, context)
    if isinstance(stage, PostprocessStage):
        entry["postprocess"] = postprocess.summary(name, context)
    if isinstance(stage, AdaptStage):
        entry |= adapt.summary(name, stage, context)
    if result.oof is None:
        return entry | (_unscored(name, stage, context, result) if context.dataset.folds.whole else {})
    variant = context.recipe.fold_variant_of(name)
    judged = judged_rows(result.oof, context.dataset, context.dataset.folds_of(variant))
    entry |= _scores(judged, context)
    entry["folds"] = [_fold_summary(fold, variant, judged, context) for fold in context.dataset.held_out_of(variant)]
    entry |= _values_summary(judged, context.recipe.task)
    if isinstance(stage, TrainStage | AdaptStage):
        entry |= _train_summary(name, context, result)
    if isinstance(stage, ServeStage):
        entry |= _serve_summary(name, stage, context, result)
    if isinstance(stage, BlendStage):
        entry["blend"] = blend.summary(name, stage, context)
    return entry


def _unscored(name: str, stage: Stage, context: Context, result: Result) -> dict[str, Any]:
    """What there is to tell of a stage where nothing is held out."""
    nothing: dict[str, Any] = {"score": None, "scores": {}}
    if isinstance(stage, TrainStage):
        return nothing | _train_summary(name, context, result)
    return nothing | ({"blend": blend.summary(name, stage, context)} if isinstance(stage, BlendStage) else {})


def _values_summary(judged: Judged, task: Task) -> dict[str, Any]:
    """Of a regression: scores by target, and by how much declared sums are broken; what there is of it."""
    parts = {"targets": scores_by_target(judged, task), "identities": broken_sums(judged, task)}
    return {name: part for name, part in parts.items() if part}


def _train_summary(name: str, context: Context, result: Result) -> dict[str, Any]:
    """Time of all models, and each member's scores and models."""
    models = [job.model for job in context.jobs if job.stage == name and job.step == "fit" and job.model is not None]
    records = {model: read_json(context.place(model) / "fit.json") for model in models}
    members: dict[str, dict[str, Any]] = {}
    for member, part in result.members.items():
        settings = context.recipe.members_of(name)[member]
        own = {model: record for model, record in records.items() if model.member == member}
        if context.dataset.folds.whole:
            jobs = [_model_summary(model, settings, record, context) for model, record in own.items()]
            members[member] = {"score": None, "scores": {}, "jobs": jobs}
        elif part.oof is not None:
            judged = judged_rows(part.oof, context.dataset, context.dataset.folds_of(settings.folds))
            held_out = {model: record for model, record in own.items() if model.fold != WHOLE}
            jobs = [_model_summary(model, settings, record, context) for model, record in held_out.items()]
            whole = [{"fold": model.fold, "seed": model.seed} for model in own if model.fold == WHOLE]
            members[member] = _scores(judged, context) | {"jobs": jobs} | ({"test": whole[0]} if whole else {})
    seconds = round(sum(record["seconds"] for record in records.values()), 2)
    return {"seconds": seconds, "wait_share": _mean_wait(records), "members": members}


def _serve_summary(name: str, stage: ServeStage, context: Context, result: Result) -> dict[str, Any]:
    """Each member's scores and models, and what the same models score on the inputs that they learned with."""
    models = [job.model for job in context.jobs if job.stage == name and job.step == "oof" and job.model is not None]
    members = {}
    for member, settings in context.recipe.members_of(name).items():
        served = [{"fold": model.fold, "seed": model.seed} for model in models if model.member == member]
        judged = _judged(result.members[member], settings.folds, context)
        members[member] = _scores(judged, context) | {"jobs": [], "served": served}
    given = _judged(context.results[stage.source], context.recipe.fold_variant_of(name), context)
    score = known(metric_of(context.recipe.task.answer).function(given.target, given.values))
    return {"members": members, "given_inputs": {"stage": stage.source, "score": score}}


def _judged(result: Result, variant: str | None, context: Context) -> Judged:
    assert result.oof is not None  # asked for what predicts out of fold
    return judged_rows(result.oof, context.dataset, context.dataset.folds_of(variant))


def _scores(judged: Judged, context: Context) -> dict[str, Any]:
    scores = scores_with_intervals(judged, context.recipe.task, context.dataset)
    return {"score": scores[context.recipe.task.metric]["value"], "scores": scores}


def _fold_summary(fold: int, variant: str | None, judged: Judged, context: Context) -> dict[str, Any]:
    rows = context.dataset.folds_of(variant).split(fold)[1]
    scores = scores_of_rows(judged, context.recipe.task, context.dataset, rows)
    return {"fold": fold, "rows": len(rows), "score": scores[context.recipe.task.metric], "scores": scores}


def _model_summary(
    model: Model, settings: TrainSettings, record: Mapping[str, Any], context: Context
) -> dict[str, Any]:
    rows = context.dataset.folds_of(settings.folds).split(model.fold)[1]
    return {
        "fold": model.fold,
        "seed": model.seed,
        "score": _score_of_model(model, settings, rows, context) if len(rows) else None,
        **{name: record[name] for name in ("epochs", "best_epoch", "seconds", "wait_share")},
        **({"combined": record["combined"]} if "combined" in record else {}),
    }


def _score_of_model(model: Model, settings: TrainSettings, rows: np.ndarray, context: Context) -> float | None:
    """A model's score on the rows that it held out."""
    dataset, task, codec = context.dataset, context.recipe.task.answer, member_codec(settings, context.dataset.codec)
    predictions = answered(read_predictions(context.place(model), "oof", codec), codec.kind, dataset.answer)
    values = predictions.aligned_to(dataset.train.samples.ids[rows]).values
    return known(metric_of(task).function(dataset.answer_target[rows], values))


def _mean_wait(records: Mapping[Model, Mapping[str, Any]]) -> float:
    seconds = sum(record["seconds"] for record in records.values())
    waited = sum(record["seconds"] * record["wait_share"] for record in records.values())
    return round(waited / seconds, 4) if seconds else 0.0


def data_summary(dataset: Dataset) -> dict[str, Any]:
    """Counts of rows, classes and groups, and what was left out or looks wrong."""
    classes = {}
    if dataset.codec.kind != "regression":
        target = dataset.target
        if dataset.codec.kind == "binary":
            target = np.concatenate([1 - target, target], axis=1)
        names = dataset.codec.classes or dataset.codec.outputs
        classes = {str(name): int(count) for name, count in zip(names, target.sum(axis=0), strict=True)}
    return {
        "root": str(dataset.root),
        "recordings": dataset.train.samples.clips is not None,
        "rows": len(dataset.train),
        "test_rows": 0 if dataset.test is None else len(dataset.test),
        "unlabelled_rows": 0 if dataset.unlabelled is None else len(dataset.unlabelled),
        "dropped": [{"id": name, "reason": reason} for name, reason in dataset.dropped],
        "classes": classes,
        "groups": None if dataset.folds.groups is None else len(np.unique(dataset.folds.groups)),
        "warnings": list(dataset.warnings),
    }


def version_of(package: str) -> str | None:
    """The installed version, or None where the package came without its metadata."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment_summary(device: torch.device) -> dict[str, Any]:
    """Versions of what computed, and where."""
    versions = {name: version_of(name) for name in PACKAGES}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        **versions,
        "device": f"{device} ({name})",
        "threads": torch.get_num_threads(),
    }
