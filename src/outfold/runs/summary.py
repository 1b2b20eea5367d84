"""What a run came to: scores with intervals, tables of predictions, and the summary that other tools read."""

import math
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
import torch

from outfold.data.dataset import Dataset
from outfold.data.predictions import Predictions
from outfold.files import read_json, write_atomically
from outfold.metrics import interval, metric_of
from outfold.run_folder import OOF, PREDICTIONS
from outfold.settings.recipe import SubmitStage
from outfold.settings.train import TrainStage
from outfold.stages.base import Context, Model, Result
from outfold.stages.predicting import read_predictions
from outfold.stages.scoring import metric_names, scores_of

PACKAGES = ("outfold", "torch", "timm", "lightning-fabric", "numpy", "pandas", "opencv-python-headless", "scikit-learn")


def prediction_columns(predictions: Predictions) -> pd.DataFrame:
    """Id and predictions as the run's tables name them: `prob_<output>` or, for a regression, `pred_<target>`."""
    return predictions.to_frame("pred_" if predictions.space == "value" else "prob_")


def write_tables(context: Context, result: Result) -> None:
    """Write oof.parquet and, with a test table, predictions.parquet."""
    dataset = context.dataset
    if result.oof is not None:
        rows = dataset.scored_rows
        truth = dataset.train.samples.frame[list(dataset.codec.columns)].iloc[rows].reset_index(drop=True)
        oof = prediction_columns(result.oof)
        oof.insert(1, "fold", dataset.folds.fold[rows])
        table = pd.concat([oof[["id", "fold"]], truth, oof.drop(columns=["id", "fold"])], axis=1)
        write_atomically(context.folder / OOF, lambda part: table.to_parquet(part, index=False))
    if result.test is not None:
        test = prediction_columns(result.test)
        write_atomically(context.folder / PREDICTIONS, lambda part: test.to_parquet(part, index=False))


def scores_with_intervals(predictions: Predictions, context: Context) -> dict[str, dict[str, float | None]]:
    """By metric, the score of all out-of-fold rows and its 95% interval, over groups where there are groups."""
    task, dataset = context.recipe.task, context.dataset
    rows = dataset.scored_rows
    target, groups = dataset.target[rows], dataset.folds.groups
    values = predictions.aligned_to(dataset.train.samples.ids[rows]).values
    scores = {}
    for name in metric_names(task):
        metric = metric_of(task, name)
        low, high = interval(metric, target, values, groups=None if groups is None else groups[rows])
        scores[name] = {"value": known(metric.function(target, values)), "low": known(low), "high": known(high)}
    return scores


def known(value: float) -> float | None:
    """The value, or None (null in JSON) where it is not a number: an AUC of one class, an interval of one group."""
    return value if math.isfinite(value) else None


def stage_summary(name: str, context: Context, result: Result) -> dict[str, Any]:
    """Scores of one train stage: all, by fold, by member, and by job."""
    stage = context.recipe.stages[name]
    entry: dict[str, Any] = {"kind": stage.kind}
    if isinstance(stage, SubmitStage):
        entry["file"] = stage.file if result.test is not None else None
    if not isinstance(stage, TrainStage) or result.oof is None:
        return entry
    models = [job.model for job in context.jobs if job.stage == name and job.step == "fit" and job.model is not None]
    records = {model: read_json(context.place(model) / "fit.json") for model in models}
    entry |= _scores(result.oof, context)
    entry["seconds"] = round(sum(record["seconds"] for record in records.values()), 2)
    entry["wait_share"] = _mean_wait(records)
    entry["folds"] = [_fold_summary(fold, result.oof, context) for fold in context.dataset.held_out]
    entry["members"] = {
        member: _scores(part.oof, context)
        | {
            "jobs": [
                _model_summary(model, record, context) for model, record in records.items() if model.member == member
            ]
        }
        for member, part in result.members.items()
        if part.oof is not None
    }
    return entry


def _scores(predictions: Predictions, context: Context) -> dict[str, Any]:
    scores = scores_with_intervals(predictions, context)
    return {"score": scores[context.recipe.task.metric]["value"], "scores": scores}


def _fold_summary(fold: int, oof: Predictions, context: Context) -> dict[str, Any]:
    task, dataset = context.recipe.task, context.dataset
    rows, scored = dataset.folds.split(fold)[1], dataset.scored_rows
    values = oof.aligned_to(dataset.train.samples.ids[scored]).values[np.searchsorted(scored, rows)]
    found = scores_of(metric_names(task), task, dataset.target[rows], values)
    scores = {name: known(value) for name, value in found.items()}
    return {"fold": fold, "rows": len(rows), "score": scores[task.metric], "scores": scores}


def _model_summary(model: Model, record: Mapping[str, Any], context: Context) -> dict[str, Any]:
    task, dataset = context.recipe.task, context.dataset
    rows = dataset.folds.split(model.fold)[1]
    predictions = read_predictions(context.place(model), "oof", dataset.codec).to_probability(task.kind)
    values = predictions.aligned_to(dataset.train.samples.ids[rows]).values
    return {
        "fold": model.fold,
        "seed": model.seed,
        "score": known(metric_of(task).function(dataset.target[rows], values)),
        **{name: record[name] for name in ("epochs", "best_epoch", "seconds", "wait_share")},
    }


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
        "rows": len(dataset.train),
        "test_rows": 0 if dataset.test is None else len(dataset.test),
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
