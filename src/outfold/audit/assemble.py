"""The whole audit: every check that a recipe and its data allow, and every check of finished predictions."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from outfold.audit.alignment import broken_identities, misaligned_columns
from outfold.audit.both_tables import against_test
from outfold.audit.choices import balance_findings, few_groups, quota_findings
from outfold.audit.crossings import copy_crossings, group_crossings
from outfold.audit.drift import serving_gaps
from outfold.audit.evenness import evenness_findings
from outfold.audit.features import table_features
from outfold.audit.known import Known, appearance, copies_of, linking
from outfold.audit.label_noise import label_noise
from outfold.audit.neighbours import neighbour_findings
from outfold.audit.outcome import constant_predictions, fold_scales, never_predicted, non_finite_predictions
from outfold.audit.splits import splits_of
from outfold.audit.table_inputs import declared, served_inputs, table_input_findings
from outfold.audit.telling import telling
from outfold.audit.unnamed import GroupLike, group_like_columns, unnamed_groups
from outfold.data.balance import primary_classes
from outfold.data.columns import cell_texts
from outfold.data.dataset import Dataset
from outfold.data.findings import LEVELS, Finding
from outfold.data.folds import link_groups
from outfold.data.folds.grouping import group_column
from outfold.data.folds.make import rows_of_rule
from outfold.data.label_checks import identity_findings
from outfold.data.predictions import Predictions
from outfold.data.rows import SOURCE, SOURCE_ROW
from outfold.data.source_checks import torn_recordings
from outfold.data.table import Samples
from outfold.settings.label import LabelStage
from outfold.settings.learning import Balance
from outfold.settings.recipe import Recipe
from outfold.settings.sums import Sums

NOTHING_HELD_OUT = Finding(
    "note",
    "nothing is held out (`folds: full`): there is no score, and no leak from training rows to judged ones to look for",
    (),
    "run the same recipe with folds to know what to expect",
    "nothing-held-out",
)


def audit_dataset(
    recipe: Recipe,
    dataset: Dataset,
    *,
    train: Known | None = None,
    test: Known | None = None,
    inputs: Sequence[str] = (),
    predicted_inputs: Sequence[str] = (),
    seed: int = 0,
) -> list[Finding]:
    """Everything that a recipe, its tables and its folds show before anything is trained.

    Args:
        recipe: the effective recipe.
        dataset: loaded data; photos are not needed.
        train: what else is known of the training rows.
        test: what else is known of the test rows.
        inputs: columns that the model reads besides the media, further to the table inputs of the recipe's members.
        predicted_inputs: those of them that an earlier stage predicts for the test table.
        seed: decides all that is drawn.

    Returns:
        Findings, errors first.
    """
    own, other = train or Known(), test or Known()
    samples, served = dataset.train.samples, None if dataset.test is None else dataset.test.samples.frame
    tables = [settings.table for _, _, settings in recipe.members() if settings.table is not None]
    needed, predicted = served_inputs(recipe)
    needed, predicted = [*inputs, *needed], list(dict.fromkeys([*predicted_inputs, *predicted]))
    inputs = list(dict.fromkeys([*inputs, *declared(tables)]))
    unnamed = group_like_columns(samples, dataset.target, ignore=_with_a_role(recipe, samples), seed=seed)
    across_folds = [NOTHING_HELD_OUT, *_labels_of_all_rows(recipe)]
    if not dataset.folds.whole:
        across_folds = [*_crossings(recipe, dataset, own, unnamed, seed), *_telling(recipe, dataset, own, inputs)]
    findings = [
        *across_folds,
        *_choices(recipe, dataset),
        *table_input_findings(tables, samples.frame, served),
        *against_test(recipe, dataset, own, other, [*recipe.folds.group, *(one.name for one in unnamed)], seed),
    ]
    findings += serving_gaps(predicted, samples.frame, pd.DataFrame(), predicted=predicted)
    if served is not None:
        findings += serving_gaps([name for name in needed if name not in predicted], samples.frame, served)
    return by_level(findings)


def audit_outcome(
    dataset: Dataset, oof: Predictions | None = None, test: Predictions | None = None, *, identities: Sums | None = None
) -> list[Finding]:
    """Everything that finished predictions show.

    Args:
        dataset: what they were made from.
        oof: out-of-fold predictions of training rows, as probabilities or values.
        test: predictions of the test table.
        identities: sums of targets that the recipe declares.

    Returns:
        Findings, errors first.
    """
    findings = [] if oof is None else _out_of_fold(dataset, oof, identities)
    if test is not None and dataset.test is not None:
        rows = _positions(test, dataset.test.samples)
        findings += non_finite_predictions(dataset.test.samples, test.values, rows, table="test")
        findings += constant_predictions(test.values, test.outputs, table="test")
        findings += broken_identities(
            dataset.target, test.values, test.outputs, dataset.codec.kind, table="test", declared=identities
        )
    return by_level(findings)


def by_level(findings: Sequence[Finding]) -> list[Finding]:
    """Errors, then warnings, then notes; each in the order they were found."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def _crossings(
    recipe: Recipe, dataset: Dataset, known: Known, unnamed: Sequence[GroupLike], seed: int
) -> Iterator[Finding]:
    """What folds tear apart: named groups, unnamed ones, copies, series of photos."""
    samples, splits = dataset.train.samples, splits_of(dataset.folds)
    named = {name: group_column(samples.frame[name], recipe.folds.unknown_group) for name in recipe.folds.group}
    yield from group_crossings(samples, named, splits, cut_rows(recipe, samples))
    yield from (replace(finding, level="error") for finding in torn_recordings(samples, dataset.folds))
    yield from unnamed_groups(samples, unnamed, splits)
    copies = copies_of(dataset.train, known)
    if copies is not None:
        sources = samples.frame.get(SOURCE)
        labels = _labels(samples, dataset.codec.columns)
        yield from copy_crossings(samples, copies, labels, splits, None if sources is None else sources.tolist())
    features, seen_by = appearance(known, seed)
    if features is not None:
        linked: list[Any] = [*named.values()]
        linked += [linking(one.codes) for one in unnamed]
        linked += [] if copies is None else [linking(copies)]
        groups = link_groups(*linked) if linked else None
        classes = np.zeros(len(samples), dtype=np.int64)
        if dataset.codec.kind != "regression":
            classes = np.unique(dataset.target, axis=0, return_inverse=True)[1].reshape(-1)
        names = list(map(str, samples.media or samples.ids))
        yield from neighbour_findings(samples, names, features, classes, splits, groups, seen_by=seen_by, seed=seed)


