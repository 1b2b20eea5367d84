"""What a fit makes smaller and how it is judged: the loss of a member, on the scale of its outputs, and its scores."""

import numpy as np
import torch

from outfold.data.balance import class_weights
from outfold.data.target_space import TargetSpace
from outfold.models.target_layer import units_of
from outfold.settings.learning import Keep
from outfold.settings.task import Task
from outfold.settings.train import TrainSettings
from outfold.stages.base import Context
from outfold.stages.outputs import classes_of, member_codec, member_target
from outfold.stages.scoring import greater_is_better, judged, metric_names, scores_of
from outfold.training.checkpoints import Watched
from outfold.training.examples import Split
from outfold.training.losses import LossFunction, build_loss
from outfold.training.losses_of_values import LEAST_SPREAD, mean_spread
from outfold.training.validation import Judge


def target_space(settings: TrainSettings, split: Split, context: Context) -> TargetSpace | None:
    """What a regression's outputs are, by the split's training rows alone; None for a task of classes.

    Raises:
        DataError: the targets cannot be learned as the member asks.
    """
    codec = context.dataset.codec
    if codec.kind != "regression":
        return None
    target = member_target(settings, context.dataset)[split.train]
    return TargetSpace.fit(target, codec.outputs, settings.outputs, context.recipe.task.identities)


def objective_of(
    settings: TrainSettings, split: Split, context: Context, space: TargetSpace | None = None
) -> LossFunction:
    """The stage's loss, with what it takes from the training rows.

    That is class weights, where the recipe asks for them, or the spread of a regression's targets.
    """
    if space is not None:
        return _objective_of_values(settings, split, context, space)
    weight = None
    if settings.balance in ("class_weight", "both"):
        weight = torch.from_numpy(class_weights(classes_of(settings, context.dataset, split.train))).to(
            context.compute.device
        )
    return build_loss(settings.loss, context.dataset.codec.kind, weight)


def _objective_of_values(settings: TrainSettings, split: Split, context: Context, space: TargetSpace) -> LossFunction:
    device, counts = context.compute.device, context.recipe.task.weights
    weight = None if counts is None else torch.tensor(counts, device=device)
    target = torch.from_numpy(member_target(settings, context.dataset)[split.train]).to(device)
    return build_loss(
        settings.loss,
        "regression",
        target_weight=weight,
        units=units_of(space, device),
        least_spread=LEAST_SPREAD * mean_spread(target, weight),
    )


def judge_of(settings: TrainSettings, space: TargetSpace | None, context: Context) -> Judge:
    """Scores of a validation fold by the task's metrics, and which of them pick epochs."""
    task, target = context.recipe.task.answer, context.dataset.answer_target
    watched = watched_scores(settings.keep, task)
    names = metric_names(task, *(score.name for score in watched if score.name != "valid_loss"))
    outputs = member_codec(settings, context.dataset.codec).outputs
    asked = [outputs.index(name) for name in context.dataset.answer.outputs]

    def scores(logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        return scores_of(names, task, target[rows], judged(logits, context.recipe.task.kind, space)[:, asked])

    return Judge(scores, watched)


def watched_scores(keep: Keep, task: Task) -> tuple[Watched, ...]:
    """The scores that epochs are kept by: those the recipe names, or the task's metric; none for the last epoch."""
    if keep.best == "last":
        return ()
    return tuple(Watched(name, greater_is_better(name, task)) for name in keep.watched or (task.metric,))
