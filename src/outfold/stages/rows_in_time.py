"""What steps in time ask of a run's rows: whole recordings in folds, and several rows of each to learn from."""

from collections.abc import Sequence

import numpy as np

from outfold.data.audio.rows import RowClips
from outfold.data.dataset import Dataset
from outfold.data.folds import FoldTable
from outfold.data.table import Samples
from outfold.errors import DataError, RecipeError
from outfold.inference.in_time import overlap, smoothing
from outfold.inference.learned_in_time import HALF
from outfold.metrics import Metric
from outfold.settings.chains import fold_variants_behind
from outfold.settings.postprocess import PostprocessStage, Step
from outfold.settings.recipe import Recipe
from outfold.stages.cross_fit import groups_of, splits_of


def scored_clips(dataset: Dataset) -> RowClips | None:
    """Which seconds of which recording the scored rows are, m of them; None where the rows are no recordings."""
    clips = dataset.train.samples.clips
    return None if clips is None else clips.take(dataset.scored_rows)


def units_of_gain(stage: PostprocessStage, dataset: Dataset) -> np.ndarray | None:
    """(m,): scored rows that are drawn together for an interval: groups, else recordings where steps are in time."""
    groups, clips = groups_of(dataset), scored_clips(dataset)
    if groups is not None or not stage.in_time or clips is None:
        return groups
    return np.unique(clips.recording, return_inverse=True)[1]


def refuse_rows(name: str, stage: PostprocessStage, recipe: Recipe, dataset: Dataset, metric: Metric) -> None:
    """Refuse rows on which steps in time would leak, or could not be learned.

    Raises:
        DataError: see `check_rows`, or the metric is not defined where numbers are learned.
        RecipeError: see `check_rows`.
    """
    test = None if dataset.test is None else dataset.test.samples
    for variant in sorted(fold_variants_behind(stage.source, recipe.stages), key=str):
        folds, held_out = dataset.folds_of(variant), dataset.held_out_of(variant)
        check_rows(name, stage, recipe, dataset.train.samples, test, folds, held_out)
    if stage.fitted:
        _refuse_undefined(name, dataset, metric)


def check_rows(
    name: str,
    stage: PostprocessStage,
    recipe: Recipe,
    train: Samples,
    test: Samples | None,
    folds: FoldTable,
    held_out: Sequence[int],
) -> None:
    """Refuse tables on which steps in time would leak, or could not be done or learned.

    Args:
        name: of the stage.
        stage: with a step in time.
        recipe: the stage's.
        train: training rows.
        test: rows of the test table.
        folds: of the training rows.
        held_out: those that are held out in turn.

    Raises:
        DataError: rows are no recordings, those of one recording are in several folds, or rows do not lie as a step has
            them; see `outfold.inference.in_time.smoothing`.
        RecipeError: a number is to be learned on rows that its step cannot change.
    """
    if test is not None:
        idle_steps(stage.steps, _clips_of(name, "test", test))  # rows off the grid are told of before training
    if not recipe.predicts_out_of_fold(stage.reads[0]):
        return
    clips = _clips_of(name, "training", train)
    _refuse_torn(name, clips, folds, held_out)
    scored = clips.take(folds.judged(held_out))
    for step in stage.steps:
        idle = without_effect(step, scored)
        if idle is not None and step.fitted:
            problem = f"stage {name!r}: nothing of step `{step.name}` can be learned: out of fold {idle}"
            raise RecipeError(problem, fix="give its numbers, or train on recordings whose windows are labelled")


def check_later_rows(recipe: Recipe, samples: Samples) -> None:
    """Refuse later rows that do not lie as steps in time have them, before anything predicts them.

    Args:
        recipe: the run's.
        samples: the rows.

    Raises:
        DataError: names the stage; see `outfold.inference.in_time.smoothing`.
    """
    for name in recipe.ancestors(recipe.final_stage()):
        stage = recipe.stages[name]
        if isinstance(stage, PostprocessStage) and stage.in_time:
            idle_steps(stage.steps, _clips_of(name, "new", samples))


def idle_steps(steps: Sequence[Step], clips: RowClips | None) -> list[tuple[str, str]]:
    """The name of each step in time that cannot do on these rows what it is for, and why."""
    found = [] if clips is None else [(step.name, without_effect(step, clips)) for step in steps]
    return [(name, why) for name, why in found if why is not None]


def without_effect(step: Step, clips: RowClips) -> str | None:
    """Why a step in time cannot do on these rows what it is for; None where it can, and for other steps."""
    if step.in_time and len(np.unique(clips.recording)) == len(clips):
        return "each row is alone in its recording"
    if step.overlap is not None:
        return None if overlap(clips, clips).count_nonzero() > len(clips) else "no rows of a recording overlap"
    if step.smooth is None:
        return None
    kernel = (1.0,) * (2 * HALF + 1) if step.smooth.kernel == "fit" else step.smooth.kernel
    beside = smoothing(clips.recording, clips.start_s, kernel, step.smooth.hop_s).count_nonzero() > len(clips)
    return None if beside else f"no row has a neighbour that counts, at {step.smooth.hop_s:g} s from row to row"


def _clips_of(name: str, table: str, samples: Samples) -> RowClips:
    if samples.clips is None:
        problem = f"stage {name!r} looks at the rows of a recording together, and the {table} rows are no recordings"
        raise DataError(problem, fix="set data.audio, or give all tables their own")
    return samples.clips


def _refuse_torn(name: str, clips: RowClips, folds: FoldTable, held_out: Sequence[int]) -> None:
    """A row's prediction would come to depend on models that trained on the row, by way of its neighbours'."""
    recording = np.unique(clips.recording, return_inverse=True)[1]
    for fold in held_out:
        train, valid = folds.split(fold)
        torn = np.intersect1d(recording[train], recording[valid])
        if len(torn):
            first = clips.recording[np.flatnonzero(recording == torn[0])[0]]
            raise DataError(
                f"stage {name!r} looks at the rows of a recording together, and folds tear recordings",
                got=f"{len(torn)} recordings are only in part in fold {fold}, the first is {first!r}",
                expected="all rows of a recording in one fold",
                fix="name a column that is the same in all rows of a recording in folds.group",
            )


def _refuse_undefined(name: str, dataset: Dataset, metric: Metric) -> None:
    target = dataset.answer_target[dataset.scored_rows]
    for fold, (train, _) in splits_of(dataset).items():
        if len(train) and np.isnan(metric.function(target[train], target[train])):
            raise DataError(
                f"stage {name!r}: {metric.name} is not defined on the {len(train)} rows that numbers for fold {fold} "
                "are to be learned on",
                fix="give the numbers instead of `fit`, or make folds that all have rows of several classes",
            )
