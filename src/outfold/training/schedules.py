"""Learning rates over a phase, as shares of the peak rate: pure functions of the step and of the losses so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from outfold.settings.learning import Phase

WARMUP_FROM = 0.01
"""Share of the peak rate at which a linear warm-up starts."""

ONE_CYCLE_FROM = 1 / 25
"""Share of the peak rate at which one_cycle starts (torch's div_factor)."""

ONE_CYCLE_RISE = 0.3
"""Share of the steps that one_cycle rises for when no warm-up is given (torch's pct_start)."""

PLATEAU_THRESHOLD = 1e-4
"""A loss is lower than the lowest before where it is so by this share of it (torch's threshold, mode rel)."""


@dataclass(frozen=True)
class Schedule:
    """The learning rate of each optimiser step of a phase.

    Attributes:
        phase: which schedule, over how many epochs, and its numbers.
        steps_per_epoch: optimiser steps in an epoch.
        losses: validation losses of the phase's epochs so far, which plateau follows.
    """

    phase: Phase
    steps_per_epoch: int
    losses: tuple[float, ...] = ()

    def after(self, losses: Sequence[float]) -> "Schedule":
        """The schedule of the epoch that follows these validation losses of the phase."""
        return replace(self, losses=tuple(losses))

    def share(self, step: int) -> float:
        """The rate of an optimiser step, counted from 0 at the phase's start, as a share of the peak rate."""
        phase, total = self.phase, self.steps_per_epoch * self.phase.epochs
        warmup = round(phase.warmup_epochs * self.steps_per_epoch)
        if phase.schedule not in ("warm_restarts", "plateau"):
            return lr_factor(phase.schedule, step, total, warmup, phase.final_lr)
        if step < warmup:
            return _warm_up(step, warmup)
        if phase.schedule == "warm_restarts":
            first = max(round(phase.restart_epochs * self.steps_per_epoch), 1)
            return warm_restarts(step - warmup, first, phase.restart_factor, phase.final_lr)
        counted = self.losses[math.ceil(warmup / self.steps_per_epoch) :]  # not of epochs that still warm up
        return plateau(counted, phase.plateau_factor, phase.plateau_patience, phase.final_lr)

    def apply(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Set every group's rate for a step, from the peak rate that it holds as `initial_lr`."""
        share = self.share(step)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * share


def lr_factor(schedule: str, step: int, total_steps: int, warmup_steps: int = 0, final_lr: float = 0.0) -> float:
    """The learning rate of one optimiser step as a share of the peak rate.

    cosine: linear from 1% over the warm-up, 1 at its end, then half a cosine that would reach `final_lr` one step after
    the last (torch's CosineAnnealingLR with T_max = steps after the warm-up).
    constant: the same warm-up, then 1.
    one_cycle: a cosine up from 1/25 to 1, and down to `final_lr` at the last step, as torch's OneCycleLR. The rise
    takes the warm-up's steps, or 30% of all when there is none.

    Args:
        schedule: cosine, constant or one_cycle; see `warm_restarts` and `plateau` for the others.
        step: 0 .. total_steps - 1.
        total_steps: optimiser steps of the phase.
        warmup_steps: of these, how many warm up.
        final_lr: share of the peak rate at the end.

    Raises:
        ValueError: a step outside the phase, or an unknown schedule.
    """
    if not 0 <= step < total_steps:
        raise ValueError(f"step {step} is outside a phase of {total_steps} steps")
    if schedule == "one_cycle":
        return _one_cycle(step, total_steps, warmup_steps or round(ONE_CYCLE_RISE * total_steps), final_lr)
    if schedule not in ("cosine", "constant"):
        raise ValueError(f"unknown schedule {schedule!r}")
    if step < warmup_steps:
        return _warm_up(step, warmup_steps)
    if schedule == "constant":
        return 1.0
    return _between(1.0, final_lr, (step - warmup_steps) / (total_steps - warmup_steps))


def warm_restarts(step: int, first: int, factor: float = 2.0, final_lr: float = 0.0) -> float:
    """A cosine from the peak rate to `final_lr`, again and again, as a share of the peak rate (SGDR, arXiv:1608.03983).

    torch's CosineAnnealingWarmRestarts, stepped by fractions of an epoch, where stretches are whole numbers of steps;
    other lengths are rounded, so that each stretch begins at the peak.

    Args:
        step: optimiser steps since the first stretch began.
        first: steps of the first stretch (T_0).
        factor: each stretch is this many times as long as the one before it (T_mult), 1 or more.
        final_lr: share of the peak rate that a stretch would reach one step after its last.
    """
    length, stretch = first, 1
    while step >= length:
        step -= length
        length, stretch = round(first * factor**stretch), stretch + 1
    return _between(1.0, final_lr, step / length)


def plateau(losses: Sequence[float], factor: float = 0.5, patience: int = 4, final_lr: float = 0.0) -> float:
    """The rate after these validation losses, lowered whenever they stopped falling, as a share of the peak rate.

    torch's ReduceLROnPlateau (mode min, threshold 1e-4 of the lowest loss, no cooldown) but for its `eps`, which leaves
    a rate alone that would fall by less than 1e-8.

    Args:
        losses: by epoch; one that is no number counts as not lower.
        factor: what the rate is multiplied by, 0..1.
        patience: epochs without a lower loss that pass before the next one lowers the rate.
        final_lr: the share goes no lower.
    """
    share, lowest, waited = 1.0, math.inf, 0
    for loss in losses:
        if loss < lowest * (1 - PLATEAU_THRESHOLD):
            lowest, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            share, waited = max(share * factor, final_lr), 0
    return share


def _warm_up(step: int, warmup_steps: int) -> float:
    """Linear from WARMUP_FROM; would be 1 at the step after the last."""
    return WARMUP_FROM + (1 - WARMUP_FROM) * step / warmup_steps


def _one_cycle(step: int, total_steps: int, rise_steps: int, final_lr: float) -> float:
    peak = min(max(rise_steps - 1, 0), total_steps - 1)
    if step <= peak:
        return _between(ONE_CYCLE_FROM, 1.0, step / peak if peak else 1.0)
    return _between(1.0, final_lr, (step - peak) / (total_steps - 1 - peak))


def _between(start: float, end: float, share: float) -> float:
    """Half a cosine from start (share 0) to end (share 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
