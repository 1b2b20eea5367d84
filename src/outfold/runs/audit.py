"""The audit of a recipe before it runs, and of a run that is finished; nothing is trained."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.audit import Known, audit_dataset, audit_outcome, by_level, leaks, read_file_facts, splits_of
from outfold.audit.crossings import exposed_rows
from outfold.data.dataset import Dataset, Rows
from outfold.data.findings import Finding, Level, count, places_of
from outfold.data.folds import FoldTable, link_groups, make_folds, read_folds
from outfold.data.folds.grouping import group_column
from outfold.data.media import content_key
from outfold.data.predictions import PREFIXES, Predictions, space_of
from outfold.data.table import Samples, load_samples
from outfold.data.targets import TargetCodec
from outfold.errors import DataError, MediaError
from outfold.inference.predict import CPU
from outfold.recipe.load import load_recipe
from outfold.run_folder import FOLDS, OOF, PREDICTIONS, RECIPE, read_summary, variant_file
from outfold.runs.duplicates import Sifted, sift_copies
from outfold.runs.embeddings import embeddings
from outfold.runs.lineage import lineage
from outfold.runs.summary import read_codecs
from outfold.runs.weak_labels import with_secondary_labels
from outfold.settings.duplicates import Duplicates as Look
from outfold.settings.folds import Folds
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute, Context, Emit, Result


def audit_recipe(
    recipe: Recipe, root: Path, *, embed: bool = False, workers: int = 1, emit: Emit = lambda event: None
) -> list[Finding]:
    """Audit the data and the choices of a recipe.

    Args:
        recipe: the effective recipe; near-duplicates are looked for where it asks for them.
        root: data root, absolute.
        embed: also compare embeddings of the photos, as is done where the recipe looks for near-duplicates.
        workers: threads that read files.
        emit: is told how far long steps are, as in a run.

    Raises:
        DataError, MediaError: the tables, labels or folds are not usable at all; see `outfold check`.
    """
    compute = Compute(CPU, workers, emit)
    train, test, gone = _tables(recipe, root, _training_samples(recipe, root), workers)
    sifted = sift_copies(recipe, train, test, root, compute)
    out = [place.id for finding in gone for place in finding.places] + [name for name, _ in sifted.dropped]
    codec = TargetCodec.fit(recipe.task, sifted.train.samples.frame)
    folds = _folds(recipe, sifted, root, out)
    dataset = _dataset(recipe, root, sifted, test, codec, folds)
    dataset = replace(dataset, variants=_planned_variants(recipe, sifted, root))
    return by_level([*gone, *_before(recipe, dataset, embed, compute)])


def audit_run(
    folder: Path,
    *,
    root: Path | None = None,
    embed: bool = False,
    workers: int = 1,
    emit: Emit = lambda event: None,
) -> list[Finding]:
    """Audit a run: its data as it is now, its folds, its models, and its predictions where there are any.

    Args:
        folder: the run folder.
        root: data root; the one the run used when not given.
        embed: also compare embeddings of the photos, as is done where the recipe looks for near-duplicates.
        workers: threads that read files.
        emit: is told how far long steps are, as in a run.

    Raises:
        RunError: it is no run folder, or a file is missing or damaged.
        DataError, MediaError: the tables are not usable, or are not those of the run.
    """
    summary, recipe = read_summary(folder), load_recipe(folder / RECIPE)
    compute = Compute(CPU, workers, emit)
    root = (root or Path(summary.get("data", {}).get("root", "."))).resolve()
    samples, kept = _training_samples(recipe, root), pd.read_csv(folder / FOLDS, dtype={"id": str})["id"]
    samples = samples.take(np.isin(samples.ids, kept.to_numpy(object)))
    train, test, gone = _tables(recipe, root, samples, workers)
    # The rows are those that the run kept; what it dropped as copies is gone already.
    linked = recipe.duplicates and recipe.duplicates.model_copy(update={"action": "group"})
    searched = recipe.model_copy(update={"duplicates": linked})
    sifted = sift_copies(searched, train, test, root, compute)
    codec, _ = read_codecs(folder)
    own = read_folds(folder / FOLDS, train.samples.ids, dropped=[place.id for one in gone for place in one.places])
    dataset = _dataset(recipe, root, sifted, test, codec, replace(own, ordered=recipe.folds.time is not None))
    dataset = with_secondary_labels(replace(dataset, variants=_variants(folder, recipe, dataset)), recipe.task)
    return by_level([*gone, *_before(recipe, dataset, embed, compute, folder), *_outcome(folder, recipe, dataset)])


def audit_finished(context: Context, result: Result) -> list[Finding]:
    """Audit a run as it ends, of what it holds in memory and has just written.

    Args:
        context: the run's.
        result: of its final stage.
    """
    recipe, dataset = context.recipe, context.dataset
    findings = _before(recipe, dataset, False, context.compute, context.folder)
    outcome = audit_outcome(dataset.as_judged(), result.oof, result.test, identities=recipe.task.identities)
    return by_level([*findings, *outcome])


def _before(
    recipe: Recipe, dataset: Dataset, embed: bool, compute: Compute, folder: Path | None = None
) -> list[Finding]:
    """What data, folds and choices show, and the weights in a run folder, whatever they predicted."""

    def known(rows: Rows, copies: np.ndarray | None, seen: np.ndarray | None, table: str) -> Known:
        if seen is None and embed:
            seen = embeddings(rows, recipe.duplicates or Look(), dataset.root, compute, table)
        media = rows.samples.media
        return Known(copies, seen, None if media is None else read_file_facts(media, workers=compute.workers))

    train, test = known(dataset.train, dataset.copies, dataset.embeddings, "train"), None
    if dataset.test is not None:
        test = known(dataset.test, dataset.test_copies, dataset.test_embeddings, "test")
    return [
        *audit_dataset(recipe, dataset.as_judged(), train=train, test=test),
        *_lineage_findings(recipe, dataset, folder),
    ]


def _lineage_findings(recipe: Recipe, dataset: Dataset, folder: Path | None) -> list[Finding]:
    """Models that are judged on rows that they, or the weights they started from, have seen.

    Rows whose group the folds themselves tear apart count alone: the audit of the folds has told of them.
    """
    ids, groups = dataset.train.samples.ids, dataset.folds.groups
    related: dict[str, dict[str, object]] = {}
    if groups is not None:
        whole = ~exposed_rows(groups, splits_of(dataset.folds))
        related["group"] = dict(zip(map(str, ids[whole]), groups[whole].tolist(), strict=True))
    if dataset.copies is not None:
        related["copy"] = dict(zip(map(str, ids), dataset.copies.tolist(), strict=True))
    return leaks(lineage(recipe, dataset, folder), related)


def _outcome(folder: Path, recipe: Recipe, dataset: Dataset) -> list[Finding]:
    """What the predictions in a run folder show, of the rows that are still there."""
    dataset = dataset.as_judged()
    oof, test = (_predictions(folder / name, dataset.codec) for name in (OOF, PREDICTIONS))
    if oof is not None:
        oof = oof.take(np.isin(oof.ids, dataset.train.samples.ids))
    if test is not None and dataset.test is not None:
        test = test.take(np.isin(test.ids, dataset.test.samples.ids))
    return audit_outcome(dataset, oof, test, identities=recipe.task.identities)


def _training_samples(recipe: Recipe, root: Path) -> Samples:
    return load_samples(recipe.data, root, targets=recipe.task.target)


def _tables(recipe: Recipe, root: Path, samples: Samples, workers: int) -> tuple[Rows, Rows | None, list[Finding]]:
    """Training and test rows that can be read, and findings about those that cannot."""
    train, gone = _read(samples, recipe, workers)
    if recipe.data.test is None:
        return train, None, gone
    test, gone_too = _read(load_samples(recipe.data, root, "test", targets=recipe.task.target), recipe, workers)
    return train, test, [*gone, *gone_too]


def _planned_variants(recipe: Recipe, sifted: Sifted, root: Path) -> dict[str, FoldTable]:
    """Further assignments of folds as a run would make them."""
    parts = {name: recipe.folds.variant(name) for name in recipe.fold_variants()}
    return {name: _made(folds, sifted, root) for name, folds in parts.items()}


def _made(folds: Folds, sifted: Sifted, root: Path) -> FoldTable:
    keys = sifted.train.content or None
    return make_folds(folds, sifted.train.samples, content_keys=keys, copies=sifted.copies, root=root)


def _variants(folder: Path, recipe: Recipe, dataset: Dataset) -> dict[str, FoldTable]:
    """The run's further assignments of folds, of the rows that are still there."""
    ids = dataset.train.samples.ids
    gone = set(pd.read_csv(folder / FOLDS, dtype={"id": str})["id"]) - set(map(str, ids))
    return {name: read_folds(folder / variant_file(name), ids, dropped=gone) for name in recipe.fold_variants()}


