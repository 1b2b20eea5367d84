"""From a recipe and a data root to a loaded dataset: tables, targets, photos in the cache, folds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from outfold.data.audio.backgrounds import background_warnings
from outfold.data.audio.findings import short_findings
from outfold.data.crop_checks import check_crops, unknown_box_findings
from outfold.data.crops import load_crops
from outfold.data.dataset import Dataset, Rows
from outfold.data.findings import Finding
from outfold.data.folds import FoldTable, make_folds
from outfold.data.inspection import duplicate_findings, equal_vector_findings, overlap_findings
from outfold.data.label_checks import class_findings, class_members, fold_findings
from outfold.data.row_weights import row_weights
from outfold.data.source_checks import group_findings, mapping_findings, torn_recordings
from outfold.data.table import Part, Samples, load_samples, refuse_known_ids, sources_of
from outfold.data.targets import TargetCodec
from outfold.duplicates.find import Duplicates
from outfold.errors import RecipeError
from outfold.runs.dropped import tell_dropped
from outfold.runs.duplicates import sift_copies
from outfold.runs.equal_media import join_equal
from outfold.runs.heard import check_rows, heard_findings, short_row_findings
from outfold.runs.photos import with_photos
from outfold.runs.scores import score_masks
from outfold.runs.sounds import backgrounds, with_sounds
from outfold.runs.table_inputs import check_table_inputs, read_table_inputs
from outfold.runs.try_folds import quick, refuse_other_rows, try_folds
from outfold.runs.vectors import check_vectors, vectors_of_rows
from outfold.runs.weak_labels import check_weak_labels, weak_label_findings, with_secondary_labels
from outfold.settings.folds import Folds
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute
from outfold.stages.bounds import check_caps
from outfold.stages.inputs import sound_members
from outfold.stages.scope import check_auxiliary_targets
from outfold.stages.submit import check_answered


def load_dataset(
    recipe: Recipe, root: Path, compute: Compute, *, keep: Callable[[Duplicates], None] = lambda found: None
) -> Dataset:
    """Read tables and photos, look for near-duplicates, encode targets and make the folds.

    Args:
        recipe: the effective recipe.
        root: folder that tables and media lie in.
        compute: its threads decode photos; is told {"event": "photos", "done", "total", "table"} and
            {"event": "dropped", ...}.
        keep: is given the near-duplicates that were found, where the recipe looks for them.

    Raises:
        DataError, MediaError: a table, label, fold or photo is not usable.
    """
    samples = load_samples(recipe.data, root, targets=recipe.task.target)
    # a table that cannot work says so before any photo is read
    check_weak_labels(recipe, samples.frame, TargetCodec.fit(recipe.task, samples.frame))
    check_auxiliary_targets(recipe, samples.frame)
    check_caps(recipe, samples.frame)
    check_table_inputs(recipe, root, samples.frame)
    check_crops(recipe.data, root, samples, recipe.task.target)
    check_vectors(recipe, root, samples)
    score_masks(recipe.task, samples.frame)
    # A file of folds may be for the rows that are left once bad photos are dropped.
    own = make_folds(quick(recipe.folds), samples, root=root) if recipe.folds.file is None else None
    try_folds({name: recipe.folds.variant(name) for name in recipe.fold_variants()}, samples, root, own=own)
    train, dropped = load_rows(recipe, samples, "train", compute, root)
    for text in background_warnings(train.backgrounds):
        compute.emit({"event": "warning", "text": text})
    if recipe.data.equal_media == "join":
        train, joined = join_equal(train, recipe.task)
        dropped += joined
        if joined:
            compute.emit({"event": "joined", "table": "train", "rows": len(joined)})
    test = None
    if recipe.data.test is not None:
        there = load_samples(recipe.data, root, "test", targets=recipe.task.target)
        check_answered(recipe, there)
        check_rows(recipe, "test", there)
        test, dropped_test = load_rows(recipe, there, "test", compute, root)
        dropped += dropped_test
    unlabelled, dropped_unlabelled = _unlabelled(recipe, samples, root, compute)
    dropped += dropped_unlabelled
    sifted = sift_copies(recipe, train, test, root, compute, keep, unlabelled)
    train, dropped = sifted.train, [*dropped, *sifted.dropped]
    frame = train.samples.frame
    codec = TargetCodec.fit(recipe.task, frame)

    def make(folds: Folds) -> FoldTable:
        return make_folds(
            folds,
            train.samples,
            content_keys=train.content or None,
            copies=sifted.copies,
            root=root,
            dropped=[name for name, _ in dropped],
            progress=lambda done, total, best: compute.emit(
                {"event": "folds", "done": done, "total": total, "best": best}
            ),
        )

    folds = make(recipe.folds)
    variants = {name: make(recipe.folds.variant(name)) for name in recipe.fold_variants()}
    refuse_other_rows(folds, variants)
    target, held_out = codec.encode(frame), chosen_folds(recipe.folds, folds)
    dataset = Dataset(
        root,
        train,
        test,
        codec,
        target,
        row_weights(recipe.data, frame),
        folds,
        held_out,
        dropped,
        copies=sifted.copies,
        test_copies=sifted.test_copies,
        embeddings=sifted.embeddings,
        test_embeddings=sifted.test_embeddings,
        score_class=recipe.task.score_class,
        variants=variants,
        unlabelled=unlabelled,
        unlabelled_copies=sifted.unlabelled_copies,
    )
    score_masks(recipe.task, frame)  # a score that looks at no row is refused before anything is trained
    dataset = with_secondary_labels(dataset, recipe.task)
    return replace(dataset, warnings=data_warnings(recipe, dataset))


def _unlabelled(
    recipe: Recipe, train: Samples, root: Path, compute: Compute
) -> tuple[Rows | None, list[tuple[str, str]]]:
    """The rows of `data.unlabelled` where a stage labels them, and the (id, reason) of those that were dropped."""
    if not recipe.labels_unlabelled():
        return None, []
    samples = load_samples(recipe.data, root, "unlabelled", targets=recipe.task.target)
    refuse_known_ids(train, samples)
    check_rows(recipe, "unlabelled", samples)
    return load_rows(recipe, samples, "unlabelled", compute, root)


def data_warnings(recipe: Recipe, dataset: Dataset) -> list[str]:
    """What `outfold check` would warn of, for the run's own report."""
    train, test, root = dataset.train, dataset.test, dataset.root
    names, member = class_members(dataset.codec, dataset.target)
    findings = class_findings(names, member, len(np.unique(dataset.folds.fold)))
    findings += fold_findings(dataset.folds, names, member, train.samples)
    findings += torn_recordings(train.samples, dataset.folds)
    findings += [*mapping_findings(train.samples), *group_findings(recipe.folds, train.samples)]
    findings += [*weak_label_findings(recipe, dataset), *heard_findings(recipe)]
    findings += _unknown_boxes(recipe, dataset)
    findings += [Finding("warning", text) for text in background_warnings(train.backgrounds)]
    parts: list[tuple[Part, Rows | None]] = [("train", train), ("test", test), ("unlabelled", dataset.unlabelled)]
    for part, rows in parts:
        if rows is not None:
            findings += short_row_findings(recipe, part, rows.samples)
        if rows is not None and not dataset.dropped:  # whose recordings would look as if they were too short
            findings += short_findings(rows.samples, sources_of(recipe.data, part), root)
    for vectors in train.vectors.values():
        findings += equal_vector_findings(train.samples, vectors.content, dataset.folds.fold)
    if train.content:
        labels = [str(row) for row in train.samples.frame[list(recipe.task.target)].itertuples(index=False, name=None)]
        grouped = recipe.folds.duplicates == "group"
        findings += duplicate_findings(train.samples, train.media_keys, labels, root, grouped=grouped)
        if test is not None:
            findings += overlap_findings(train.samples, train.media_keys, test.samples, test.media_keys, root)
    return [finding.what for finding in findings if finding.level == "warning"]


