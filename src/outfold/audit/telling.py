"""Columns, names and file facts that predict the target too well alone, each judged out of fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from outfold.audit.features import Feature
from outfold.audit.splits import Split, judged_rows
from outfold.data.findings import Finding, Level, count, listed
from outfold.metrics import Metric, get_metric, interval
from outfold.settings.task import TaskKind

PRIOR_ROWS = 5.0
"""Rows of the average that each bin's mean is mixed with."""
RESAMPLES = 200
MOST_CLASSES = 30
"""Of more classes only the most frequent are judged."""
SHOWN = 6
NEVER_BY_CHANCE = 1e-9
"""A value whose rows all have one label is told where chance would make it so less often than this."""


class Bounds(NamedTuple):
    """From which score on a feature is worth a word, looks suspicious, or is the answer itself."""

    auc: float
    r2: float

    def reached(self, score: float, kind: TaskKind) -> bool:
        """Whether a score is at least that good."""
        return score >= (self.r2 if kind == "regression" else self.auc)


FILE_TELLS = Bounds(auc=0.70, r2=0.25)
"""Facts of a file should say little: a network can see compression and size in the pixels."""
COLUMN_TELLS = Bounds(auc=0.85, r2=0.50)
NEARLY_ALL = Bounds(auc=0.95, r2=0.90)
THE_ANSWER = Bounds(auc=0.995, r2=0.99)


@dataclass(frozen=True)
class Told:
    """How well one feature predicts the target alone, out of fold."""

    feature: Feature
    score: float
    """Macro ROC-AUC, or for a regression the R² of the target it predicts best."""
    low: float
    high: float
    """95% interval over groups of rows; NaN before it is asked for."""
    best: str
    """The class or target column it says most about."""
    pure: str = ""
    """A value of it whose rows all have one label, in words."""


def predict_alone(bins: np.ndarray, target: np.ndarray, splits: Sequence[Split]) -> np.ndarray:
    """Predict the target from one binned feature: the training rows' mean in each bin, drawn towards their average.

    Args:
        bins: int64 (n,), 0..B-1.
        target: float (n, k).
        splits: rows that train and rows that are judged.

    Returns:
        float64 (n, k): above or below the training rows' average; rows that no split judges are 0.
    """
    totals = np.zeros_like(target, dtype=np.float64)
    times = np.zeros((len(bins), 1))
    size = int(bins.max()) + 1
    for train, valid in splits:
        average = target[train].mean(axis=0, dtype=np.float64)
        rows = np.bincount(bins[train], minlength=size)[:, None]
        sums = np.stack(
            [np.bincount(bins[train], weights=column, minlength=size) for column in target[train].T], axis=1
        )
        means = (sums - rows * average) / (rows + PRIOR_ROWS)
        totals[valid] += means[bins[valid]]
        times[valid] += 1
    return totals / np.maximum(times, 1)


