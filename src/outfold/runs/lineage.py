"""Which rows each model of a run was trained on, as its weights file says, and which rows it is judged on."""

from pathlib import Path

import numpy as np

from outfold.audit.provenance import Artefact
from outfold.data.dataset import Dataset
from outfold.models.seen import row_marks, seen_by
from outfold.models.weights import weights_path
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages.base import Model
from outfold.stages.train import models_of

Ids = frozenset[str]


def lineage(recipe: Recipe, dataset: Dataset, folder: Path | None = None) -> list[Artefact]:
    """The weights of all models, and those files that they start from.

    Args:
        recipe: the effective recipe.
        dataset: the rows that judge.
        folder: the run folder: what a model was trained on is read from its weights there. None, or a model that is
            not trained yet: what it would be trained on.

    Raises:
        WeightsError: a weights file is missing or its header is damaged.
    """
    marks = row_marks(dataset.train.samples.ids, dataset.train.content)
    found: dict[str, Artefact] = {}
    for name, member, settings in recipe.members():
        stage = recipe.stages[name]
        if isinstance(stage, TrainStage):
            start = _start(settings, dataset, marks)
            if start is not None:
                found[start.name] = start
            for model in models_of(name, stage, member, dataset):
                split = dataset.folds_of(settings.folds).split(model.fold)
                found[str(model.place)] = _weights(model, split, start, dataset, marks, folder)
    return list(found.values())


def _start(settings: TrainSettings, dataset: Dataset, marks: np.ndarray) -> Artefact | None:
    """The weights file that a member starts from; weights of a package or a hub are public and nobody's rows."""
    if settings.weights.source != "file":
        return None
    seen = seen_by(weights_path(settings.weights, dataset.root))
    rows = None if seen is None else _ids(dataset, np.isin(marks, seen))
    return Artefact(f"file {settings.weights.path}", "weights", rows)


def _weights(
    model: Model,
    split: tuple[np.ndarray, np.ndarray],
    start: Artefact | None,
    dataset: Dataset,
    marks: np.ndarray,
    folder: Path | None,
) -> Artefact:
    train, valid = split
    planned = _ids(dataset, train)
    seen = _header(model, folder)
    fitted = planned if seen is None else _ids(dataset, np.isin(marks, seen))
    if start is not None and start.fitted_on is not None:
        fitted -= start.fitted_on - planned  # which the header of the model's own weights repeats
    return Artefact(
        str(model.place), "weights", fitted, (start.name,) if start is not None else (), _ids(dataset, valid)
    )


def _header(model: Model, folder: Path | None) -> np.ndarray | None:
    path = None if folder is None else folder / "stages" / model.place / "weights.safetensors"
    return seen_by(path) if path is not None and path.exists() else None


def _ids(dataset: Dataset, rows: np.ndarray) -> Ids:
    return frozenset(map(str, dataset.train.samples.ids[rows]))
