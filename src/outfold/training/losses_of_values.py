"""Losses of a regression: outputs (b, k) and targets (b, k) to one number; see `outfold.training.losses`."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from outfold.settings.learning import Loss
from outfold.training.terms import LossFunction, full, weighted

Units = Callable[[Tensor], Tensor]
"""What a regression's network gives, (b, k), in the user's unit."""

LEAST_SPREAD = 1e-3
"""Share of the training rows' spread that `weighted_r2` takes every batch to have at least."""


def smooth_l1(
    output: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    beta: float = 1.0,
    target_weight: Tensor | None = None,
) -> Tensor:
    """Mean over cells of w d^2 / (2 beta) where |d| < beta, else w (|d| - beta / 2), with d = output - target.

    The mean is over all b k cells and not over their weights: with target weights of sum 1 it is k times smaller than
    a weighted mean.
    """
    terms = F.smooth_l1_loss(full(output), target, reduction="none", beta=beta)
    return weighted(weighted(terms, target_weight), weight).mean()


def mse(output: Tensor, target: Tensor, weight: Tensor | None = None, *, target_weight: Tensor | None = None) -> Tensor:
    """Mean over cells of w times the squared difference; over all b k cells, as `smooth_l1`."""
    return weighted(weighted((full(output) - target).square(), target_weight), weight).mean()


def weighted_r2(
    output: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    target_weight: Tensor | None = None,
    units: Units | None = None,
    least_spread: float = 1e-8,
) -> Tensor:
    """1 - R^2 of a batch: sum w (y - p)^2 / sum w (y - m)^2 over all cells, with one mean m = sum w y / sum w.

    As the metric of the same name, see `outfold.metrics.values.weighted_r_squared`; w is the product of a cell's
    `weight` and its `target_weight`. Where a batch has next to no spread, it is taken to have `least_spread`, so that
    loss and gradient stay finite.

    Args:
        output: (b, k).
        target: (b, k), on the scale of the output.
        weight: (b, 1) or (b, k).
        target_weight: (k,), in the order of the targets; all alike when not given.
        units: brings outputs and targets to the user's unit, where errors and spread are measured; None where they are
            in it.
        least_spread: smallest mean of (y - m)^2, in the user's unit squared.
    """
    output = full(output)
    predicted, true = (output, target) if units is None else (units(output), units(target))
    cells = weighted(weighted(torch.ones_like(true), target_weight), weight)
    spread, total = _spread(true, cells)
    residual = (cells * (true - predicted).square()).sum()
    return residual / spread.clamp_min(torch.finfo(true.dtype).tiny).maximum(least_spread * total)


def mean_spread(values: Tensor, target_weight: Tensor | None = None) -> float:
    """The weighted mean of (y - m)^2 over all cells of values (n, k), m as in `weighted_r2`."""
    spread, total = _spread(values, weighted(torch.ones_like(values), target_weight))
    return float(spread / total)


def loss_of_values(loss: Loss, target_weight: Tensor | None, units: Units | None, least_spread: float) -> LossFunction:
    """The loss of a regression that a recipe names; see `outfold.training.losses.build_loss`."""
    if loss.name == "weighted_r2":
        return partial(weighted_r2, target_weight=target_weight, units=units, least_spread=least_spread)
    own = target_weight if loss.target_weights else None
    if loss.name == "mse":
        return partial(mse, target_weight=own)
    return partial(smooth_l1, beta=loss.beta, target_weight=own)


def _spread(values: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of w (y - m)^2 around the one mean of all cells, and the sum of w."""
    total = cells.sum()
    centre = (cells * values).sum() / total.clamp_min(torch.finfo(values.dtype).tiny)
    return (cells * (values - centre).square()).sum(), total