def _choices(recipe: Recipe, dataset: Dataset) -> Iterator[Finding]:
    """Settings that do too much or nothing on this table."""
    if dataset.codec.kind != "regression":
        target, names = dataset.target, dataset.codec.outputs
        if dataset.codec.kind == "binary":
            target, names = np.concatenate([1 - target, target], axis=1), tuple(map(str, dataset.codec.classes))
        chosen: dict[Balance, list[str]] = {}
        for stage, member, settings in recipe.members():
            if recipe.task_of(stage) is not recipe.task:
                continue  # an auxiliary stage has no classes
            chosen.setdefault(settings.balance, []).append(f"{stage}/{member}")
        for balance, members in chosen.items():
            where = members[0] + (f" and {len(members) - 1} more" if members[1:] else "")
            yield from balance_findings(balance, names, target, where)
        yield from _quotas(recipe, dataset, target, names)
    yield from identity_findings(recipe.task, dataset.train.samples, dataset.target)
    if dataset.folds.groups is not None:
        yield from few_groups(dataset.folds.groups, dataset.folds.fold)
    if recipe.folds.column is not None or recipe.folds.file is not None:
        names = recipe.folds.stratify or dataset.codec.columns
        strata = dataset.train.samples.frame[list(names)]
        yield from evenness_findings(dataset.folds.fold, strata, dataset.folds.groups)


def _labels_of_all_rows(recipe: Recipe) -> Iterator[Finding]:
    """Pseudo-labels where nothing is held out."""
    for name, stage in recipe.stages.items():
        if isinstance(stage, LabelStage):
            what = f"stage {name!r}: models of {stage.source!r} that trained on all rows give the pseudo-labels"
            impact = "nothing that a student learns from them is out of fold"
            fix = "run the same recipe with folds: each student then learns from teachers that held out the same rows"
            yield Finding("note", what, (), fix, "labels-not-out-of-fold", impact)


