"""What is wrong with finished predictions: constants, gaps, folds on different scales, silent inputs."""

from collections.abc import Sequence

import numpy as np

from outfold.audit.telling import auc_by_column
from outfold.data.findings import Finding, count, listed, places_of
from outfold.data.table import Samples
from outfold.ensemble.ranks import fold_ranks
from outfold.settings.task import TaskKind

SCALES_COST = 0.01
"""ROC-AUC that ranks inside each fold gain, from which on folds are on different scales."""
OFF_BY, CERTAIN = 0.5, 4.0
"""Mean residual of a fold, in deviations of residuals and in standard errors over groups, that is worth a word."""
FEW_ROWS = 5


def constant_predictions(
    prediction: np.ndarray, outputs: Sequence[str], fold: np.ndarray | None = None, *, table: str = "out-of-fold"
) -> list[Finding]:
    """Columns of one value: all zero, or the same for every row, over everything or within a fold.

    Args:
        prediction: float (n, k).
        outputs: names of the k columns.
        fold: int (n,), the fold each row was predicted for; None judges all rows together.
        table: which predictions these are, for the sentence.
    """
    if len(prediction) < 2:
        return []
    flat = np.ptp(prediction, axis=0) == 0
    findings = []
    if flat.any():
        values = sorted({float(value) for value in prediction[0, flat]})
        name = "all zero" if values == [0.0] else "the same on every row"
        what = f"{table} predictions are {name} in {_columns(outputs, flat)}"
        fix = "no model answered here: look for a worker that failed, and predict again instead of filling in"
        findings.append(Finding("error", what, (), fix, "constant-predictions", f"{len(prediction):,} rows"))
    for number in np.unique(fold) if fold is not None else ():
        here = prediction[fold == number]
        dead = (np.ptp(here, axis=0) == 0) & ~flat
        if dead.any() and len(here) >= FEW_ROWS:
            what = f"{table} predictions of fold {number} are the same on every row in {_columns(outputs, dead)}"
            fix = "this fold's model did not learn or was not loaded: see its training, and train it again"
            findings.append(Finding("error", what, (), fix, "constant-predictions", f"{len(here):,} rows"))
    return findings


def non_finite_predictions(
    samples: Samples, prediction: np.ndarray, rows: np.ndarray, *, table: str = "out-of-fold"
) -> list[Finding]:
    """Predictions that are no numbers.

    Args:
        samples: the table.
        prediction: float (m, k).
        rows: int (m,), which of the samples they are for.
        table: which predictions these are, for the sentence.
    """
    bad = np.flatnonzero(~np.isfinite(prediction).all(axis=1))
    if not len(bad):
        return []
    what = f"{count(len(bad), 'row')} of the {table} predictions are not finite"
    fix = "look at these rows' inputs: a silent recording or a constant photo divided by its deviation gives NaN"
    return [Finding("error", what, places_of(samples, rows[bad]), fix, "non-finite-predictions")]


def constant_inputs(samples: Samples, deviation: np.ndarray, *, limit: float = 1e-8) -> list[Finding]:
    """Recordings that are silent and photos of one colour: divided by their own deviation they become NaN.

    Args:
        samples: the rows, n.
        deviation: float (n,), standard deviation of each row's input as it is read.
        limit: up to this an input counts as constant.
    """
    silent = np.flatnonzero(~(deviation > limit))
    if not len(silent):
        return []
    what = f"{count(len(silent), 'input')} without any variation (silence, or one colour)"
    impact = "normalised by their own deviation they become NaN, and with them the weights"
    fix = "leave them out, or add a small number to the deviation before dividing"
    return [Finding("warning", what, places_of(samples, silent), fix, "constant-input", impact)]


def never_predicted(target: np.ndarray, prediction: np.ndarray, outputs: Sequence[str]) -> list[Finding]:
    """Classes that no out-of-fold prediction ever chooses, although they have rows (multiclass)."""
    rows = target.sum(axis=0)
    chosen = np.bincount(prediction.argmax(axis=1), minlength=target.shape[1])
    never = np.flatnonzero((rows >= FEW_ROWS) & (chosen == 0))
    if not len(never):
        return []
    listing = listed(f"{outputs[int(place)]} ({int(rows[place]):,} rows)" for place in never)
    what = f"{count(len(never), 'class', 'classes')} never predicted: {listing}"
    impact = (
        f"{int(rows[never].sum()):,} of {len(target):,} rows are wrong for certain; macro F1 counts each class as 0"
    )
    fix = "balance classes (balance: class_weight or sampler), add rows, or join classes"
    return [Finding("warning", what, (), fix, "class-never-predicted", impact)]


def fold_scales(
    target: np.ndarray,
    prediction: np.ndarray,
    fold: np.ndarray,
    kind: TaskKind,
    outputs: Sequence[str],
    groups: np.ndarray | None = None,
) -> list[Finding]:
    """Folds whose predictions are on different scales, so that pooling them costs score.

    For classes: ROC-AUC of all rows together, against ROC-AUC of ranks inside each fold. For a regression: folds whose
    mean residual is far from that of the others.

    Args:
        target: (n, k) as encoded by `TargetCodec`.
        prediction: (n, k) out-of-fold.
        fold: int (n,).
        kind: the task.
        outputs: names of the k columns.
        groups: int (n,); a regression's standard errors are over groups. Rows when not given.
    """
    if len(np.unique(fold)) < 2:
        return []
    if kind == "regression":
        return _biased_folds(target, prediction, fold, outputs, np.arange(len(fold)) if groups is None else groups)
    pooled, ranked = (_mean_auc(target, values) for values in (prediction, fold_ranks(prediction, fold)))
    if not ranked - pooled >= SCALES_COST:
        return []
    what = "folds' predictions are on different scales"
    impact = f"ROC-AUC {pooled:.3f} of all rows together, {ranked:.3f} when ranks are taken inside each fold first"
    fix = "rank-normalise inside each fold before pooling, and average ranks over the folds' models on the test table"
    return [Finding("warning", what, (), fix, "fold-scales-differ", impact)]


def _mean_auc(target: np.ndarray, scores: np.ndarray) -> float:
    values = auc_by_column(target, scores)
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _biased_folds(
    target: np.ndarray, prediction: np.ndarray, fold: np.ndarray, outputs: Sequence[str], groups: np.ndarray
) -> list[Finding]:
    findings = []
    for place, name in enumerate(outputs):
        residual = (prediction[:, place] - target[:, place]).astype(np.float64)
        spread = residual.std()
        off = []
        for number in np.unique(fold):
            here, there = residual[fold == number], residual[fold != number]
            units = max(len(np.unique(groups[fold == number])), 1)
            bias = here.mean() - there.mean()
            if spread > 0 and abs(bias) > OFF_BY * spread and abs(bias) > CERTAIN * spread / np.sqrt(units):
                off.append(f"fold {number} by {bias:+.4g}")
        if off:
            what = f"predictions of `{name}` are shifted in {listed(off)} against the other folds"
            impact = f"residuals' deviation is {spread:.4g}"
            fix = "see whether these folds hold other sites or dates; stratify by the target, or search more even folds"
            findings.append(Finding("warning", what, (), fix, "fold-scales-differ", impact))
    return findings


def _columns(outputs: Sequence[str], chosen: np.ndarray) -> str:
    names = [f"`{name}`" for name, here in zip(outputs, chosen, strict=True) if here]
    return f"all {len(names)} columns" if len(names) == len(outputs) > 1 else listed(names)
