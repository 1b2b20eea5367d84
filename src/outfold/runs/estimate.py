"""What a run will cost, measured: a few steps of every member on made-up photos, times the steps of the run."""

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from outfold.data.folds import FoldTable
from outfold.data.table_columns import keys_of
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.network import TABLE, VECTORS, WAVEFORM, Network, build_network
from outfold.runs.loads import Load, Rows, loads_of
from outfold.runs.prepared import stored_bytes
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.learning import Phase
from outfold.settings.recipe import Recipe
from outfold.settings.task import Task
from outfold.settings.train import TrainSettings
from outfold.settings.view import EmbeddingView
from outfold.stages.inputs import (
    photo_key,
    photo_members,
    photo_settings,
    photo_side,
    sizes_of,
    sound_key,
    sound_members,
    vectors_key,
)
from outfold.training.averaging import BatchNorm
from outfold.training.combining import MOST_BATCHES
from outfold.training.device import make_fabric, set_up_optimizer
from outfold.training.guards import explained_memory
from outfold.training.losses import build_loss
from outfold.training.optim import build_optimizer, parameter_groups
from outfold.views.audio.input import arranged, pictures_of
from outfold.views.inputs import Size

STATE_COPIES = 3
"""Weights and two moments of AdamW, on disk while a model trains, beside the epochs that are kept."""

VECTOR_WIDTH = 1024
"""Length of the vectors that heads are measured on; hardly any of a head's time is in its arithmetic."""

WARM_UP, MEASURED = 1, 2
"""Steps before and during a measurement."""


@dataclass(frozen=True)
class Estimate:
    """Cost of a whole run from nothing.

    Attributes:
        seconds: time for all jobs, one after the other; reading photos for the first time comes on top.
        memory: bytes of the fullest moment: of the process on a CPU, of the device on a GPU.
        cache: bytes of the photo cache or of stored photos, an upper bound where photos differ in shape.
        disk: bytes of the run folder at its fullest.
        models: how many networks are trained.
    """

    seconds: float
    memory: int
    cache: int
    disk: int
    models: int


def estimate(
    recipe: Recipe,
    folds: FoldTable,
    test_rows: int,
    *,
    device: torch.device,
    aspect: float = 1.5,
    length_s: float = 0.0,
    unlabelled_rows: int = 0,
    classes: np.ndarray | None = None,
    of_recording: Mapping[str, float] | None = None,
) -> Estimate:
    """Measure a few steps of every member and multiply.

    Args:
        recipe: the effective recipe.
        folds: of the training rows; which of them are held out says the recipe.
        test_rows: rows of the test table.
        device: where the run would compute.
        aspect: longer side of a typical photo over its shorter one.
        length_s: how long a row's recording lasts on average, in seconds.
        unlabelled_rows: rows of `data.unlabelled`; students are taken to learn from all that they may.
        classes: int64, the class of each training row, where members cap or repeat the rows of a class.
        of_recording: by table, `test` or `unlabelled`, the mean rows of a recording, where batches have whole ones.

    Raises:
        TrainingError: memory runs out in a step.
    """
    splits = [folds.split(number) for number in recipe.folds.only or folds.numbers]
    rows = Rows(len(folds), splits, test_rows, unlabelled_rows, classes, of_recording or {})
    total = len(folds) + test_rows + unlabelled_rows
    seconds, weights, models = _embedding_seconds(recipe, total, device), 0, 0
    for name, stage in recipe.stages.items():
        for settings in recipe.members_of(name).values():
            loads = loads_of(name, stage, settings, recipe, rows)
            network, _ = build_network(
                settings,
                _outputs(recipe.task_of(name)),
                table_inputs=_table_width(settings),
                vector_inputs=VECTOR_WIDTH,
                pretrained=False,
            )
            bytes_of_network = sum(tensor.nbytes for tensor in network.state_dict().values())
            seconds += _seconds_of(network, settings, loads, device)
            count = sum(load.models for load in loads if load.learned)
            weights += bytes_of_network * _copies_on_disk(settings, count) if count else 0
            models += count
    if recipe.data.prepare is not None:
        cache = stored_bytes(recipe, total, aspect)
    else:
        sides = {photo_key(settings): photo_side(settings) for _, _, settings in photo_members(recipe)}
        cache = sum(round(total * side * side * aspect * 3) for side in sides.values())
        cache += _sound_bytes(recipe, total, length_s)
    return Estimate(seconds, _peak_memory(device), cache, weights, models)


def _sound_bytes(recipe: Recipe, rows: int, length_s: float) -> int:
    """Bytes of recordings in the cache, where each row lasts so many seconds."""
    views = {sound_key(view): view for _, _, view in sound_members(recipe)}
    return sum(round(rows * min(length_s, 2 * view.span_s) * view.sample_rate * 2) for view in views.values())


def _outputs(task: Task) -> int:
    """Logits of networks that learn a task; two where classes are yet to be counted."""
    a_column_each = task.kind in ("multilabel", "regression") and not task.label_sets
    return len(task.target) if a_column_each else len(task.classes or ()) or 2


def _embedding_seconds(recipe: Recipe, rows: int, device: torch.device) -> float:
    """Seconds in which frozen backbones see all photos once, those of vectors that several members share once."""
    frozen = {
        vectors_key(settings.view, settings.precision): photos
        for _, _, settings in recipe.members()
        if isinstance(settings.view, EmbeddingView) and (photos := photo_settings(settings)) is not None
    }
    seconds = 0.0
    for photos in frozen.values():
        network, _ = build_network(photos, 1, pretrained=False)
        seconds += rows * _forward_seconds(network, photos, photos.view.height_width, device)
    return seconds


