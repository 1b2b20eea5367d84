"""Training losses: logits (b, k) and soft targets (b, k) to one number.

All targets are soft: a hard label is a one-hot row, a mixed sample has shares of two classes. Every loss takes an
optional `weight` of shape (b, 1) or (b, k) that multiplies each sample or each cell *before* the mean over all samples
(or cells), so a weight of 0 masks a cell and does not change how much the others count. Losses of a regression also
take a `target_weight` of shape (k,), in the order of the targets. Half-precision logits are computed with as float32.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from outfold.errors import RecipeError
from outfold.settings.data import TaskKind
from outfold.settings.learning import Loss

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(logits (b, k), target (b, k), weight (b, 1) or (b, k) or None) -> scalar."""

Units = Callable[[Tensor], Tensor]
"""What a regression's network gives, (b, k), in the user's unit."""

LEAST_SPREAD = 1e-3
"""Share of the training rows' spread that `weighted_r2` takes every batch to have at least."""


def cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor | None = None, *, class_weight: Tensor | None = None
) -> Tensor:
    """Mean over samples of -sum_c w_c t_c log p_c, p the softmax of the logits.

    Class weights enter as in `torch.nn.functional.cross_entropy` with probabilities as targets: the mean is over
    samples, not over weights (which torch does for integer labels).

    Args:
        logits: (b, k).
        target: (b, k), rows sum to 1.
        weight: (b, 1) or (b, k).
        class_weight: (k,).
    """
    log_p = F.log_softmax(_full(logits), dim=1)
    return _mean_of_rows(-target * log_p, weight, class_weight)


