"""Predictions of trained members: out of fold, for the test table, and for rows that come later, by one path."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions, Space
from outfold.data.table_encoding import TableEncoder
from outfold.data.target_space import TargetSpace
from outfold.data.targets import TargetCodec
from outfold.files import read_json, write_atomically, write_json
from outfold.inference.predict import Predictor
from outfold.models.network import InputStats, build_network
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute, Context, Job, Model
from outfold.stages.inputs import inputs_of, width_of
from outfold.stages.outputs import member_codec
from outfold.stages.scoring import ACTIVATIONS
from outfold.training.checkpoints import load_weights
from outfold.training.device import make_fabric
from outfold.work import megapixels


@dataclass(frozen=True)
class Pace:
    """How long a prediction took.

    Attributes:
        rows: how many were predicted.
        loading: seconds until the network was ready.
        seconds: for all rows, reading included.
    """

    rows: int
    loading: float
    seconds: float

    def at(self, rows: int) -> float:
        """Seconds for so many rows."""
        return self.loading + self.seconds / max(self.rows, 1) * rows


def predict_model(job: Job, model: Model, settings: TrainSettings, context: Context) -> None:
    """Predict the held-out rows (`oof`) or a whole table (`test`, `unlabelled`); leaves parquet and record."""
    dataset = context.dataset
    if job.step == "oof":
        source, rows = dataset.train, dataset.folds_of(settings.folds).split(model.fold)[1]
    else:
        table = dataset.test if job.step == "test" else dataset.unlabelled
        assert table is not None  # such jobs are planned only where there is such a table
        source, rows = table, np.arange(len(table))
    folder = context.place(job)
    (folder / f"{job.step}.json").unlink(missing_ok=True)
    codec = member_codec(settings, dataset.codec)
    tell_unfamiliar(folder, source, rows, context.compute)
    predictions, pace = network_predictions(folder, settings, codec, source, rows, context.compute)
    write_atomically(
        folder / f"{job.step}.parquet", lambda part: predictions.to_frame("").to_parquet(part, index=False)
    )
    write_json(folder / f"{job.step}.json", {"key": job.key, "space": predictions.space, "pace": asdict(pace)})


def read_predictions(folder: Path, step: str, codec: TargetCodec) -> Predictions:
    """The predictions that `predict_model` left in a model's folder for this step.

    Args:
        folder: the model's.
        step: oof, test or unlabelled.
        codec: of the member's own outputs; see `outfold.stages.outputs.member_codec`.
    """
    space = read_json(folder / f"{step}.json")["space"]
    return Predictions.from_frame(pd.read_parquet(folder / f"{step}.parquet"), codec.outputs, space)


def read_pace(folder: Path, step: str) -> Pace | None:
    """How long such a prediction took; None in runs that did not write it down."""
    pace = read_json(folder / f"{step}.json").get("pace")
    return None if pace is None else Pace(**pace)


def predict_rows(
    folder: Path, settings: TrainSettings, codec: TargetCodec, source: Rows, rows: np.ndarray, compute: Compute
) -> Predictions:
    """Predictions of some rows by the network that a fit job left, in this process.

    Args:
        folder: the fit job's folder; nothing else of the run is read.
        settings: the member's settings.
        codec: of the member's own outputs.
        source: rows that can be read.
        rows: int64 (n,), which of them.
        compute: device, workers and who is told.

    Returns:
        Logits or probabilities as the recipe averages them, or values in the user's units.
    """
    tell_unfamiliar(folder, source, rows, compute)
    return network_predictions(folder, settings, codec, source, rows, compute)[0]


def tell_unfamiliar(folder: Path, source: Rows, rows: np.ndarray, compute: Compute) -> None:
    """Tell of cells that hold what the rows that this network learned from never had."""
    encoder = _encoder_of(read_json(folder / "fit.json"))
    if encoder is not None and (unfamiliar := encoder.unfamiliar(source.columns, rows)):
        compute.emit({"event": "unfamiliar", "folder": str(folder), "rows": len(rows), "cells": unfamiliar})


def network_predictions(
    folder: Path, settings: TrainSettings, codec: TargetCodec, source: Rows, rows: np.ndarray, compute: Compute
) -> tuple[Predictions, Pace]:
    """As `predict_rows`, without a word on unfamiliar cells, and how long it took."""
    started = time.perf_counter()
    record = read_json(folder / "fit.json")
    encoder = _encoder_of(record)
    space = TargetSpace.of_record(record, codec.outputs)
    network, _ = build_network(
        settings,
        len(codec.outputs),
        space=space,
        table_inputs=width_of(encoder),
        vector_inputs=len(record["mean"]),
        pretrained=False,
    )
    load_weights(network, folder / "weights.safetensors")
    network.to(memory_format=torch.channels_last)
    model = make_fabric(compute.device, settings.precision).setup_module(network).eval()
    by_probability = settings.predict.average == "probability" and codec.kind != "regression"
    stats = InputStats(tuple(record["mean"]), tuple(record["std"]))
    predictor = Predictor(
        inputs_of(settings, stats, encoder, source),
        views=settings.predict.tta,
        activation=ACTIVATIONS[codec.kind] if by_probability else None,
        batch_size=prediction_batch(settings),
        device=compute.device,
        workers=compute.workers,
    )
    views, size = len(settings.predict.tta), settings.view.height_width
    values, waiting = predictor(
        model, rows, advance=lambda n: compute.emit({"event": "work", "megapixels": megapixels(n * views, size)})
    )
    if space is not None:
        values = space.decode(values)
    kind: Space = "value" if codec.kind == "regression" else "probability" if by_probability else "logit"
    loading = time.perf_counter() - started - waiting.elapsed
    pace = Pace(len(rows), round(loading, 3), round(waiting.elapsed, 3))
    return Predictions(source.samples.ids[rows], values, codec.outputs, kind), pace


def prediction_batch(settings: TrainSettings) -> int:
    """Rows in a batch when a member predicts."""
    return settings.predict.batch_size or 2 * settings.batch_size


def _encoder_of(record: Mapping[str, Any]) -> TableEncoder | None:
    """How the member's table inputs are encoded, from its fit.json."""
    return TableEncoder.from_dict(record["table"]) if record.get("table") else None
