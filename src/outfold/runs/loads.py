"""What the models of a recipe have to do, in rows: learned from, judged and predicted, one after the other."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from outfold.data.balance import ClassBounds
from outfold.settings.adapt import AdaptStage
from outfold.settings.label import LabelStage
from outfold.settings.recipe import Recipe, Stage
from outfold.settings.serve import ServeStage
from outfold.settings.train import TrainSettings, TrainStage


class Rows(NamedTuple):
    """How many rows there are."""

    labelled: int
    """Training rows, of all folds."""
    splits: Sequence[tuple[np.ndarray, np.ndarray]]
    """Of each fold that is held out, the rows that train and those that judge, int64."""
    test: int
    unlabelled: int
    classes: np.ndarray | None = None
    """int64, the class of each training row; None: not known."""
    of_recording: Mapping[str, float] = {}
    """Rows of a recording in a table (`test`, `unlabelled`), on average."""

    @property
    def folds(self) -> int:
        """How many folds are held out in turn."""
        return len(self.splits)

    @property
    def valid(self) -> int:
        """Held-out rows, on average."""
        return round(sum(len(valid) for _, valid in self.splits) / len(self.splits))

    def train(self, settings: TrainSettings) -> int:
        """Training rows of an epoch of one fold's model, on average."""
        cap, floor = settings.class_cap, settings.class_floor
        trained = [train for train, _ in self.splits]
        if self.classes is not None and (cap is not None or floor is not None):
            bounds = ClassBounds(self.classes, None if cap is None else cap.rows, floor)
            trained = [bounds.drawn(train, np.random.default_rng(0)) for train in trained]
        return round(sum(map(len, trained)) / len(trained))


class Load(NamedTuple):
    """What several models of one member have to do, each of them."""

    models: int
    learned: int
    """Rows of an epoch; 0 where nothing is learned."""
    judged: int
    """Held-out rows, validated and predicted."""
    predicted: int
    """Further rows that are predicted."""
    beside: int = 0
    """Of the rows of an epoch, those that every batch has beside its own `batch_size`."""


def loads_of(name: str, stage: Stage, settings: TrainSettings, recipe: Recipe, rows: Rows) -> list[Load]:
    """What the models of a member of a stage do; nothing where a stage has none."""
    train = rows.train(settings)
    if isinstance(stage, TrainStage):
        further, beside = _further_rows(train, stage, settings, recipe, rows)
        predicted = _whole_tables(name, stage, recipe, rows)
        return [Load(rows.folds * len(stage.seeds), train + further, rows.valid, predicted, beside)]
    if isinstance(stage, ServeStage):
        source = recipe.stages[stage.source]
        seeds = len(source.seeds) if isinstance(source, TrainStage) else 1
        return [Load(rows.folds * seeds, 0, 0, rows.valid + rows.test)]
    if isinstance(stage, AdaptStage):
        held_out = [Load(rows.folds, train + rows.valid, 0, rows.valid)] if stage.out_of_fold else []
        return [*held_out, *([Load(1, rows.labelled + rows.test, 0, rows.test)] if rows.test else [])]
    return []


def _further_rows(
    train: int, stage: TrainStage, settings: TrainSettings, recipe: Recipe, rows: Rows
) -> tuple[int, int]:
    """Rows without labels that a member learns from in an epoch, at most, and those of them beside each batch."""
    if stage.labels is None:
        return 0, 0
    labels, batch = recipe.stages[stage.labels], settings.pseudo_batch
    assert isinstance(labels, LabelStage)  # a recipe whose `labels` names another stage is refused
    if batch is not None:
        beside = batch.rows(rows.of_recording.get(labels.rows, 1.0))
        return beside * max(train // settings.batch_size, 1), beside
    there = rows.test if labels.rows == "test" else rows.unlabelled
    return labels.most_rows(there, len(recipe.task.classes or ()) or 2), 0


def _whole_tables(name: str, stage: TrainStage, recipe: Recipe, rows: Rows) -> int:
    """Rows of whole tables that a model of the stage predicts."""
    labels = [one for one in recipe.stages.values() if isinstance(one, LabelStage)]
    teaches = any(one.source == name and one.rows == "unlabelled" for one in labels)
    return (0 if stage.training_only else rows.test) + (rows.unlabelled if teaches else 0)