def focal(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    gamma: float = 2.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Mean over samples of -sum_c w_c t_c (1 - p_c)^gamma log p_c (Lin et al. 2017, arXiv:1708.02002, softmax form).

    gamma 0 is the cross-entropy; class weights are the paper's alpha.
    """
    log_p = F.log_softmax(_full(logits), dim=1)
    return _mean_of_rows(-target * _power(-torch.expm1(log_p), gamma) * log_p, weight, class_weight)


def bce(logits: Tensor, target: Tensor, weight: Tensor | None = None, *, class_weight: Tensor | None = None) -> Tensor:
    """Mean over cells of -(w_1 t log p + w_0 (1 - t) log(1 - p)), p the sigmoid of the logits.

    Args:
        logits: (b, k).
        target: (b, k), each cell 0..1.
        weight: (b, 1) or (b, k).
        class_weight: (2, k) or (2, 1), rows for the negative and the positive side of each output.
    """
    logits = _full(logits)
    return _mean_of_cells(-F.logsigmoid(-logits), -F.logsigmoid(logits), target, weight, class_weight)


def focal_bce(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    gamma: float = 2.0,
    class_weight: Tensor | None = None,
) -> Tensor:
    """Mean over cells of -(w_1 t (1 - p)^gamma log p + w_0 (1 - t) p^gamma log(1 - p)), p the sigmoid of the logits.

    Lin et al. 2017, arXiv:1708.02002; gamma 0 is the BCE. Class weights, (2, k) or (2, 1), are the paper's alpha.
    """
    log_p, log_q = F.logsigmoid(_full(logits)), F.logsigmoid(-_full(logits))
    negative = -_power(log_p.exp(), gamma) * log_q
    positive = -_power(log_q.exp(), gamma) * log_p
    return _mean_of_cells(negative, positive, target, weight, class_weight)


def sed_loss(
    clip_logits: Tensor,
    frame_logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    frame_share: float = 0.5,
    loss: LossFunction = bce,
) -> Tensor:
    """(1 - s) loss(clip) + s loss(max over time of the frames), for sound event detection with weak labels.

    The label says that a class is heard somewhere in the clip, so the frame that is surest of it must say so too. The
    largest logit is that of the largest probability; where frames tie, the gradient is shared evenly.

    Args:
        clip_logits: (b, k), of the whole clip.
        frame_logits: (b, t, k), of its frames.
        target: (b, k), each cell 0..1.
        weight: (b, 1) or (b, k), as the loss takes it, for both parts alike.
        frame_share: s, 0..1.
        loss: what either part is judged by.

    Raises:
        ValueError: the shapes do not belong to the same clips and classes.
    """
    batch, classes = clip_logits.shape
    if frame_logits.ndim != 3 or frame_logits.shape[::2] != (batch, classes) or not frame_logits.shape[1]:
        raise ValueError(f"frame logits {tuple(frame_logits.shape)} are not (b, t, k) of clips {(batch, classes)}")
    of_frames = loss(frame_logits.amax(dim=1), target, weight)
    return (1 - frame_share) * loss(clip_logits, target, weight) + frame_share * of_frames


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
    terms = F.smooth_l1_loss(_full(output), target, reduction="none", beta=beta)
    return _weighted(_weighted(terms, target_weight), weight).mean()


def mse(output: Tensor, target: Tensor, weight: Tensor | None = None, *, target_weight: Tensor | None = None) -> Tensor:
    """Mean over cells of w times the squared difference; over all b k cells, as `smooth_l1`."""
    return _weighted(_weighted((_full(output) - target).square(), target_weight), weight).mean()


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
    output = _full(output)
    predicted, true = (output, target) if units is None else (units(output), units(target))
    cells = _weighted(_weighted(torch.ones_like(true), target_weight), weight)
    spread, total = _spread(true, cells)
    residual = (cells * (true - predicted).square()).sum()
    return residual / spread.clamp_min(torch.finfo(true.dtype).tiny).maximum(least_spread * total)


def mean_spread(values: Tensor, target_weight: Tensor | None = None) -> float:
    """The weighted mean of (y - m)^2 over all cells of values (n, k), m as in `weighted_r2`."""
    spread, total = _spread(values, _weighted(torch.ones_like(values), target_weight))
    return float(spread / total)


def smooth_labels(target: Tensor, smoothing: float, classes: int) -> Tensor:
    """(1 - s) t + s / classes: a share s of the certainty goes evenly to all classes (2 for a yes-or-no cell)."""
    return target * (1.0 - smoothing) + smoothing / classes


DEFAULT_LOSS: dict[TaskKind, Loss] = {
    "multiclass": Loss(name="cross_entropy"),
    "binary": Loss(name="bce"),
    "multilabel": Loss(name="bce"),
    "regression": Loss(name="smooth_l1"),
}

FITTING: dict[TaskKind, Sequence[str]] = {
    "multiclass": ("cross_entropy", "focal", "bce", "focal_bce"),
    "binary": ("bce", "focal_bce"),
    "multilabel": ("bce", "focal_bce"),
    "regression": ("smooth_l1", "mse", "weighted_r2"),
}
"""Losses by task. bce on a multiclass task is one class against the rest: its argmax means the same as a softmax's, but
the probabilities that prediction makes with a softmax are sharper than the loss saw."""


def build_loss(
    loss: Loss | None,
    kind: TaskKind,
    class_weight: Tensor | None = None,
    *,
    target_weight: Tensor | None = None,
    units: Units | None = None,
    least_spread: float = 1e-8,
) -> LossFunction:
    """The loss a recipe names, or the task's default, as a function of (logits, target, weight).

    Args:
        loss: name and settings; None for the task's default.
        kind: the task.
        class_weight: (k,) for multiclass and multilabel (there it weighs whole columns), (2,) negative and positive for
            binary.
        target_weight: (k,), what the task says that its targets count; smooth_l1 and mse use it where the loss asks for
            it, weighted_r2 always.
        units: see `weighted_r2`.
        least_spread: see `weighted_r2`.

    Raises:
        RecipeError: the loss, its label smoothing, class weights or target weights do not fit the task.
    """
    loss = loss or DEFAULT_LOSS[kind]
    _require_fitting(loss, kind, class_weight, target_weight)
    if kind == "regression":
        return _of_values(loss, target_weight, units, least_spread)
    function: LossFunction
    if loss.name in ("bce", "focal_bce"):
        class_weight = None if class_weight is None else _sides(class_weight, kind)
    if loss.name == "cross_entropy":
        function = partial(cross_entropy, class_weight=class_weight)
    elif loss.name == "focal":
        function = partial(focal, gamma=loss.gamma, class_weight=class_weight)
    elif loss.name == "bce":
        function = partial(bce, class_weight=class_weight)
    else:
        function = partial(focal_bce, gamma=loss.gamma, class_weight=class_weight)
    return _smoothed(function, loss.label_smoothing, kind) if loss.label_smoothing else function


def _of_values(loss: Loss, target_weight: Tensor | None, units: Units | None, least_spread: float) -> LossFunction:
    """A loss of a regression."""
    if loss.name == "weighted_r2":
        return partial(weighted_r2, target_weight=target_weight, units=units, least_spread=least_spread)
    own = target_weight if loss.target_weights else None
    if loss.name == "mse":
        return partial(mse, target_weight=own)
    return partial(smooth_l1, beta=loss.beta, target_weight=own)


def _smoothed(function: LossFunction, smoothing: float, kind: TaskKind) -> LossFunction:
    def smoothed(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        classes = target.shape[1] if kind == "multiclass" else 2
        return function(logits, smooth_labels(target, smoothing, classes), weight)

    return smoothed


def _require_fitting(loss: Loss, kind: TaskKind, class_weight: Tensor | None, target_weight: Tensor | None) -> None:
    if loss.name not in FITTING[kind]:
        raise RecipeError(
            f"the loss {loss.name} does not fit a {kind} task", expected=f"one of {', '.join(FITTING[kind])}"
        )
    if kind == "regression" and (loss.label_smoothing or class_weight is not None):
        given = "label_smoothing" if loss.label_smoothing else "class weights"
        raise RecipeError(f"a regression has no classes, so {given} do not apply", fix="remove the setting")
    if loss.target_weights and target_weight is None:
        raise RecipeError(
            "loss.target_weights: the task does not say how much its targets count",
            fix="give `task.target_weights`, or remove the setting" if kind == "regression" else "remove the setting",
        )


def _sides(class_weight: Tensor, kind: TaskKind) -> Tensor:
    """Class weights as (2, k) or (2, 1): one row for each side of an output."""
    return class_weight.reshape(2, 1) if kind == "binary" else class_weight.expand(2, -1)


def _full(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _power(share: Tensor, gamma: float) -> Tensor:
    """Share ** gamma for a share of 0..1; kept off 0, where the slope is infinite for gamma < 1."""
    return share.clamp_min(torch.finfo(share.dtype).eps) ** gamma if gamma < 1 else share**gamma


def _weighted(terms: Tensor, weight: Tensor | None) -> Tensor:
    return terms if weight is None else terms * weight


def _spread(values: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of w (y - m)^2 around the one mean of all cells, and the sum of w."""
    total = cells.sum()
    centre = (cells * values).sum() / total.clamp_min(torch.finfo(values.dtype).tiny)
    return (cells * (values - centre).square()).sum(), total


def _mean_of_rows(terms: Tensor, weight: Tensor | None, class_weight: Tensor | None) -> Tensor:
    """Mean over samples of the sum over classes."""
    return _weighted(_weighted(terms, class_weight), weight).sum(dim=1).mean()


def _mean_of_cells(
    negative: Tensor, positive: Tensor, target: Tensor, weight: Tensor | None, class_weight: Tensor | None
) -> Tensor:
    """Mean over cells of the loss of either side, each by its share of the target."""
    if class_weight is not None:
        negative, positive = negative * class_weight[0], positive * class_weight[1]
    return _weighted(target * positive + (1 - target) * negative, weight).mean()
