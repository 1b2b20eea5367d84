"""What the training table says beside the truth: secondary labels, and how good its rows are."""

from dataclasses import replace

import pandas as pd

from outfold.data.dataset import Dataset
from outfold.data.findings import Finding
from outfold.data.label_checks import secondary_findings
from outfold.data.label_sets import learned_of_secondary
from outfold.data.row_weights import rating_findings, row_weights
from outfold.data.targets import TargetCodec
from outfold.settings.recipe import Recipe
from outfold.settings.task import Task


def check_weak_labels(recipe: Recipe, frame: pd.DataFrame, codec: TargetCodec) -> None:
    """Refuse secondary labels and ratings that cannot be read, before anything else is.

    Raises:
        DataError: a column is missing, or a cell is not usable; the rows are named.
    """
    row_weights(recipe.data, frame)
    learned_of_secondary(recipe.task, frame, codec.outputs, codec.encode(frame))


def with_secondary_labels(dataset: Dataset, task: Task) -> Dataset:
    """The same data with what is learned of secondary labels, where the task has a column of them."""
    learned = learned_of_secondary(task, dataset.train.samples.frame, dataset.codec.outputs, dataset.target)
    if task.secondary is None or learned is None:
        return dataset
    return replace(dataset, mask=learned.mask) if task.secondary.mask else replace(dataset, soft_target=learned.values)


def weak_label_findings(recipe: Recipe, dataset: Dataset) -> list[Finding]:
    """Labels and rows that the loss passes over and that nobody may know of."""
    frame = dataset.train.samples.frame
    learned = learned_of_secondary(recipe.task, frame, dataset.codec.outputs, dataset.target)
    return [*secondary_findings(recipe.task, learned), *rating_findings(recipe.data.rating, frame)]
