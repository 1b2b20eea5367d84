"""What labels and folds show together: missing labels, rare classes, groups that swallow a class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from outfold.data.audio.labels import SoftTargets
from outfold.data.breaches import breach, breaking_rows, equation
from outfold.data.columns import require_columns, value_like
from outfold.data.findings import Finding, count, finding_of, listed, places_of
from outfold.data.folds import FoldTable
from outfold.data.label_sets import usable_cells
from outfold.data.table import Samples
from outfold.data.targets import TargetCodec
from outfold.errors import DataError
from outfold.settings.task import Task

LARGE_GROUP = 1.5
"""A group with more than this many times a fold's fair share of rows is worth a warning."""


def label_findings(task: Task, samples: Samples) -> tuple[list[Finding], np.ndarray]:
    """Rows whose label is missing or not allowed.

    Returns:
        The findings, and bool (n,): the rows with a usable label.
    """
    try:
        require_columns(samples.frame, task.target, role="a target", table="training table")
    except DataError as error:
        return [finding_of(error)], np.zeros(len(samples), dtype=bool)
    findings, usable = [], np.ones(len(samples), dtype=bool)
    for name in task.target:
        column = samples.frame[name]
        missing = column.isna().to_numpy(dtype=bool)
        wrong = ~missing & ~_allowed(task, column)
        usable &= ~(missing | wrong)
        if missing.any():
            what = f"{count(int(missing.sum()), 'row')} without a label in column {name!r}"
            fix = "fill them in, or leave the rows out (`where` of the source)"
            findings.append(Finding("error", what, places_of(samples, np.flatnonzero(missing)), fix))
        if wrong.any():
            notes = [f"label {label!r}" for label in column[wrong].tolist()]
            what = f"{count(len(notes), 'row')} with a label in column {name!r} that is not {_expected(task)}"
            findings.append(Finding("error", what, places_of(samples, np.flatnonzero(wrong), notes=notes)))
    return findings, usable