def _unknown_boxes(recipe: Recipe, dataset: Dataset) -> list[Finding]:
    """Crop boxes for ids that no table has; nothing where a table was not read."""
    crops, tables = recipe.data.crops, [dataset.train, dataset.test, dataset.unlabelled]
    if crops is None or (recipe.data.unlabelled and dataset.unlabelled is None):
        return []
    known = [rows.samples.ids.tolist() for rows in tables if rows is not None]
    return unknown_box_findings(load_crops(crops, dataset.root), [*known, [name for name, _ in dataset.dropped]])


def chosen_folds(folds: Folds, table: FoldTable) -> tuple[int, ...]:
    """The folds to hold out: all that can be, or those that the recipe asks for.

    Raises:
        RecipeError: one that is asked for does not exist.
    """
    there = table.numbers
    missing = [number for number in folds.only or () if number not in there]
    if missing:
        raise RecipeError("folds.only names folds that do not exist", got=missing, expected=list(there))
    return there if folds.only is None else folds.only


def load_rows(
    recipe: Recipe,
    samples: Samples,
    table: str,
    compute: Compute,
    root: Path,
    *,
    run: Path | None = None,
    sounds: bool = True,
) -> tuple[Rows, list[tuple[str, str]]]:
    """Samples with all that the recipe's members read of them, and the (id, reason) of rows that were dropped.

    Args:
        recipe: the effective recipe.
        samples: rows of one table.
        table: what errors and progress call it; `new` for rows that were not part of the run.
        compute: device and threads; is told of photos, recordings, vectors and dropped rows.
        root: folder that files of vectors lie in.
        run: the run folder whose frozen backbones see new rows.
        sounds: whether recordings are decoded, where members hear any; those that pass by later need not be, and of
            their rows that were dropped whoever hears them tells.

    Raises:
        DataError, MediaError: a cell, a photo or a vector is missing or not usable, or no row is left.
    """
    hears = sounds and next(sound_members(recipe), None) is not None
    rows, bad = (with_sounds if hears else with_photos)(recipe, samples, table, compute)
    if hears and table != "new":
        rows = replace(rows, backgrounds=backgrounds(recipe, root, compute))
    dropped = [(str(samples.ids[row]), reason) for row, reason in sorted(bad.items())]
    if sounds:
        tell_dropped(dropped, len(samples), table, compute)
    rows = replace(rows, columns=read_table_inputs(recipe, rows.samples, table))
    return replace(rows, vectors=vectors_of_rows(recipe, rows, table, root, compute, run)), dropped
