"""The audit of a recipe before it runs, and of a run that is finished; nothing is trained and no photo decoded."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.audit import Known, audit_dataset, audit_outcome, by_level, leaks, read_file_facts, splits_of
from outfold.audit.crossings import exposed_rows
from outfold.data.dataset import Dataset, Rows
from outfold.data.findings import Finding, count, places_of
from outfold.data.folds import FoldTable, link_groups, make_folds, read_folds
from outfold.data.media import content_key
from outfold.data.predictions import Predictions
from outfold.data.table import Samples, load_samples
from outfold.data.targets import TargetCodec
from outfold.errors import DataError, MediaError
from outfold.files import read_json
from outfold.recipe.load import load_recipe
from outfold.run_folder import FOLDS, OOF, PREDICTIONS, RECIPE, TARGET, read_summary
from outfold.runs.lineage import lineage
from outfold.settings.recipe import Recipe
from outfold.stages.base import Context, Result


def audit_recipe(recipe: Recipe, root: Path, *, workers: int = 1) -> list[Finding]:
    """Audit the data and the choices of a recipe.

    Args:
        recipe: the effective recipe.
        root: data root, absolute.
        workers: threads that read files.

    Raises:
        DataError, MediaError: the tables, labels or folds are not usable at all; see `outfold check`.
    """
    train, gone = _read(load_samples(recipe.data, root), recipe, workers)
    codec = TargetCodec.fit(recipe.task, train.samples.frame)
    folds = _folds(recipe, train, root, [place.id for finding in gone for place in finding.places])
    return by_level([*gone, *_audit(recipe, root, train, codec, folds, workers)])


def audit_run(folder: Path, *, root: Path | None = None, workers: int = 1) -> list[Finding]:
    """Audit a run: its data as it is now, its folds, and its out-of-fold and test predictions where there are any.

    Args:
        folder: the run folder.
        root: data root; the one the run used when not given.
        workers: threads that read files.

    Raises:
        RunError: it is no run folder, or a file is missing or damaged.
        DataError, MediaError: the tables are not usable, or are not those of the run.
    """
    summary, recipe = read_summary(folder), load_recipe(folder / RECIPE)
    root = (root or Path(summary.get("data", {}).get("root", "."))).resolve()
    samples, kept = load_samples(recipe.data, root), pd.read_csv(folder / FOLDS, dtype={"id": str})["id"]
    samples = samples.take(np.isin(samples.ids, kept.to_numpy(object)))
    train, gone = _read(samples, recipe, workers)
    codec = TargetCodec.from_dict(read_json(folder / TARGET))
    own = read_folds(folder / FOLDS, train.samples.ids, dropped=[place.id for one in gone for place in one.places])
    folds = replace(own, ordered=recipe.folds.time is not None)
    findings = _audit(recipe, root, train, codec, folds, workers, folder)
    return by_level([*gone, *findings, *_outcome(folder, recipe, root, train, codec, folds)])


def audit_finished(context: Context, result: Result) -> list[Finding]:
    """Audit a run as it ends, of what it holds in memory and has just written.

    Args:
        context: the run's.
        result: of its final stage.
    """
    recipe, dataset, workers = context.recipe, context.dataset, context.compute.workers
    train = _known(dataset.train, workers)
    test = None if dataset.test is None else _known(dataset.test, workers)
    findings = audit_dataset(recipe, dataset, train=train, test=test)
    findings += audit_outcome(dataset, result.oof, result.test)
    return by_level([*findings, *_lineage_findings(recipe, dataset, context.folder)])


def _lineage_findings(recipe: Recipe, dataset: Dataset, folder: Path | None) -> list[Finding]:
    """Models that are judged on rows that they, or the weights they started from, have seen.

    Rows whose group the folds themselves tear apart count alone: the audit of the folds has told of them.
    """
    ids, groups = dataset.train.samples.ids, dataset.folds.groups
    related: dict[str, dict[str, object]] = {}
    if groups is not None:
        whole = ~exposed_rows(groups, splits_of(dataset.folds))
        related["group"] = dict(zip(map(str, ids[whole]), groups[whole].tolist(), strict=True))
    return leaks(lineage(recipe, dataset, folder), related)


def _audit(
    recipe: Recipe,
    root: Path,
    train: Rows,
    codec: TargetCodec,
    folds: FoldTable,
    workers: int,
    folder: Path | None = None,
) -> list[Finding]:
    test: Rows | None = None
    gone: list[Finding] = []
    if recipe.data.test is not None:
        test, gone = _read(load_samples(recipe.data, root, test=True), recipe, workers)
    dataset = _dataset(root, train, test, codec, folds)
    known = [None if rows is None else _known(rows, workers) for rows in (train, test)]
    findings = audit_dataset(recipe, dataset, train=known[0], test=known[1])
    return [*gone, *findings, *_lineage_findings(recipe, dataset, folder)]


def _outcome(
    folder: Path, recipe: Recipe, root: Path, train: Rows, codec: TargetCodec, folds: FoldTable
) -> list[Finding]:
    oof = _predictions(folder / OOF, codec)
    answers = _predictions(folder / PREDICTIONS, codec)
    test = None
    if recipe.data.test is not None and answers is not None:
        samples = load_samples(recipe.data, root, test=True)
        test = Rows(samples.take(np.isin(samples.ids, answers.ids)))
    if oof is not None:
        oof = oof.take(np.isin(oof.ids, train.samples.ids))
    return audit_outcome(_dataset(root, train, test, codec, folds), oof, answers)


def _dataset(root: Path, train: Rows, test: Rows | None, codec: TargetCodec, folds: FoldTable) -> Dataset:
    return Dataset(root, train, test, codec, codec.encode(train.samples.frame), None, folds, folds.numbers)


def _known(rows: Rows, workers: int) -> Known:
    media = rows.samples.media
    return Known(facts=None if media is None else read_file_facts(media, workers=workers))


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
    level, fix = ("note", None) if recipe.data.on_bad_media == "drop" else ("error", "see `outfold check`")
    what = f"{count(len(gone), 'row')} left out of the audit, for the file cannot be read"
    return rows, [Finding(level, what, places_of(samples, gone), fix, "file-unreadable")]  # type: ignore[arg-type]


def _key(path: Path) -> str:
    try:
        return content_key(path)
    except MediaError:
        return ""


def _folds(recipe: Recipe, train: Rows, root: Path, gone: Sequence[str]) -> FoldTable:
    """The recipe's folds; the user's own ones even where they tear groups apart, which the audit then says."""
    keys = train.content or None
    if recipe.folds.column is None and recipe.folds.file is None:
        return make_folds(recipe.folds, train.samples, content_keys=keys, root=root)
    alone = recipe.folds.model_copy(update={"group": (), "duplicates": "ignore"})
    table = make_folds(alone, train.samples, root=root, dropped=gone)
    columns = [train.samples.frame[name] for name in recipe.folds.group]
    return replace(table, groups=link_groups(*columns)) if columns else table


def _predictions(path: Path, codec: TargetCodec) -> Predictions | None:
    if not path.exists():
        return None
    regression = codec.kind == "regression"
    space, prefix = ("value", "pred_") if regression else ("probability", "prob_")
    return Predictions.from_frame(pd.read_parquet(path), codec.outputs, space, prefix=prefix)  # type: ignore[arg-type]
