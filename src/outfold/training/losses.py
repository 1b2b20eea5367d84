"""Training losses: logits (b, k) and soft targets (b, k) to one number.

All targets are soft: a hard label is a one-hot row, a mixed sample has shares of two classes. Every loss takes an
optional `weight` of shape (b, 1) or (b, k) that multiplies each sample or each cell *before* the mean over all samples
(or cells), so a weight of 0 masks a cell and does not change how much the others count. Losses of a regression also
take a `target_weight` of shape (k,), in the order of the targets. Half-precision logits are computed with as float32.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from outfold.errors import RecipeError
from outfold.settings.learning import Loss
from outfold.settings.task import TaskKind
from outfold.training.losses_of_values import Units, loss_of_values, mse, smooth_l1, weighted_r2
from outfold.training.terms import LossFunction, full, weighted

__all__ = [
    "LossFunction",
    "bce",
    "build_loss",
    "cross_entropy",
    "focal",
    "focal_bce",
    "mse",
    "of_clips_and_frames",
    "sed_loss",
    "smooth_l1",
    "smooth_labels",
    "weighted_r2",
]


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
    log_p = F.log_softmax(full(logits), dim=1)
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
    log_p = F.log_softmax(full(logits), dim=1)
    return _mean_of_rows(-target * _power(-torch.expm1(log_p), gamma) * log_p, weight, class_weight)


def bce(logits: Tensor, target: Tensor, weight: Tensor | None = None, *, class_weight: Tensor | None = None) -> Tensor:
    """Mean over cells of -(w_1 t log p + w_0 (1 - t) log(1 - p)), p the sigmoid of the logits.

    Args:
        logits: (b, k).
        target: (b, k), each cell 0..1.
        weight: (b, 1) or (b, k).
        class_weight: (2, k) or (2, 1), rows for the negative and the positive side of each output.
    """
    logits = full(logits)
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
    log_p, log_q = F.logsigmoid(full(logits)), F.logsigmoid(-full(logits))
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


def of_clips_and_frames(loss: LossFunction, frame_share: float) -> LossFunction:
    """`sed_loss` of logits (b, 1 + t, k), those of a clip before those of its frames, as a SED head gives in training.

    In evaluation it gives logits (b, k) of clips, of which `loss` alone is the loss: a validation judges what predicts.
    """

    def of_both(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        if logits.ndim == 2:
            return loss(logits, target, weight)
        return sed_loss(logits[:, 0], logits[:, 1:], target, weight, frame_share=frame_share, loss=loss)

    return of_both


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

    With a frame share the logits may also be those of clips and frames; see `of_clips_and_frames`.

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
        return loss_of_values(loss, target_weight, units, least_spread)
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
    if loss.label_smoothing:
        function = _smoothed(function, loss.label_smoothing, kind)
    return function if loss.frame_share is None else of_clips_and_frames(function, loss.frame_share)


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


def _power(share: Tensor, gamma: float) -> Tensor:
    """Share ** gamma for a share of 0..1; kept off 0, where the slope is infinite for gamma < 1."""
    return share.clamp_min(torch.finfo(share.dtype).eps) ** gamma if gamma < 1 else share**gamma


def _mean_of_rows(terms: Tensor, weight: Tensor | None, class_weight: Tensor | None) -> Tensor:
    """Mean over samples of the sum over classes."""
    return weighted(weighted(terms, class_weight), weight).sum(dim=1).mean()


def _mean_of_cells(
    negative: Tensor, positive: Tensor, target: Tensor, weight: Tensor | None, class_weight: Tensor | None
) -> Tensor:
    """Mean over cells of the loss of either side, each by its share of the target."""
    if class_weight is not None:
        negative, positive = negative * class_weight[0], positive * class_weight[1]
    return weighted(target * positive + (1 - target) * negative, weight).mean()
