"""What a stage sees of a run: an auxiliary stage has a task, targets and outputs of its own."""

from dataclasses import replace

import pandas as pd

from outfold.data.targets import TargetCodec
from outfold.errors import DataError
from outfold.settings.recipe import Recipe
from outfold.settings.task import Task
from outfold.stages.base import Context, Inference


def context_for(name: str, context: Context) -> Context:
    """The context as a stage sees it; jobs and results stay shared.

    Args:
        name: of the stage.
        context: the run's.

    Raises:
        DataError: an auxiliary stage's column is not in the training table, or a cell of it is no number.
    """
    recipe = context.recipe.seen_by(name)
    if recipe is context.recipe:
        return context
    dataset, codec = context.dataset, auxiliary_codec(recipe.task)
    target = codec.encode(dataset.train.samples.frame)
    own = replace(dataset, codec=codec, target=target, score_class=None, soft_target=None, mask=None)
    return replace(context, recipe=recipe, dataset=own)


def inference_for(name: str, inference: Inference) -> Inference:
    """The same for rows that come later."""
    recipe = inference.recipe.seen_by(name)
    if recipe is inference.recipe:
        return inference
    codec = auxiliary_codec(recipe.task)
    return replace(inference, recipe=recipe, codec=codec, answer=codec)


def check_auxiliary_targets(recipe: Recipe, frame: pd.DataFrame) -> None:
    """Refuse a training table whose rows do not all have the targets of the recipe's auxiliary stages.

    Raises:
        DataError: a column is missing, or a cell is empty or no number; says which stage learns it.
    """
    for name in recipe.stages:
        task = recipe.task_of(name)
        if task is recipe.task:
            continue
        try:
            auxiliary_codec(task).encode(frame)
        except DataError as error:
            problem = f"stage {name!r}: {error.problem}"
            raise DataError(problem, got=error.got, expected=error.expected, fix=error.fix) from error


def auxiliary_codec(task: Task) -> TargetCodec:
    """The codec of an auxiliary stage, which its columns alone decide."""
    return TargetCodec("regression", task.target, (), task.target, ("float64",) * len(task.target))
