"""What an epoch computes with: model, loss, optimiser and schedule of one phase."""

from collections.abc import Mapping
from dataclasses import dataclass

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from outfold.inference.predict import Forward
from outfold.models.network import Network
from outfold.settings.learning import AddClips, Mix, Phase
from outfold.settings.train import TrainSettings
from outfold.training.device import set_up_optimizer
from outfold.training.ema import Ema
from outfold.training.losses import LossFunction
from outfold.training.optim import build_optimizer, parameter_groups
from outfold.training.schedules import Schedule
from outfold.views.audio.mix import AdditiveMix, clip_adder
from outfold.views.inputs import Input
from outfold.views.mix import BatchMixer, batch_mixer


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
        waveform_mixers: mix what the readers gave, before pictures are made of it.
        augment: whether inputs draw at random on the device too, as training does.
        accumulate: batches to a step.
        clip_grad_norm: largest norm of the gradient, or None.
        ema: moving average of the weights, or None.
    """

    model: Forward
    module: nn.Module
    inputs: Mapping[str, Input]
    target: Tensor
    weight: Tensor | None
    objective: LossFunction
    optimizer: Optimizer
    schedule: Schedule
    fabric: Fabric
    mixer: BatchMixer | None = None
    waveform_mixers: tuple[BatchMixer, ...] = ()
    augment: bool = False
    accumulate: int = 1
    clip_grad_norm: float | None = None
    ema: Ema | None = None


def optimizer_steps(batches: int, accumulate: int) -> int:
    """Optimiser steps in an epoch; a last, incomplete group of batches makes a step too."""
    return -(-batches // accumulate)


def build_learner(
    network: Network,
    phase: Phase,
    settings: TrainSettings,
    *,
    model: Forward,
    inputs: Mapping[str, Input],
    target: Tensor,
    weight: Tensor | None,
    objective: LossFunction,
    fabric: Fabric,
    batches: int,
    ema: Ema | None = None,
) -> Learner:
    """What a phase computes with, as a recipe sets it.

    Args:
        network: with `set_trainable` applied.
        phase: rates, schedule, and whether it mixes.
        settings: optimiser, mixing, accumulation and clipping.
        model: the network, or a part of it, wrapped by fabric.
        inputs: what the model reads, by name.
        target: float32 (n, k) by row, on the device.
        weight: float32 (n, 1) or (n, k) by row, on the device, or None.
        objective: (logits, target, weight) -> scalar loss.
        fabric: device and precision.
        batches: batches in an epoch.
        ema: moving average of the weights, or None.
    """
    groups = parameter_groups(network, phase, settings.optimizer.weight_decay)
    for group in groups:
        group["initial_lr"] = group["lr"]
    # the scaler of fp16 has to undo its scale before a norm is measured, which a fused step leaves to the step
    mix = settings.mix if phase.mix else None
    fused = False if settings.precision == "fp16" and settings.clip_grad_norm else None
    return Learner(
        model=model,
        module=network,
        inputs=inputs,
        target=target,
        weight=weight,
        objective=objective,
        optimizer=set_up_optimizer(fabric, build_optimizer(settings.optimizer, groups, fused=fused)),
        schedule=Schedule(phase, optimizer_steps(batches, settings.accumulate)),
        fabric=fabric,
        mixer=batch_mixer(mix) if mix is not None and not mix.waveforms else None,
        waveform_mixers=_waveform_mixers(mix, settings.add_clips if phase.mix else None),
        augment=phase.augment,
        accumulate=settings.accumulate,
        clip_grad_norm=settings.clip_grad_norm,
        ema=ema,
    )


def _waveform_mixers(mix: Mix | None, add: AddClips | None) -> tuple[BatchMixer, ...]:
    """What mixes sound before pictures are made of it: clips are added up first, then blended."""
    adding = () if add is None else (clip_adder(AdditiveMix(gain=add.gain, p=add.p)),)
    return (*adding, batch_mixer(mix)) if mix is not None and mix.waveforms else adding
