"""What `outfold check` looks at: the recipe's own parts, its data, and what the run would cost."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from outfold.data.audio.inspection import InspectedAudio
from outfold.data.balance import primary_classes
from outfold.data.cache import default_cache_folder
from outfold.data.checks import Checked, Progress, Table, check_data
from outfold.data.findings import Finding, count, finding_of
from outfold.data.folds import FoldTable
from outfold.data.inspection import Inspected
from outfold.data.targets import TargetCodec
from outfold.errors import OutfoldError, RecipeError
from outfold.runs.table_inputs import check_table_inputs
from outfold.runs.try_folds import try_folds
from outfold.settings.label import LabelStage
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainStage
from outfold.tracking.packages import require_packages


def check_recipe(
    recipe: Recipe, root: Path, *, workers: int = 1, progress: Progress | None = None, device: str | None = None
) -> Checked:
    """Check everything that a run of the recipe would need.

    Args:
        recipe: the effective recipe.
        root: data root, absolute.
        workers: threads that open files.
        progress: is told (table, files done, files in all).
        device: where the run would compute; a few steps are taken there to estimate the run's cost, unless something
            would stop it anyway. None estimates nothing.
    """
    findings = _recipe_findings(recipe, root)
    checked = check_data(recipe.data, recipe.task, recipe.folds, root, workers=workers, progress=progress)
    findings += _table_findings(recipe, checked, root)
    findings += [*checked.findings, *_background_findings(recipe, root, workers, progress)]
    checked = replace(checked, findings=(*findings, *_photo_findings(recipe, checked)))
    if device is None or not checked.ok:
        return checked
    return replace(checked, findings=(*checked.findings, *_cost_findings(recipe, checked, device)))


def _recipe_findings(recipe: Recipe, root: Path) -> list[Finding]:
    """What the recipe alone shows: parts that cannot be, packages that a tracker lacks, what members hear in vain."""
    from outfold.runs.heard import heard_findings  # torch
    from outfold.runs.validate import looks, looks_at_members  # torch

    refused = _refused(*looks(recipe), partial(require_packages, recipe.track), *looks_at_members(recipe, root))
    return [*refused, *heard_findings(recipe)]


def _table_findings(recipe: Recipe, checked: Checked, root: Path) -> list[Finding]:
    """Scores that look at no row, folds of members that cannot be made, and columns that members read in vain."""
    if checked.train is None:
        return []
    from outfold.runs.heard import check_rows, short_row_findings  # torch
    from outfold.runs.scores import score_masks  # torch
    from outfold.runs.vectors import check_vectors  # torch
    from outfold.stages.bounds import check_caps
    from outfold.stages.scope import check_auxiliary_targets
    from outfold.stages.submit import check_answered

    frame = checked.train.samples.frame
    looks: list[Callable[[], object]] = [
        partial(score_masks, recipe.task, frame),
        partial(check_auxiliary_targets, recipe, frame),
        partial(check_caps, recipe, frame),
    ]
    if checked.folds is not None:
        looks.append(partial(_try_variants, recipe, checked.train, checked.folds, root))
        looks.append(partial(_check_steps_in_time, recipe, checked.train, checked.test, checked.folds))
    if checked.test is not None:
        looks.append(partial(check_answered, recipe, checked.test.samples))
    predicted = [table for table in (checked.test, checked.unlabelled) if table is not None]
    looks += [partial(check_rows, recipe, table.name, table.samples) for table in predicted]
    looks += [partial(_check_labelled, name, recipe, checked) for name in recipe.stages]
    if checked.ok:
        looks += [partial(check_table_inputs, recipe, root), partial(check_vectors, recipe, root)]
    short = [one for table in predicted for one in short_row_findings(recipe, table.name, table.samples)]
    return [*_refused(*looks), *short]


def _try_variants(recipe: Recipe, train: Table, own: FoldTable, root: Path) -> None:
    """Make the fold variants in use, of the rows that the recipe's own folds are of."""
    kept = np.isin(train.samples.ids.astype(str), own.ids.astype(str))
    try_folds(
        {name: recipe.folds.variant(name) for name in recipe.fold_variants()},
        train.samples.take(kept),
        root,
        own=own,
        content_keys=[key for key, keep in zip(train.keys, kept, strict=True) if keep],
        dropped=train.samples.ids[~kept].tolist(),
    )


def _check_steps_in_time(recipe: Recipe, train: Table, test: Table | None, own: FoldTable) -> None:
    """Whether steps in time can be done on the tables' rows; nothing of variants, which share their groups."""
    from outfold.runs.prepare import chosen_folds  # torch
    from outfold.stages.rows_in_time import check_rows

    kept = train.samples.take(np.isin(train.samples.ids.astype(str), own.ids.astype(str)))
    tested = None if test is None else test.samples
    for name, stage in recipe.stages.items():
        if isinstance(stage, PostprocessStage) and stage.in_time:
            check_rows(name, stage, recipe, kept, tested, own, chosen_folds(recipe.folds, own))