def auc_by_column(target: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """ROC-AUC of each column, float64 (k,); NaN for columns of one class."""
    return _by_column(get_metric("roc_auc", "binary"), target, scores)


def r2_by_column(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """R² of each column, float64 (k,); NaN for constant targets."""
    return np.where(np.ptp(target, axis=0) > 0, _by_column(get_metric("r2", "regression"), target, prediction), np.nan)


def _by_column(metric: Metric, target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    columns = [slice(place, place + 1) for place in range(target.shape[1])]
    return np.array([metric.function(target[:, column], prediction[:, column]) for column in columns])


def told_by(
    feature: Feature,
    target: np.ndarray,
    names: Sequence[str],
    kind: TaskKind,
    splits: Sequence[Split],
    groups: np.ndarray | None = None,
    *,
    with_interval: bool = True,
) -> Told:
    """Judge one feature.

    Args:
        feature: n rows.
        target: (n, k) as encoded by `TargetCodec`.
        names: of the k outputs.
        kind: the task.
        splits: grouped ones, or an id that several rows share is known by heart.
        groups: (n,) labels; the interval draws whole groups.
        with_interval: False leaves low and high NaN, which is much faster.
    """
    rows = judged_rows(splits)
    places = _judged_columns(target, kind)
    truth = target[:, places].astype(np.float64)
    guess = predict_alone(feature.bins(), truth, splits)
    truth, guess = truth[rows], guess[rows]
    if kind == "regression":
        guess = guess + truth.mean(axis=0)
        scores = r2_by_column(truth, guess)
    else:
        scores = auc_by_column(truth, guess)
    if np.isnan(scores).all():
        return Told(feature, float("nan"), float("nan"), float("nan"), "")
    best = int(np.nanargmax(scores))
    score = float(np.nanmax(scores) if kind == "regression" else np.nanmean(scores))
    low = high = float("nan")
    if with_interval:
        columns = [best] if kind == "regression" else list(range(len(places)))
        metric = get_metric("r2", "regression") if kind == "regression" else get_metric("macro_roc_auc", "multilabel")
        own = None if groups is None else groups[rows]
        low, high = interval(metric, truth[:, columns], guess[:, columns], own, n_resamples=RESAMPLES)
    return Told(feature, score, low, high, str(names[places[best]]))


def telling(
    features: Sequence[Feature],
    target: np.ndarray,
    names: Sequence[str],
    kind: TaskKind,
    splits: Sequence[Split],
    groups: np.ndarray | None = None,
) -> list[Finding]:
    """What predicts the target too well alone, the worst first.

    A fact of the file that does is a warning: a network can see it in the pixels. A declared input may predict, but one
    that is the answer is an error. Other columns are no input and harm nothing yet; they share one note.

    Args:
        features: things known of the n rows, without the target's own columns.
        target: (n, k) as encoded by `TargetCodec`.
        names: of the k outputs; for a binary task the positive class.
        kind: the task.
        splits: rows that train and rows that are judged.
        groups: (n,) labels; intervals draw whole groups.
    """
    quick = [told_by(one, target, names, kind, splits, groups, with_interval=False) for one in features]
    words = [_pure_value(told.feature, target, names, kind) for told in quick]
    worth = [
        (told, pure)
        for told, pure in zip(quick, words, strict=True)
        if _bounds(told).reached(told.score, kind) or (pure and told.feature.origin in ("column", "input"))
    ]
    judged = [_with_interval(told, pure, target, names, kind, splits, groups) for told, pure in worth]
    sure = [told for told in judged if told.low > (0 if kind == "regression" else 0.5) or told.pure]
    sure.sort(key=lambda told: -told.score)
    findings = [_file_finding(told, kind) for told in sure if told.feature.origin == "file"]
    findings += [_input_finding(told, kind) for told in sure if told.feature.origin == "input"]
    return findings + _notes([told for told in sure if told.feature.origin in ("column", "name")], kind)


def _bounds(told: Told) -> Bounds:
    return FILE_TELLS if told.feature.origin == "file" else COLUMN_TELLS


def _judged_columns(target: np.ndarray, kind: TaskKind) -> np.ndarray:
    if kind == "regression" or target.shape[1] <= MOST_CLASSES:
        return np.arange(target.shape[1])
    return np.sort(np.argsort(-target.sum(axis=0), kind="stable")[:MOST_CLASSES])


def _with_interval(
    told: Told,
    pure: str,
    target: np.ndarray,
    names: Sequence[str],
    kind: TaskKind,
    splits: Sequence[Split],
    groups: np.ndarray | None,
) -> Told:
    again = told_by(told.feature, target, names, kind, splits, groups)
    return Told(again.feature, again.score, again.low, again.high, again.best, pure)


def _file_finding(told: Told, kind: TaskKind) -> Finding:
    level: Level = "error" if THE_ANSWER.reached(told.score, kind) else "warning"
    what = f"{told.feature.name} alone predicts {_goal(told, kind)}"
    fix = (
        "look how files of different labels were made (camera, export, compression, source); resize or recompress all "
        "alike, and see whether the test table shows the same"
    )
    return Finding(level, what, (), fix, "file-tells-target", figures(told, kind))


def _input_finding(told: Told, kind: TaskKind) -> Finding:
    answer = THE_ANSWER.reached(told.score, kind)
    what = f"the declared input {told.feature.name} alone predicts {_goal(told, kind)}"
    what += ": it looks like the target itself" if answer else ""
    fix = (
        "make sure that it is known before the target is, and is in the test table; else take it out of the inputs"
        if answer or NEARLY_ALL.reached(told.score, kind)
        else "inputs may predict; see what the model adds to it"
    )
    level: Level = "error" if answer else "warning" if NEARLY_ALL.reached(told.score, kind) else "note"
    rule = "input-is-the-answer" if answer else "input-tells-target"
    return Finding(level, what, (), fix, rule, figures(told, kind))


def _notes(sure: Sequence[Told], kind: TaskKind) -> list[Finding]:
    """One note for everything that is no input: it cannot harm this run, and class folders alone would fill a page."""
    if not sure:
        return []
    what = f"{count(len(sure), 'thing')} in the table would give the target away as an input: "
    what += listed((told.feature.name for told in sure), SHOWN)
    impact = "; ".join(f"{told.feature.name}: {figures(told, kind)}" for told in sure[:SHOWN])
    fix = (
        "never use them as inputs; an id, an order or a date that tells is a sign that labels were collected one after "
        "the other, in ways that their files may show too"
    )
    return [Finding("note", what, (), fix, "column-tells-target", impact)]


def figures(told: Told, kind: TaskKind) -> str:
    """The score with its interval and what chance gives, in words."""
    name, chance = ("R²", "0") if kind == "regression" else ("ROC-AUC", "0.5")
    text = f"{name} {told.score:.3f} out of fold ({told.low:.3f} to {told.high:.3f}, chance {chance})"
    return f"{text}, {told.pure}" if told.pure and not NEARLY_ALL.reached(told.score, kind) else text


def _goal(told: Told, kind: TaskKind) -> str:
    return f"`{told.best}`" if kind == "regression" else "the target"


def _pure_value(feature: Feature, target: np.ndarray, names: Sequence[str], kind: TaskKind) -> str:
    """A category whose rows all have one label, where chance would hardly make it so; empty where there is none."""
    if not feature.categories or kind in ("regression", "multilabel"):
        return ""
    known = ~np.isnan(feature.values)
    codes = feature.values[known].astype(np.int64)
    member = target if kind == "multiclass" else np.concatenate([1 - target, target], axis=1)
    labels = list(names) if kind == "multiclass" else [f"not {names[0]}", names[0]]
    counts = np.zeros((len(feature.categories), len(labels)))
    np.add.at(counts, (codes, member[known].argmax(axis=1)), 1)
    rows, label = counts.sum(axis=1), counts.argmax(axis=1)
    shares = member.mean(axis=0)[label]
    pure = (counts.max(axis=1) == rows) & (rows > 0) & (rows * np.log(shares.clip(1e-12)) < np.log(NEVER_BY_CHANCE))
    if not pure.any():
        return ""
    value = int(np.where(pure, rows, 0).argmax())
    return f"all {int(rows[value]):,} rows with {feature.categories[value]!r} are {labels[label[value]]}"