def _dataset(
    recipe: Recipe, root: Path, sifted: Sifted, test: Rows | None, codec: TargetCodec, folds: FoldTable
) -> Dataset:
    return Dataset(
        root,
        sifted.train,
        test,
        codec,
        codec.encode(sifted.train.samples.frame),
        None,
        folds,
        folds.numbers,
        sifted.dropped,
        copies=sifted.copies,
        test_copies=sifted.test_copies,
        embeddings=sifted.embeddings,
        test_embeddings=sifted.test_embeddings,
        score_class=recipe.task.score_class,
    )


def _read(samples: Samples, recipe: Recipe, workers: int) -> tuple[Rows, list[Finding]]:
    """Rows with the content keys of their files; those whose file cannot be read are left out and told."""
    if samples.media is None:
        return Rows(samples), []
    with ThreadPoolExecutor(workers) as pool:
        keys = list(pool.map(_key, samples.media))
    kept = np.array([bool(key) for key in keys])
    rows = Rows(samples.take(kept), content=tuple(key for key in keys if key))
    if kept.all():
        return rows, []
    gone = np.flatnonzero(~kept)
    if not kept.any():
        raise DataError("no file of the table can be read", got=str(samples.media[0]), fix="give the data root: --data")
    level: Level = "note" if recipe.data.on_bad_media == "drop" else "error"
    fix = None if level == "note" else "see `outfold check`"
    what = f"{count(len(gone), 'row')} left out of the audit, for the file cannot be read"
    return rows, [Finding(level, what, places_of(samples, gone), fix, "file-unreadable")]


def _key(path: Path) -> str:
    try:
        return content_key(path)
    except MediaError:
        return ""


def _folds(recipe: Recipe, sifted: Sifted, root: Path, gone: Sequence[str]) -> FoldTable:
    """The recipe's folds; the user's own ones even where they tear groups apart, which the audit then says."""
    train = sifted.train
    if recipe.folds.column is None and recipe.folds.file is None:
        return _made(recipe.folds, sifted, root)
    alone = recipe.folds.model_copy(update={"group": (), "cut": (), "duplicates": "ignore"})
    table = make_folds(alone, train.samples, root=root, dropped=gone)
    columns = [group_column(train.samples.frame[name], recipe.folds.unknown_group) for name in recipe.folds.group]
    return replace(table, groups=link_groups(*columns)) if columns else table


def _predictions(path: Path, codec: TargetCodec) -> Predictions | None:
    if not path.exists():
        return None
    table = pd.read_parquet(path)
    space = space_of(table, codec)
    return Predictions.from_frame(table, codec.outputs, space, prefix=PREFIXES[space])