def _check_labelled(name: str, recipe: Recipe, checked: Checked) -> None:
    """Whether there is as much to label as a label stage and the batches of its students ask for."""
    from outfold.stages.pseudo_rows import parts_there, refuse_incomplete  # torch

    stage = recipe.stages[name]
    table = checked.unlabelled if isinstance(stage, LabelStage) and stage.rows == "unlabelled" else checked.test
    if not isinstance(stage, LabelStage) or table is None:
        return
    clips = table.samples.clips
    if clips is not None:
        refuse_incomplete(name, stage, clips.recording[table.usable])
    students = [one for one, other in recipe.stages.items() if isinstance(other, TrainStage) and other.labels == name]
    for batch in (one.pseudo_batch for student in students for one in recipe.members_of(student).values()):
        if batch is not None and (batch.recordings is None or clips is not None):
            parts = table.samples.ids if batch.recordings is None or clips is None else clips.recording
            parts_there(name, batch, parts[table.usable])


def _refused(*looks: Callable[[], object]) -> list[Finding]:
    """What each look raises as a finding; the same one of two looks only once."""
    findings = []
    for look in looks:
        try:
            look()
        except OutfoldError as error:
            findings.append(finding_of(error))
    return list(dict.fromkeys(findings))


def _cost_findings(recipe: Recipe, checked: Checked, device: str) -> list[Finding]:
    """Time, memory and disk of a run from nothing; a warning where the disk is too small for it."""
    from outfold.runs.estimate import estimate  # torch
    from outfold.training.device import choose_device, keep_freed_memory

    if checked.train is None or checked.folds is None:
        return []
    keep_freed_memory()
    chosen = choose_device(device)
    test_rows, unlabelled_rows = (
        0 if table is None else int(table.usable.sum()) for table in (checked.test, checked.unlabelled)
    )
    try:
        cost = estimate(
            recipe,
            checked.folds,
            test_rows,
            device=chosen,
            aspect=_aspect(checked),
            length_s=_mean_length_s(checked),
            unlabelled_rows=unlabelled_rows,
            classes=_classes(recipe, checked),
            of_recording=_rows_of_recordings(checked),
        )
    except OutfoldError as error:
        return [finding_of(error)]
    media = recipe.data.noun.file
    what = (
        f"estimate: {count(cost.models, 'model')} in about {_duration(cost.seconds)} on {chosen.type}"
        f"{f', after the {media}s are read once' if cost.cache else ''}; about {_bytes(cost.memory)} of memory, "
        f"{f'{_bytes(cost.cache)} of {media} cache, ' if cost.cache else ''}{_bytes(cost.disk)} in the run folder"
    )
    free = shutil.disk_usage(_existing(default_cache_folder())).free
    small = Finding(
        "warning",
        f"only {_bytes(free)} of disk are free where the {media} cache goes ({default_cache_folder()})",
        fix="free some space, set OUTFOLD_CACHE to a folder on another disk, or choose smaller views",
    )
    return [Finding("note", what), *([small] if free < cost.cache + cost.disk else [])]


def _classes(recipe: Recipe, checked: Checked) -> np.ndarray | None:
    """The class of each training row that has a fold, int64; None where no member has bounds of rows a class."""
    bounded = any(settings.class_cap or settings.class_floor for _, _, settings in recipe.members())
    if not bounded or checked.train is None or checked.folds is None:
        return None
    samples = checked.train.samples
    own = samples.take(np.isin(samples.ids.astype(str), checked.folds.ids.astype(str)))
    codec = TargetCodec.fit(recipe.task, own.frame)
    target = codec.encode(own.frame)
    return primary_classes(np.concatenate([1 - target, target], axis=1) if codec.kind == "binary" else target)


def _rows_of_recordings(checked: Checked) -> dict[str, float]:
    """By table, how many rows a recording has on average; nothing of tables that have no recordings."""
    tables = {"test": checked.test, "unlabelled": checked.unlabelled}
    clips = {name: None if table is None else table.samples.clips for name, table in tables.items()}
    return {name: len(one) / len(np.unique(one.recording)) for name, one in clips.items() if one is not None}


def _background_findings(recipe: Recipe, root: Path, workers: int, progress: Progress | None) -> list[Finding]:
    """What members mix into recordings."""
    from outfold.runs.sounds import check_backgrounds  # torch

    try:
        return check_backgrounds(recipe, root, workers=workers, progress=progress)
    except RecipeError:
        return []  # a member's augment cannot be read, as the look at members says


def _photo_findings(recipe: Recipe, checked: Checked) -> list[Finding]:
    """What members read of photos that are stored at other sizes than their own."""
    if recipe.data.prepare is None:
        return []
    from outfold.runs.prepared import size_findings  # torch

    return size_findings(recipe, [min(sides) for sides in _sides(checked)])


def _aspect(checked: Checked) -> float:
    """Median of longer over shorter side of the photos; 1 without photos."""
    sides = _sides(checked)
    return float(np.median([max(pair) / min(pair) for pair in sides])) if sides else 1.0


def _sides(checked: Checked) -> list[tuple[int, int]]:
    """Width and height of what is used of the training table's photos, in pixels, as far as they can be read."""
    if checked.train is None:
        return []
    files, crops = checked.train.files, checked.train.samples.crops or itertools.repeat(None)
    infos = [file.info if isinstance(file, Inspected) else None for file in files]
    return [
        info.upright_size if box is None else box.size
        for info, box in zip(infos, crops, strict=False)
        if info is not None
    ]


def _mean_length_s(checked: Checked) -> float:
    """Seconds that the training table's recordings last on average; 0 without recordings."""
    files = checked.train.files if checked.train is not None else ()
    lengths = [file.duration_s for file in files if isinstance(file, InspectedAudio) and file.duration_s is not None]
    return float(np.mean(lengths)) if lengths else 0.0


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _bytes(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{max(number / 1e6, 1):.0f} MB"