def _copies_on_disk(settings: TrainSettings, models: int) -> int:
    """How many times a member's weights are on disk at its fullest moment: of all its models, one of them training."""
    epochs = sum(phase.epochs for phase in settings.phases)
    kept, left = (min(number, epochs) for number in (settings.keep.most_kept, settings.keep.left_on_disk))
    return models * (1 + left) + STATE_COPIES + kept + (settings.ema is not None)


def _seconds_of(network: Network, settings: TrainSettings, loads: Sequence[Load], device: torch.device) -> float:
    """Seconds of all models of a member, by the time of one prediction and of one training step of each phase."""
    forward = _forward_seconds(network, settings, settings.view.height_width, device)
    steps, beside = [], max((load.beside for load in loads), default=0)
    for phase, size in zip(settings.phases, sizes_of(settings)[1:], strict=True):
        trains = any(load.learned for load in loads) and not settings.trains_on_features(phase)
        steps.append(_step_seconds(network, settings, phase, size, device, beside) if trains else 0.0)
    norms = any(isinstance(module, BatchNorm) for module in network.modules())
    return sum(load.models * _model_seconds(settings, load, forward, steps, norms=norms) for load in loads)


def _model_seconds(
    settings: TrainSettings, load: Load, forward: float, steps: Sequence[float], *, norms: bool
) -> float:
    """Seconds to train one model, where it learns at all, and to predict its held-out rows and those of whole tables.

    Args:
        settings: the model's.
        load: what it has to do.
        forward: seconds of one row's prediction.
        steps: by phase, seconds of one row's share in a training step.
        norms: whether it has batch norms, which learn their statistics anew for each mean of weights.
    """
    total = forward * len(settings.predict.tta) * (load.judged + load.predicted)
    if not load.learned:
        return total
    seen_by_norms = min(load.learned, MOST_BATCHES * settings.batch_size) if norms else 0
    total += forward * settings.keep.means * (load.judged + seen_by_norms)
    for phase, step in zip(settings.phases, steps, strict=True):
        if settings.trains_on_features(phase):
            total += forward * (load.learned + load.judged)
            continue
        total += phase.epochs * load.learned * step
        total += settings.validations(phase) * load.judged * forward
    return total


def _step_seconds(
    network: Network, settings: TrainSettings, phase: Phase, size: Size, device: torch.device, beside: int
) -> float:
    """Seconds of one sample's share in a training step; `beside` pseudo-labelled rows add to its batch."""
    rows = settings.batch_size + beside
    set_trainable(network, phase.train)
    set_train_mode(network, phase.batch_norms)
    groups = parameter_groups(network, phase, settings.optimizer.weight_decay)
    objective = build_loss(None, "multilabel", None)  # any loss costs the same next to the network

    def step() -> None:
        logits = model(_inputs(settings, rows, size, device))
        fabric.backward(objective(logits, torch.zeros_like(logits), None))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    with explained_memory(settings.batch_size, size, beside):
        fabric = make_fabric(device, settings.precision)
        model = fabric.setup_module(network.to(memory_format=torch.channels_last))
        optimizer = set_up_optimizer(fabric, build_optimizer(settings.optimizer, groups))
        return _seconds(step, device) / rows


def _forward_seconds(network: Network, settings: TrainSettings, size: Size, device: torch.device) -> float:
    """Seconds of one sample's share in a prediction."""
    batch_size = settings.predict.batch_size or 2 * settings.batch_size

    def step() -> None:
        with torch.inference_mode():
            model(_inputs(settings, batch_size, size, device))

    with explained_memory(batch_size, size):
        fabric = make_fabric(device, settings.precision)
        model = fabric.setup_module(network.to(memory_format=torch.channels_last)).eval()
        return _seconds(step, device) / batch_size


def _inputs(settings: TrainSettings, batch_size: int, size: Size, device: torch.device) -> dict[str, Tensor]:
    """A batch of black photos, or of vectors of zeros, and empty table rows."""
    if isinstance(settings.view, EmbeddingView):
        inputs = {VECTORS: torch.zeros((batch_size, VECTOR_WIDTH), device=device)}
    elif isinstance(settings.view, AudioView | WaveformView):
        inputs = _of_silence(settings.view, batch_size, device)
    else:
        images = torch.zeros((batch_size, 3, *size), device=device)
        inputs = {"image": images.contiguous(memory_format=torch.channels_last)}
    if settings.table is not None:
        inputs[TABLE] = torch.zeros((batch_size, _table_width(settings)), device=device)
    return inputs


def _of_silence(view: AudioView | WaveformView, batch_size: int, device: torch.device) -> dict[str, Tensor]:
    """A batch of silent windows, or of their pictures, which cost as much as any others."""
    waveforms = torch.zeros((batch_size, view.samples), device=device)
    if isinstance(view, AudioView):
        return {"image": arranged(pictures_of(waveforms, view.mel), view)}
    return {WAVEFORM: waveforms}


def _table_width(settings: TrainSettings) -> int:
    """Inputs of a table branch if each column were one: names add more, whose cost next to a backbone's is nothing."""
    return 0 if settings.table is None else len(keys_of(settings.table))


def _seconds(step: Callable[[], None], device: torch.device) -> float:
    """Median seconds of a step, after warm-up."""
    times = []
    for _ in range(WARM_UP + MEASURED):
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return float(np.median(times[WARM_UP:]))


def _peak_memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes everywhere but on a Mac
