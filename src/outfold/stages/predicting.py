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
from outfold.inference.predict import Forward, Predictor
from outfold.models.network import InputStats, Network, build_network
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute, Context, Job, Model
from outfold.stages.inputs import inputs_of, width_of
from outfold.stages.outputs import member_codec
from outfold.stages.scoring import ACTIVATIONS
from outfold.stages.shown_rows import shown_rows
from outfold.training.checkpoints import load_weights
from outfold.training.device import make_fabric
from outfold.views.batches import Waiting
from outfold.views.inputs import Input
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
    shown = shown_rows(settings, source, context.results, job.step)
    predict_job(job, context.place(model), settings, shown, rows, context)


def predict_job(
    job: Job, network: Path, settings: TrainSettings, source: Rows, rows: np.ndarray, context: Context
) -> None:
    """Let a network predict some rows; leaves parquet and record in the job's folder.

    Args:
        job: names the folder and the step.
        network: folder of the fit job that left it.
        settings: its member's.
        source: rows as the member reads them.
        rows: int64 (n,), which of them.
        context: the run's.
    """
    folder, codec = context.place(job), member_codec(settings, context.dataset.codec)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{job.step}.json").unlink(missing_ok=True)
    tell_unfamiliar(network, source, rows, context.compute)
    predictions, pace = network_predictions(network, settings, codec, source, rows, context.compute)
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
    """How long such a prediction took; None where it was not made, or not written down."""
    record = folder / f"{step}.json"
    pace = read_json(record).get("pace") if record.exists() else None
    return None if pace is None else Pace(**pace)


@dataclass(frozen=True)
class Trained:
    """A model as its fit job left it: a network, and what feeds it and reads its answers.

    Attributes:
        network: with its weights.
        stats: what its input is normalised with.
        encoder: of its table inputs.
        space: what its outputs are, for a regression.
    """

    network: Network
    stats: InputStats
    encoder: TableEncoder | None
    space: TargetSpace | None


def load_trained(folder: Path, settings: TrainSettings, codec: TargetCodec) -> Trained:
    """The model that a fit job left in its folder.

    Args:
        folder: the fit job's folder; nothing else of the run is read.
        settings: the member's settings.
        codec: of the member's own outputs.
    """
    record = read_json(folder / "fit.json")
    encoder, space = _encoder_of(record), TargetSpace.of_record(record, codec.outputs)
    network, _ = build_network(
        settings,
        len(codec.outputs),
        space=space,
        table_inputs=width_of(encoder),
        vector_inputs=len(record["mean"]),
        pretrained=False,
    )
    load_weights(network, folder / "weights.safetensors")
    return Trained(network, InputStats(tuple(record["mean"]), tuple(record["std"])), encoder, space)


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
    network = ready_network(folder, settings, codec, compute)
    inputs = inputs_of(settings, network.trained.stats, network.trained.encoder, source)
    values, waiting = network.predict(inputs, rows, compute)
    loading = time.perf_counter() - started - waiting.elapsed
    pace = Pace(len(rows), round(loading, 3), round(waiting.elapsed, 3))
    return Predictions(source.samples.ids[rows], values, codec.outputs, network.space), pace


@dataclass(frozen=True)
class ReadyNetwork:
    """A trained network where it computes.

    Attributes:
        trained: as its fit job left it.
        forward: named inputs -> logits.
        settings: its member's.
        codec: of the member's own outputs.
    """

    trained: Trained
    forward: Forward
    settings: TrainSettings
    codec: TargetCodec

    @property
    def by_probability(self) -> bool:
        """Whether the views of a row, and later the models, are averaged as probabilities."""
        return self.settings.predict.average == "probability" and self.codec.kind != "regression"

    @property
    def space(self) -> Space:
        """What `predict` gives."""
        return "value" if self.codec.kind == "regression" else "probability" if self.by_probability else "logit"

    def predict(self, inputs: Mapping[str, Input], rows: np.ndarray, compute: Compute) -> tuple[np.ndarray, Waiting]:
        """Predict rows in their order.

        Args:
            inputs: by name, what the network reads.
            rows: int64 (n,), their places in what the inputs read.
            compute: where; is told of the work done.

        Returns:
            float32 (n, k), and the time spent waiting for data.
        """
        views, size = self.settings.predict.tta, self.settings.view.height_width
        predictor = Predictor(
            inputs,
            views=views,
            activation=ACTIVATIONS[self.codec.kind] if self.by_probability else None,
            batch_size=prediction_batch(self.settings),
            device=compute.device,
            workers=compute.workers,
        )
        values, waiting = predictor(
            self.forward,
            rows,
            advance=lambda n: compute.emit({"event": "work", "megapixels": megapixels(n * len(views), size)}),
        )
        return values if self.trained.space is None else self.trained.space.decode(values), waiting


def ready_network(folder: Path, settings: TrainSettings, codec: TargetCodec, compute: Compute) -> ReadyNetwork:
    """The network that a fit job left in its folder, where `compute` wants it."""
    trained = load_trained(folder, settings, codec)
    network = trained.network.to(memory_format=torch.channels_last)
    forward = make_fabric(compute.device, settings.precision).setup_module(network).eval()
    return ReadyNetwork(trained, forward, settings, codec)


def prediction_batch(settings: TrainSettings) -> int:
    """Rows in a batch when a member predicts."""
    return settings.predict.batch_size or 2 * settings.batch_size


def _encoder_of(record: Mapping[str, Any]) -> TableEncoder | None:
    """How the member's table inputs are encoded, from its fit.json."""
    return TableEncoder.from_dict(record["table"]) if record.get("table") else None
