"""What a run came to: scores with intervals, tables of predictions, and the summary that other tools read."""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from outfold.data.dataset import Dataset
from outfold.data.predictions import Predictions
from outfold.files import read_json, write_atomically
from outfold.metrics import get_metric, interval, score
from outfold.recipe.train import TrainStage
from outfold.run.folder import OOF, PREDICTIONS
from outfold.stages.base import Context, Job, Result
from outfold.stages.scoring import metric_names

PACKAGES = ("outfold", "torch", "timm", "lightning-fabric", "numpy", "pandas", "opencv-python-headless", "scikit-learn")


def prediction_columns(predictions: Predictions) -> pd.DataFrame:
    """Id and predictions as the run's tables name them: `prob_<output>` or, for a regression, `pred_<target>`."""
    return predictions.to_frame("pred_" if predictions.space == "value" else "prob_")


def write_tables(context: Context, result: Result) -> None:
    """Write oof.parquet and, with a test table, predictions.parquet."""
    dataset = context.dataset
    if result.oof is not None:
        truth = dataset.train.samples.frame[list(dataset.codec.columns)].reset_index(drop=True)
        oof = prediction_columns(result.oof)
        oof.insert(1, "fold", dataset.folds.fold)
        table = pd.concat([oof[["id", "fold"]], truth, oof.drop(columns=["id", "fold"])], axis=1)
        write_atomically(context.folder / OOF, lambda part: table.to_parquet(part, index=False))
    if result.test is not None:
        test = prediction_columns(result.test)
        write_atomically(context.folder / PREDICTIONS, lambda part: test.to_parquet(part, index=False))


def scores_with_intervals(predictions: Predictions, context: Context) -> dict[str, dict[str, float]]:
    """By metric, the score of all out-of-fold rows and its 95% interval, over groups where there are groups."""
    task, dataset = context.recipe.task, context.dataset
    values = predictions.aligned_to(dataset.train.samples.ids).values
    scores = {}
    for name in metric_names(task):
        metric = get_metric(name, task.kind)
        low, high = interval(metric, dataset.target, values, groups=dataset.folds.groups)
        scores[name] = {"value": score(name, task.kind, dataset.target, values), "low": low, "high": high}
    return scores


def stage_summary(name: str, context: Context, result: Result) -> dict[str, Any]:
    """Scores of one train stage: all, by fold, by member, and by job."""
    stage = context.recipe.stages[name]
    entry: dict[str, Any] = {"kind": stage.kind}
    if not isinstance(stage, TrainStage) or result.oof is None:
        return entry
    jobs = [job for job in context.jobs if job.stage == name and job.step == "fit"]
    records = {job: read_json(context.place(job) / "fit.json") for job in jobs}
    entry |= _scores(result.oof, context)
    entry["seconds"] = round(sum(record["seconds"] for record in records.values()), 2)
    entry["wait_share"] = _mean_wait(records)
    entry["folds"] = [_fold_summary(int(fold), result.oof, context) for fold in np.unique(context.dataset.folds.fold)]
    entry["members"] = {
        member: _scores(part.oof, context)
        | {"jobs": [_job_summary(job, record, context) for job, record in records.items() if job.member == member]}
        for member, part in result.members.items()
        if part.oof is not None
    }
    return entry


def _scores(predictions: Predictions, context: Context) -> dict[str, Any]:
    scores = scores_with_intervals(predictions, context)
    return {"score": scores[context.recipe.task.metric]["value"], "scores": scores}


def _fold_summary(fold: int, oof: Predictions, context: Context) -> dict[str, Any]:
    task, dataset = context.recipe.task, context.dataset
    rows = np.flatnonzero(dataset.folds.fold == fold)
    values = oof.values[rows]
    scores = {name: score(name, task.kind, dataset.target[rows], values) for name in metric_names(task)}
    return {"fold": fold, "rows": len(rows), "score": scores[task.metric], "scores": scores}


def _job_summary(job: Job, record: Mapping[str, Any], context: Context) -> dict[str, Any]:
    predictions = pd.read_parquet(context.place(job) / "oof.parquet")
    task, dataset = context.recipe.task, context.dataset
    space = read_json(context.place(job) / "oof.json")["space"]
    values = Predictions.from_frame(predictions, dataset.codec.outputs, space).to_probability(task.kind)
    rows = np.flatnonzero(dataset.folds.fold == job.fold)
    aligned = values.aligned_to(dataset.train.samples.ids[rows]).values
    return {
        "fold": job.fold,
        "seed": job.seed,
        "score": score(task.metric, task.kind, dataset.target[rows], aligned),
        **{name: record[name] for name in ("epochs", "best_epoch", "seconds", "wait_share")},
    }


def _mean_wait(records: Mapping[Job, Mapping[str, Any]]) -> float:
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


def environment_summary(device: torch.device) -> dict[str, Any]:
    """Versions of what computed, and where."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "python": platform.python_version(),
        **versions,
        "device": f"{device} ({name})",
        "threads": torch.get_num_threads(),
    }