def class_members(codec: TargetCodec, target: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of the classes and bool (n, C), which rows are in them; no classes for a regression."""
    if codec.kind == "regression":
        return [], np.zeros((len(target), 0), dtype=bool)
    member = target >= 0.5
    if codec.kind == "binary":
        return [str(label) for label in codec.classes], np.concatenate([~member, member], axis=1)
    return list(codec.outputs), member


def class_findings(names: Sequence[str], member: np.ndarray, k: int) -> list[Finding]:
    """Classes too small for k folds.

    Args:
        names: the C classes.
        member: bool (n, C).
        k: folds.
    """
    if not names:
        return []
    counts = pd.Series(member.sum(axis=0), index=list(names)).sort_values(kind="stable")
    findings = [
        Finding(
            "note",
            f"{count(len(names), 'class', 'classes')}: {counts.iloc[0]:,} rows in the smallest ({counts.index[0]}), "
            f"{counts.iloc[-1]:,} in the largest ({counts.index[-1]})",
        )
    ]
    small = counts[counts < k]
    if len(small):
        shown = listed(f"{name} ({rows})" for name, rows in small.items())
        findings.append(
            Finding(
                "warning",
                f"{count(len(small), 'class', 'classes')} with fewer rows than the {k} folds: {shown}",
                fix=f"lower folds.k, join or leave out these classes, or add samples: in {k} folds "
                "some of them are not judged",
            )
        )
    return findings


def secondary_findings(task: Task, learned: SoftTargets | None) -> list[Finding]:
    """Secondary labels that are no class, with the number of rows that have them; None: the task has no such labels."""
    if task.secondary is None or learned is None or not learned.left_out:
        return []
    names = listed(f"{name} ({rows})" for name, rows in learned.left_out.items())
    what = f"{count(len(learned.left_out), 'secondary label')} in column {task.secondary.column!r} without a class"
    fix = "nothing, if they are not to be predicted; else name them in task.classes, or correct them"
    return [Finding("warning", f"{what}, which nothing is learned of (rows that have them): {names}", fix=fix)]


def identity_findings(task: Task, samples: Samples, target: np.ndarray) -> list[Finding]:
    """Training rows that break a declared sum of targets by more than rounding.

    Args:
        task: the recipe's, whose `identities` are looked at.
        samples: n rows.
        target: (n, k), their targets in the order of `task.target`.
    """
    findings = []
    for total, parts in task.identities.items():
        rows = breaking_rows(target, task.target, total, parts)
        if len(rows):
            off = breach(target, task.target, total, parts)[rows]
            what = f"{count(len(rows), 'row')} where `{equation(total, parts)}` does not hold, as task.identities say"
            fix = "mend the labels; or leave the identity out, where it is none"
            places = places_of(samples, rows, notes=[f"off by {one:.4g}" for one in off])
            impact = f"off by {off.mean():.4g} on average, {off.max():.4g} at most, in the target's unit"
            findings.append(Finding("warning", what, places, fix, "labels-break-identity", impact))
    return findings


def fold_findings(table: FoldTable, names: Sequence[str], member: np.ndarray, samples: Samples) -> list[Finding]:
    """Folds that cannot judge every class fairly.

    Args:
        table: the folds of the rows, n.
        names: the C classes; none for a regression.
        member: bool (n, C), which rows are in which class.
        samples: the same rows.
    """
    if table.whole:
        return []
    folds = np.unique(table.fold)
    counts = np.stack([member[table.fold == fold].sum(axis=0) for fold in folds])
    findings = _swallowed_classes(table, names, member, samples)
    findings += _absent_classes(folds, names, counts)
    findings += _large_groups(table, samples, len(folds))
    sizes = [int((table.fold == fold).sum()) for fold in folds]
    findings.append(Finding("note", f"{len(folds)} folds of {min(sizes):,} to {max(sizes):,} rows"))
    return findings


def _allowed(task: Task, column: pd.Series) -> np.ndarray:
    """Bool (n,): the cells that are labels of this task."""
    if task.label_sets:
        return usable_cells(column, None if task.classes is None else list(map(str, task.classes)))
    if task.kind in ("multilabel", "regression"):
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return np.isin(values, (0, 1)) if task.kind == "multilabel" else np.abs(values) <= np.finfo(np.float32).max
    if task.classes is None:
        return np.ones(len(column), dtype=bool)
    return column.isin([value_like(label, column) for label in task.classes]).to_numpy(dtype=bool)


def _expected(task: Task) -> str:
    if task.label_sets:
        among = "" if task.classes is None else f" among the classes {listed(task.classes, 10)}"
        return f"a label or a list of labels{among}"
    if task.kind == "multilabel":
        return "0 or 1"
    return "a finite number" if task.kind == "regression" else f"among the classes {listed(task.classes or (), 10)}"


def _swallowed_classes(table: FoldTable, names: Sequence[str], member: np.ndarray, samples: Samples) -> list[Finding]:
    """Classes with all their rows in one fold: the models that predict them there have never seen them."""
    findings = []
    for place, name in enumerate(names):
        rows = np.flatnonzero(member[:, place])
        if not len(rows) or len(np.unique(table.fold[rows])) > 1:
            continue
        one_group = table.groups is not None and len(rows) > 1 and len(np.unique(table.groups[rows])) == 1
        why = "one group holds them all" if one_group else "there is only one" if len(rows) == 1 else "by chance"
        what = (
            f"all rows of class {name} ({len(rows):,}) are in fold {table.fold[rows[0]]} ({why}): "
            "the models that predict them have never seen the class"
        )
        fix = (
            "add samples of this class from other groups, or leave it out" if one_group else "add samples, or stratify"
        )
        findings.append(Finding("warning", what, places_of(samples, rows), fix))
    return findings


def _absent_classes(folds: np.ndarray, names: Sequence[str], counts: np.ndarray) -> list[Finding]:
    """Folds without any row of a class that several other folds have; `counts` (folds, C)."""
    findings = []
    spread = (counts > 0).sum(axis=0) > 1
    for fold, here in zip(folds, counts, strict=True):
        absent = [name for name, rows, known in zip(names, here, spread, strict=True) if known and not rows]
        if absent:
            what = f"fold {fold} has no row of {count(len(absent), 'class', 'classes')}: {listed(absent)}"
            findings.append(Finding("warning", what, fix="use fewer folds, or stratify them by the target"))
    return findings


def _large_groups(table: FoldTable, samples: Samples, k: int) -> list[Finding]:
    """Groups so large that folds cannot be even."""
    if table.groups is None:
        return []
    groups, sizes = np.unique(table.groups, return_counts=True)
    findings = [Finding("note", f"{count(len(groups), 'group')}, the largest of {count(int(sizes.max()), 'row')}")]
    for group in groups[sizes > LARGE_GROUP * len(samples) / k]:
        rows = np.flatnonzero(table.groups == group)
        what = f"one group holds {count(len(rows), 'row')}, {len(rows) / len(samples):.0%} of the table"
        findings.append(
            Finding("warning", f"{what}: folds are uneven", places_of(samples, rows), "is this group meant?")
        )
    return findings
