"""Which rows each model of a run was trained on, as its weights file says, and which rows it is judged on."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from outfold.audit.provenance import Artefact
from outfold.data.dataset import Dataset
from outfold.models.seen import row_marks, seen_by
from outfold.models.weights import weights_path
from outfold.settings.adapt import AdaptStage
from outfold.settings.blend import BlendStage
from outfold.settings.label import LabelStage
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recipe import Recipe, Stage
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages.base import Model
from outfold.stages.blend import learned_weights
from outfold.stages.cross_fit import Learned
from outfold.stages.label import all_students, models_of_teacher
from outfold.stages.postprocess import learned_values
from outfold.stages.pseudo_rows import Students, students_of, teachers_of
from outfold.stages.start import start_model
from outfold.stages.train import models_of

Ids = frozenset[str]


def lineage(recipe: Recipe, dataset: Dataset, folder: Path | None = None) -> list[Artefact]:
    """The weights of all models and blends, learned numbers of steps, pseudo-labels, and files that models start from.

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
    for name, stage in recipe.stages.items():
        if isinstance(stage, LabelStage):
            found |= {one.name: one for one in _labels(name, stage, recipe, dataset)}
        if isinstance(stage, TrainStage):
            for one in _models(name, stage, recipe, dataset, marks, folder, found):
                found[one.name] = one
        if isinstance(stage, AdaptStage):
            for one in _adapted(name, stage, recipe, dataset, marks, folder, found):
                found[one.name] = one
        for kind, learned in _learned(name, stage, dataset):
            found[learned.name] = Artefact(learned.name, kind, learned.fitted_on, judged_on=learned.judged_on)
    return list(found.values())


def _learned(name: str, stage: Stage, dataset: Dataset) -> Iterator[tuple[str, Learned]]:
    """What a stage learns on out-of-fold predictions, and the kind of it."""
    if isinstance(stage, BlendStage):
        yield from (("blend", one) for one in learned_weights(name, stage, dataset))
    if isinstance(stage, PostprocessStage):
        yield from (("post-processing", one) for one in learned_values(name, stage, dataset))


def _labels(name: str, stage: LabelStage, recipe: Recipe, dataset: Dataset) -> Iterator[Artefact]:
    """The labels for each fold, or fold and seed: nothing is fitted, but they know what their teachers know."""
    models = models_of_teacher(stage, recipe, dataset)
    for students in all_students(stage, models):
        teachers = tuple(str(model.place) for model in teachers_of(stage, models, students))
        yield Artefact(_name_of_labels(name, students), "pseudo-labels", inherits=teachers)


def _name_of_labels(stage: str, students: Students) -> str:
    return f"{stage}/{students.step}"


def _models(
    name: str,
    stage: TrainStage,
    recipe: Recipe,
    dataset: Dataset,
    marks: np.ndarray,
    folder: Path | None,
    found: Mapping[str, Artefact],
) -> Iterator[Artefact]:
    """The weights of a stage's models, each member's after the file that they start from.

    Raises:
        RecipeError: a model starts from a fold that the other stage does not hold out.
    """
    for member in stage.members:
        settings = stage.member_settings(member)
        start = _start(settings, dataset, marks)
        if start is not None:
            yield start
        for model in models_of(name, stage, member, dataset):
            split = dataset.folds_of(settings.folds).split(model.fold)
            parents = [] if start is None else [start]
            if stage.labels is not None:
                labels = recipe.stages[stage.labels]
                assert isinstance(labels, LabelStage)  # a recipe whose `labels` names another stage is refused
                parents.append(found[_name_of_labels(stage.labels, students_of(labels, model))])
            if (other := start_model(model, settings, recipe, dataset)) is not None:
                parents.append(found[str(other.place)])
            yield _weights(model, split, parents, _seen_by_all(parents, found), dataset, marks, folder)


def _adapted(
    name: str,
    stage: AdaptStage,
    recipe: Recipe,
    dataset: Dataset,
    marks: np.ndarray,
    folder: Path | None,
    found: Mapping[str, Artefact],
) -> Iterator[Artefact]:
    """The labels of each fold's held-out rows, and the weights of each member that learned from them.

    The models that hold no fold out are judged on nothing.
    """
    known, source = dict(found), recipe.stages[stage.source]
    assert isinstance(source, TrainStage)  # a recipe that adapts other stages is refused
    for member, settings in recipe.members_of(name).items() if stage.out_of_fold else ():
        for fold in dataset.held_out_of(settings.folds):
            split = dataset.folds_of(settings.folds).split(fold)
            labels = _labels_of_held_out(name, fold, recipe.answerers(stage.labels), _ids(dataset, split[1]), known)
            known[labels.name] = labels
            parents = [known[str(Model(stage.source, member, fold, source.seeds[0]).place)], labels]
            yield labels
            model, before = Model(name, member, fold, stage.seed), _seen_by_all(parents, known)
            yield _weights(model, split, parents, before, dataset, marks, folder)


def _labels_of_held_out(
    name: str, fold: int, behind: Collection[str], judged: Ids, found: Mapping[str, Artefact]
) -> Artefact:
    """Predictions of held-out rows as labels: they know what all knows that these predictions rely on."""
    teachers = [one.name for one in found.values() if one.name.split("/")[0] in behind and one.judged_on & judged]
    return Artefact(_name_of_labels(name, Students(fold)), "pseudo-labels", inherits=tuple(teachers))


def _seen_by_all(artefacts: Sequence[Artefact], found: Mapping[str, Artefact]) -> Ids:
    """The rows that any of these, or of what they descend from, was fitted on, as far as it is known."""
    seen: Ids = frozenset()
    for one in artefacts:
        seen |= (one.fitted_on or frozenset()) | _seen_by_all([found[name] for name in one.inherits], found)
    return seen


def _start(settings: TrainSettings, dataset: Dataset, marks: np.ndarray) -> Artefact | None:
    """The weights file that a member starts from; weights of a package or a hub are public and nobody's rows."""
    if settings.pretrained.source != "file":
        return None
    seen = seen_by(weights_path(settings.pretrained, dataset.root))
    rows = None if seen is None else _ids(dataset, np.isin(marks, seen))
    return Artefact(f"file {settings.pretrained.path}", "weights", rows)


def _weights(
    model: Model,
    split: tuple[np.ndarray, np.ndarray],
    parents: Sequence[Artefact],
    before: Ids,
    dataset: Dataset,
    marks: np.ndarray,
    folder: Path | None,
) -> Artefact:
    """The weights of one model; `before` are the rows that its parents and their ancestors have seen."""
    train, valid = split
    planned = _ids(dataset, train)
    seen = _header(model, folder)
    fitted = planned if seen is None else _ids(dataset, np.isin(marks, seen))
    fitted -= before - planned  # which the header of the model's own weights repeats
    names = tuple(parent.name for parent in parents)
    return Artefact(str(model.place), "weights", fitted, names, _ids(dataset, valid))


def _header(model: Model, folder: Path | None) -> np.ndarray | None:
    path = None if folder is None else folder / "stages" / model.place / "weights.safetensors"
    return seen_by(path) if path is not None and path.exists() else None


def _ids(dataset: Dataset, rows: np.ndarray) -> Ids:
    return frozenset(map(str, dataset.train.samples.ids[rows]))
