"""What a stage cannot make of the stages that it reads from, because of what their predictions are."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from outfold.settings.adapt import AdaptStage
from outfold.settings.blend import BlendStage
from outfold.settings.label import LabelStage
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recordings import uneven_answers
from outfold.settings.submit import SubmitStage
from outfold.settings.train import TrainStage

if TYPE_CHECKING:
    from outfold.settings.recipe import Recipe


def refuse_wrong_order(stages: Mapping[str, Any]) -> None:
    """Refuse stages that read from later ones, and two answers in one file.

    Args:
        stages: of a recipe, by name, in its order.

    Raises:
        ValueError: says which.
    """
    seen: list[str] = []
    for name, stage in stages.items():
        for source in stage.reads:
            if source not in seen:
                raise ValueError(f"stage {name!r} reads from {source!r}, but the stages before it are {seen}")
        seen.append(name)
    files = [stage.file for stage in stages.values() if isinstance(stage, SubmitStage)]
    if len(set(files)) < len(files) or "folds.csv" in files:
        raise ValueError(f"submissions need files of their own (not folds.csv), got {files}")


def source_conflicts(recipe: "Recipe") -> Iterator[str]:
    """What stages cannot do with what they read, with the stage's name.

    Args:
        recipe: whose stages are each after those it reads from.
    """
    for name, stage in recipe.stages.items():
        for fault in _faults(recipe, name, stage):
            yield f"stage {name!r}: {fault}"
    final = recipe.final_stage()
    if recipe.task_of(final) is not recipe.task:
        yield f"the recipe ends with {final!r}, an auxiliary stage, which does not answer the task"


def _faults(recipe: "Recipe", name: str, stage: Any) -> Iterator[str]:
    if isinstance(stage, AdaptStage):
        yield from _of_adapt(recipe, stage)
    elif isinstance(stage, BlendStage):
        yield from _of_blend(recipe, name, stage)
    elif isinstance(stage, PostprocessStage):
        yield from _of_postprocess(recipe, stage)
    elif isinstance(stage, SubmitStage):
        yield from _of_submit(recipe, stage)
    elif isinstance(stage, LabelStage) and not isinstance(recipe.stages[stage.source], TrainStage):
        yield f"the teacher must be a train stage, {stage.source!r} is none"
    elif isinstance(stage, TrainStage) and stage.labels and not isinstance(recipe.stages[stage.labels], LabelStage):
        yield f"`labels` names a label stage, {stage.labels!r} is none"


def _of_adapt(recipe: "Recipe", stage: AdaptStage) -> Iterator[str]:
    if recipe.answers_with_ranks(stage.labels):
        yield f"{stage.labels!r} gives ranks, and no rank is a label"
    if stage.out_of_fold and not recipe.predicts_out_of_fold(stage.labels):
        yield f"{stage.labels!r} predicts nothing out of fold"
    if not stage.out_of_fold and recipe.data.test is None:
        yield "it has nothing to do: `out_of_fold` is false and there is no data.test"


def _of_blend(recipe: "Recipe", name: str, stage: BlendStage) -> Iterator[str]:
    for source in stage.sources:
        place, _, member = source.partition("/")
        if isinstance(recipe.stages[place], LabelStage | SubmitStage):
            yield f"{place!r} makes no predictions to blend"
        if not recipe.folds.full and not recipe.predicts_out_of_fold(place):
            yield f"{place!r} predicts nothing out of fold"
        if recipe.answers_with_ranks(place) and not recipe.answers_with_ranks(name):
            yield f"{place!r} gives ranks, which only `method: rank_mean` can blend"
        yield from _unknown_member(recipe, place, member)


def _of_postprocess(recipe: "Recipe", stage: PostprocessStage) -> Iterator[str]:
    place, _, member = stage.source.partition("/")
    if isinstance(recipe.stages[place], LabelStage | SubmitStage):
        yield f"{place!r} makes no predictions to change"
    yield from _unknown_member(recipe, place, member)
    if stage.fitted and not recipe.predicts_out_of_fold(place):
        yield f"{place!r} predicts nothing out of fold to learn from; give numbers"
    if stage.in_time and recipe.answers_with_ranks(place):
        yield f"{place!r} gives ranks, and steps in time change probabilities"
    yield from stage.wrong_steps(recipe.task, recordings=recipe.data.has_audio)


def _of_submit(recipe: "Recipe", stage: SubmitStage) -> Iterator[str]:
    if stage.every_s is not None and not recipe.data.has_audio:
        yield "`every_s` chooses windows of recordings; set data.audio"
    if stage.every_s is not None and recipe.data.test is not None:
        yield from uneven_answers(stage.every_s, recipe.data.test.recordings)
    if stage.format == "label" and recipe.answers_with_ranks(stage.source):
        yield f"{stage.source!r} gives ranks, and no rank says a label"


def _unknown_member(recipe: "Recipe", place: str, member: str) -> Iterator[str]:
    known = recipe.members_of(place)
    if member and member not in known:
        yield f"{place!r} has no member {member!r}, only {list(known)}"