def _quotas(recipe: Recipe, dataset: Dataset, target: np.ndarray, names: Sequence[str]) -> Iterator[Finding]:
    """Floors and caps of rows a class that fire in no fold."""
    bounds = {
        (settings.class_floor, None if settings.class_cap is None else settings.class_cap.rows)
        for stage, _, settings in recipe.members()
        if recipe.task_of(stage) is recipe.task
    } - {(None, None)}
    if not bounds:
        return
    classes = primary_classes(target)
    trained = [classes[train] for train, _ in splits_of(dataset.folds)]
    by_fold = np.array([np.bincount(own[own >= 0], minlength=len(names)) for own in trained])
    for floor, cap in sorted(bounds, key=str):
        yield from quota_findings(_counts(names, by_fold.min(axis=0)), floor=floor)
        yield from quota_findings(_counts(names, by_fold.max(axis=0)), cap=cap)


def _counts(names: Sequence[str], counts: np.ndarray) -> dict[str, int]:
    """Rows by class, of those that have any."""
    return {name: int(count) for name, count in zip(names, counts, strict=True) if count}


def _telling(recipe: Recipe, dataset: Dataset, known: Known, inputs: Sequence[str]) -> list[Finding]:
    codec, folds = dataset.codec, dataset.folds
    ignore = [*codec.columns, *recipe.task.label_columns, *([recipe.folds.column] if recipe.folds.column else [])]
    features = table_features(dataset.train.samples, inputs=inputs, ignore=ignore)
    features += [] if known.facts is None else known.facts.features()
    return telling(features, dataset.target, codec.outputs, codec.kind, splits_of(folds), folds.groups)


def _out_of_fold(dataset: Dataset, oof: Predictions, identities: Sums | None) -> list[Finding]:
    codec, samples = dataset.codec, dataset.train.samples
    rows = _positions(oof, samples)
    target, values, fold = dataset.target[rows], oof.values, dataset.folds.fold[rows]
    findings = non_finite_predictions(samples, values, rows)
    findings += constant_predictions(values, oof.outputs, fold)
    if findings:
        return findings  # what follows would only say the same in other words
    groups = None if dataset.folds.groups is None else dataset.folds.groups[rows]
    findings += misaligned_columns(target, values, oof.outputs, codec.kind)
    findings += fold_scales(target, values, fold, codec.kind, oof.outputs, groups)
    findings += broken_identities(target, values, oof.outputs, codec.kind, declared=identities)
    if oof.space == "rank":
        return findings  # ranks claim no label that could be doubted, or never be given
    if codec.kind == "multiclass":
        findings += never_predicted(target, values, oof.outputs)
    unsure = None if dataset.secondary is None else dataset.secondary[rows]
    return findings + label_noise(samples, codec, target, values, rows, unsure)


def cut_rows(recipe: Recipe, samples: Samples) -> np.ndarray | None:
    """Bool (n,): rows whose groups the recipe cuts into virtual ones; None where it cuts none."""
    rules = [rows_of_rule(samples.frame, rule) for rule in recipe.folds.cut]
    return np.logical_or.reduce(rules) if rules else None


def _with_a_role(recipe: Recipe, samples: Samples) -> set[str]:
    """Columns that are no unnamed group, for the recipe says what they are."""
    folds, data = recipe.folds, recipe.data
    rating = None if data.rating is None else data.rating.column
    single = [name for name in (folds.column, folds.time, data.weight, rating) if name is not None]
    return {samples.id_column, SOURCE, SOURCE_ROW, *recipe.task.label_columns, *folds.group, *single}


def _labels(samples: Samples, columns: Sequence[str]) -> list[str]:
    cells = [cell_texts(samples.frame[name]) for name in columns]
    return [", ".join(map(str, row)) for row in zip(*cells, strict=True)]


def _positions(predictions: Predictions, samples: Samples) -> np.ndarray:
    """int64 (m,): the row of each prediction.

    Raises:
        DataError: a prediction is for an id that the table lacks.
    """
    rows = pd.Index(samples.ids).get_indexer(pd.Index(predictions.ids))
    if (rows < 0).any():
        predictions.aligned_to(samples.ids)  # says which ids differ
    return rows.astype(np.int64)
