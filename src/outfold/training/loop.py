"""One epoch of training, written out: batch, view, mix, forward, loss, backward, step."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from outfold.training.ema import Ema
from outfold.training.guards import LossGuard
from outfold.training.losses import LossFunction
from outfold.training.optim import lr_factor
from outfold.views.batches import MIXING, Loader, Waiting
from outfold.views.inputs import Input
from outfold.views.mix import BatchMixer


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each optimiser step of a phase, as a share of every group's peak rate.

    Attributes:
        name: cosine, one_cycle or constant.
        steps: optimiser steps in the phase.
        warmup_steps: of these, how many warm up.
        final_lr: where cosine ends, as a share of the peak.
    """

    name: str
    steps: int
    warmup_steps: int = 0
    final_lr: float = 0.0

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set every group's rate for this step, counted from 0."""
        factor = lr_factor(self.name, step, self.steps, self.warmup_steps, self.final_lr)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


@dataclass(frozen=True)
class Learner:
    """Everything an epoch computes with besides its batches.

    Attributes:
        model: named inputs -> logits (b, k); wrapped by fabric for precision and device.
        module: the module whose parameters learn, for clipping.
        inputs: by name, how a batch becomes model input.
        target: float32 (n, k) by row, on the device.
        weight: float32 (n, 1) or (n, k) by row, on the device, or None.
        objective: (logits, target, weight) -> scalar loss.
        optimizer: set up by fabric; each group holds its peak rate as `initial_lr`.
        schedule: rates over the phase's steps.
        fabric: device and precision.
        mixer: mixes samples within a batch, or None.
        accumulate: batches to a step.
        clip_grad_norm: largest norm of the gradient, or None.
        ema: moving average of the weights, or None.
    """

    model: Callable[[dict[str, Tensor]], Tensor]
    module: nn.Module
    inputs: Mapping[str, Input]
    target: Tensor
    weight: Tensor | None
    objective: LossFunction
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    fabric: Fabric
    mixer: BatchMixer | None = None
    accumulate: int = 1
    clip_grad_norm: float | None = None
    ema: Ema | None = None


@dataclass(frozen=True)
class EpochSummary:
    """What an epoch of training came to: mean loss, samples per second, time spent waiting for data."""

    loss: float
    samples_per_second: float
    waiting: Waiting


def optimizer_steps(batches: int, accumulate: int) -> int:
    """Optimiser steps in an epoch; a last, incomplete group of batches makes a step too."""
    return -(-batches // accumulate)


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
        inputs = {
            name: learner.inputs[name].to_model(array.to(learner.target.device, non_blocking=True))
            for name, array in batch.inputs.items()
        }
        target = learner.target[rows]
        weight = None if learner.weight is None else learner.weight[rows]
        if learner.mixer is not None:
            inputs, target = learner.mixer(inputs, target, generator)
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
