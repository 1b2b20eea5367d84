"""One epoch of training, written out: batch, view, mix, forward, loss, backward, step. Sound mixes before its view."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from outfold.training.guards import LossGuard
from outfold.training.learner import Learner
from outfold.views.batches import MIXING, Loader, Waiting


@dataclass(frozen=True)
class EpochSummary:
    """What an epoch of training came to: mean loss, samples per second, time spent waiting for data."""

    loss: float
    samples_per_second: float
    waiting: Waiting


def train_epoch(
    learner: Learner,
    loader: Loader,
    guard: LossGuard,
    *,
    first_step: int = 0,
    advance: Callable[[int], None] | None = None,
) -> EpochSummary:
    """Train on every batch of a loader once.

    Args:
        learner: model, objective, optimiser and their settings.
        loader: the epoch's batches; its seed also decides the mixing.
        guard: stops at a loss that is not finite.
        first_step: optimiser steps of the phase before this epoch.
        advance: is told how many samples were trained on, batch by batch.
    """
    generator = np.random.default_rng([*loader.seed, MIXING])
    started, samples, step = time.perf_counter(), 0, first_step
    learner.optimizer.zero_grad(set_to_none=True)
    for number, batch in enumerate(loader, start=1):
        rows = torch.from_numpy(batch.rows).to(learner.target.device)
        arrays = {name: array.to(learner.target.device, non_blocking=True) for name, array in batch.inputs.items()}
        target = learner.target[rows]
        weight = None if learner.weight is None else learner.weight[rows]
        for mix in learner.waveform_mixers:
            arrays, target, weight = mix(arrays, target, weight, generator)
        drawn = generator if learner.augment else None
        inputs = {name: learner.inputs[name].to_model(array, drawn) for name, array in arrays.items()}
        if learner.mixer is not None:
            inputs, target, weight = learner.mixer(inputs, target, weight, generator)
        loss = learner.objective(learner.model(inputs), target, weight)
        in_group = min(learner.accumulate, len(loader) - (number - 1) // learner.accumulate * learner.accumulate)
        learner.fabric.backward(loss / in_group)
        guard.watch(loss, batch.rows)
        if number % learner.accumulate == 0 or number == len(loader):
            update(learner, step)
            step += 1
        samples += len(batch.rows)
        if advance is not None:
            advance(len(batch.rows))
    return EpochSummary(guard.mean, samples / (time.perf_counter() - started), loader.waiting)


def update(learner: Learner, step: int) -> None:
    """One optimiser step on the gradients collected so far."""
    if learner.clip_grad_norm is not None:
        learner.fabric.clip_gradients(learner.module, learner.optimizer, max_norm=learner.clip_grad_norm)
    learner.schedule.apply(learner.optimizer, step)
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    if learner.ema is not None:
        learner.ema.update()
