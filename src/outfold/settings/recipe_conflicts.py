"""What the parts of a recipe, its data, its task, its folds and its members, do not go with."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from outfold.settings.adapt import AdaptStage
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.label import LabelStage
from outfold.settings.member_conflicts import refuse_sizes
from outfold.settings.network import Outputs
from outfold.settings.task import Task
from outfold.settings.view import ImageView

if TYPE_CHECKING:
    from outfold.settings.recipe import Recipe
    from outfold.settings.train import TrainSettings


def recipe_conflicts(recipe: "Recipe") -> Iterator[str]:
    """What does not go together, each with the stage and the member that it is about.

    Args:
        recipe: whose stages build on fitting ones.
    """
    yield from _of_data(recipe)
    for name, member, settings in recipe.members():
        task = recipe.task_of(name)
        for fault in (*_with_task(settings, task), *_with_data(recipe, settings, task), *_with_folds(recipe, settings)):
            yield f"stage {name!r}, member {member!r}: {fault}"
    yield from _of_labels(recipe)
    for name, stage in recipe.stages.items():
        for settings in recipe.members_of(name).values() if isinstance(stage, AdaptStage) else ():
            if isinstance(settings.view, ImageView):
                refuse_sizes(settings.predict, settings.phases, settings.view)


def _of_data(recipe: "Recipe") -> Iterator[str]:
    data, task = recipe.data, recipe.task
    if data.long is not None and task.kind == "multiclass":
        yield "data.long has a value for each target, and a multiclass task has one label a sample"
    if recipe.duplicates is not None and not data.has_photos:
        yield "`duplicates` compares photos, but the recipe does not say where they are: set data.image"
    if recipe.duplicates is not None and recipe.folds.duplicates == "ignore" and recipe.duplicates.action != "drop":
        yield "`folds.duplicates: ignore` leaves nothing for `duplicates` to do; remove one of the two"
    if data.equal_media == "join":
        if not task.label_sets or not (data.has_audio or data.has_photos):
            yield "`data.equal_media: join` joins the labels of rows with media; it needs task.label_sets"
        if any(isinstance(stage, AdaptStage) for stage in recipe.stages.values()):
            yield "`data.equal_media: join` does not go with stages of test-time training (`kind: adapt`)"
    views = [settings.view for _, _, settings in recipe.members()]
    if data.crops is not None and not any(
        view.kind == "image" or (view.kind == "embedding" and view.backbone) for view in views
    ):
        yield "`data.crops` has no effect: no member looks at photos"


def _with_task(settings: "TrainSettings", task: Task) -> Iterator[str]:
    """What a member has that its task has no place for, and what it needs of the task."""
    if task.kind == "regression":
        yield from _of_classes(settings)
    elif settings.outputs != Outputs():
        yield f"`outputs` are of a regression, this is a {task.kind} task"
    if settings.add_clips is not None and task.kind not in ("binary", "multilabel"):
        yield "`add_clips` joins labels, and a clip of this task has one; use `mix`"
    if settings.outputs.identities != "report" and not task.identities:
        yield "outputs.identities needs task.identities of the targets it learns"
    if settings.loss is not None and settings.loss.target_weights and not task.target_weights:
        yield "loss.target_weights needs task.target_weights of the targets it learns"


def _of_classes(settings: "TrainSettings") -> Iterator[str]:
    """What a regression, which has no classes, cannot have."""
    if settings.balance != "none":
        yield "a regression has no classes to balance; remove `balance`"
    if settings.class_cap or settings.class_floor:
        yield "a regression has no classes; remove `class_cap` and `class_floor`"
    if settings.head.name == "sed":
        yield "`head.name: sed` gives probabilities, this is a regression"


def _with_data(recipe: "Recipe", settings: "TrainSettings", task: Task) -> Iterator[str]:
    weighing = [name for name in ("weight", "rating") if getattr(recipe.data, name) is not None]
    if task.kind == "regression" and weighing and settings.mix is not None:
        yield f"mixed values have no weight of their own; use `mix` or `data.{weighing[0]}`"
    if isinstance(settings.view, AudioView | WaveformView) and not recipe.data.has_audio:
        yield "it hears recordings, but the recipe does not say where they are: set data.audio"
    if settings.merge_classes:
        yield from _wrong_merges(settings.merge_classes, recipe.task)


def _with_folds(recipe: "Recipe", settings: "TrainSettings") -> Iterator[str]:
    if settings.folds is not None and settings.folds not in recipe.folds.variants:
        yield f"folds.variants has no {settings.folds!r}, only {list(recipe.folds.variants)}"
        return
    given, folds = settings.predict.fold_weights, recipe.folds.variant(settings.folds).held_out
    if given and folds is not None and len(given) != folds:
        yield f"{folds} folds are held out, but predict.fold_weights has {len(given)}"


def _wrong_merges(merges: dict[str, str], task: Task) -> Iterator[str]:
    if task.score_class is None:
        yield "merge_classes needs task.score_class, which members with other classes share"
    classes = list(map(str, task.classes or ()))
    for label, into in merges.items():
        unknown = [name for name in (label, into) if name not in classes]
        if unknown:
            yield f"merge_classes names {unknown[0]!r}, which is not among task.classes"
        if into in merges or label == into:
            yield f"merge_classes maps {label!r} to {into!r}, which is itself merged"
        if str(task.score_class) in (label, into):
            yield f"merge_classes must leave the scored class {task.score_class!r} alone"


def _of_labels(recipe: "Recipe") -> Iterator[str]:
    """Weights of folds that a label stage, which takes all of them alike, would pass over."""
    for name, label in recipe.stages.items():
        if isinstance(label, LabelStage) and label.teachers == "all":
            weighed = [one for one in recipe.members_of(label.source).values() if one.predict.fold_weights]
            if weighed:
                yield f"stage {name!r}: with `teachers: all` every fold counts alike; no fold_weights"
