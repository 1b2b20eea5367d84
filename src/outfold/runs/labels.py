"""What of label stages can be refused before anything is read: settings that do not fit the task, or each other."""

from collections.abc import Iterator

from outfold.errors import RecipeError
from outfold.settings.label import LabelStage
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings, TrainStage


def check_labels(recipe: Recipe) -> None:
    """Refuse label stages that cannot work, and students that cannot learn from them.

    Raises:
        RecipeError: the first fault; names the stage.
    """
    for name, stage in recipe.stages.items():
        if isinstance(stage, LabelStage):
            _check_rows(name, stage, recipe)
            _check_task(name, stage, recipe)
            _check_recordings(name, stage, recipe)
            _check_teacher(name, stage, recipe)
            for student, member, settings in _students(name, recipe):
                place = f"stage {student!r}, member {member!r}"
                _check_student(place, settings, name, stage, recipe)
                _check_batches(place, settings, name, stage, recipe)
                _check_seeds(student, name, stage, recipe)
    final = recipe.final_stage()
    if isinstance(recipe.stages[final], LabelStage):
        fix = f"let a train stage learn from them: `labels: {final}`"
        raise RecipeError(f"the recipe ends with the labels of stage {final!r}, which answer nothing", fix=fix)


def _check_rows(name: str, stage: LabelStage, recipe: Recipe) -> None:
    there = recipe.data.unlabelled if stage.rows == "unlabelled" else recipe.data.test
    if not there:
        others = "; `rows: test` labels the test table" if stage.rows == "unlabelled" else ""
        problem = f"stage {name!r} labels rows, but the recipe has none"
        raise RecipeError(problem, fix=f"set data.{stage.rows}{others}")


def _check_task(name: str, stage: LabelStage, recipe: Recipe) -> None:
    kind = recipe.task.kind
    if kind == "regression" and (stage.confidence > 0 or stage.labels == "hard"):
        given = "confidence" if stage.confidence > 0 else "labels: hard"
        raise RecipeError(f"stage {name!r}: a regression has no classes to be sure of", fix=f"remove `{given}`")
    if kind == "regression" and stage.average is not None:
        raise RecipeError(f"stage {name!r}: a regression has values, and no other mean of them", fix="remove `average`")
    if kind in ("regression", "multilabel") and stage.per_class not in (None, "all"):
        problem = f"stage {name!r}: rows of a {kind} task do not have one class each, by which they could be balanced"
        raise RecipeError(problem, fix="remove `per_class`")


def _check_recordings(name: str, stage: LabelStage, recipe: Recipe) -> None:
    if stage.of_recordings is not None and not recipe.data.has_audio:
        problem = f"stage {name!r}: `{stage.of_recordings}` is about windows of recordings, and the samples are none"
        raise RecipeError(problem, fix=f"set data.audio, or remove `{stage.of_recordings}`")
    if stage.sharpen is not None and recipe.task.kind != "multilabel":
        problem = f"stage {name!r}: `sharpen` raises classes one by one, and those of a {recipe.task.kind} task exclude"
        raise RecipeError(f"{problem} each other", fix="remove `sharpen`")


def _check_teacher(name: str, stage: LabelStage, recipe: Recipe) -> None:
    members = dict(_members(stage.source, recipe))
    merging = [member for member, settings in members.items() if settings.merge_classes]
    if merging:
        raise RecipeError(
            f"stage {name!r}: member {merging[0]!r} of its teacher merges classes and cannot tell them apart",
            fix=f"give the members of {stage.source!r} that know all classes a stage of their own, and let it teach",
        )
    folds = list(dict.fromkeys(settings.folds for settings in members.values()))
    if len(folds) > 1:
        raise RecipeError(
            f"stage {name!r}: the members of its teacher {stage.source!r} have different folds",
            got=[one or "the recipe's" for one in folds],
            expected="one assignment, so that all models of a fold held out the same rows",
            fix="give the members of each assignment a stage of their own",
        )


def _check_student(place: str, settings: TrainSettings, name: str, stage: LabelStage, recipe: Recipe) -> None:
    folds = next(iter(_members(stage.source, recipe)))[1].folds
    if settings.folds != folds:
        raise RecipeError(
            f"{place}: it learns labels of {name!r}, whose teacher has other folds",
            got=settings.folds or "the recipe's",
            expected=folds or "the recipe's",
            fix="use the teacher's `folds`: its models of another assignment have seen rows that are held out here",
        )
    if settings.mix is not None and stage.weight < 1 and recipe.task.kind == "regression":
        problem = f"{place}: mixed values have no weight of their own"
        raise RecipeError(problem, fix=f"use `mix`, or the `weight` of stage {name!r}, not both")


def _check_batches(place: str, settings: TrainSettings, name: str, stage: LabelStage, recipe: Recipe) -> None:
    batch = settings.pseudo_batch
    if batch is None:
        return
    if batch.recordings is not None and not recipe.data.has_audio:
        problem = f"{place}: `pseudo_batch` asks for whole recordings, and the samples are none"
        raise RecipeError(problem, fix="set data.audio, or ask for `windows`")
    if stage.balance_of(recipe.task.kind) != "all":
        problem = (
            f"{place}: `pseudo_batch` draws each row once in a round, and stage {name!r} repeats those of some classes"
        )
        raise RecipeError(problem, fix=f"set `per_class: all` for stage {name!r}, or remove `pseudo_batch`")


def _check_seeds(student: str, name: str, stage: LabelStage, recipe: Recipe) -> None:
    if stage.teachers != "same_seed":
        return
    learner, teacher = recipe.stages[student], recipe.stages[stage.source]
    assert isinstance(learner, TrainStage)  # a recipe whose students or teachers are no such stages is refused
    assert isinstance(teacher, TrainStage)
    missing = [seed for seed in learner.seeds if seed not in teacher.seeds]
    if missing:
        raise RecipeError(
            f"stage {student!r}: its labels of {name!r} come from teachers of the same seed, and some are missing",
            got=f"seeds {', '.join(map(str, missing))}",
            expected=f"seeds of {stage.source!r}: {', '.join(map(str, teacher.seeds))}",
            fix="give both stages the same `seeds`, or set `teachers: same_fold`",
        )


def _students(labels: str, recipe: Recipe) -> Iterator[tuple[str, str, TrainSettings]]:
    """Every member that learns from these labels: its stage, its name, its settings."""
    for name, stage in recipe.stages.items():
        if isinstance(stage, TrainStage) and stage.labels == labels:
            for member, settings in _members(name, recipe):
                yield name, member, settings


def _members(name: str, recipe: Recipe) -> Iterator[tuple[str, TrainSettings]]:
    return ((member, settings) for stage, member, settings in recipe.members() if stage == name)
