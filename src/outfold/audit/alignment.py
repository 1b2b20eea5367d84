"""Predictions against what their columns claim to be: columns in another order, sums that should hold and do not."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from outfold.data.breaches import ROUNDING
from outfold.data.findings import Finding, listed
from outfold.settings.sums import Sums
from outfold.settings.task import TaskKind

BETTER = 0.1
"""How much better moved columns must fit, on average, before another order of columns is claimed."""
ERRORS, ERRORS_OF_SUMS = 4.0, 2.5
"""The same in standard errors of a correlation, 1 / sqrt(n): for classes, and for the targets of a regression, whose
predictions share their errors where they are sums and parts, so that less is certain already."""
PARTS = 5
"""Into so many parts the rows are dealt; each by itself must claim the same order."""
MOST_COLUMNS = 10
"""Sums are looked for among no more target columns than this: their number doubles with each."""
ALMOST_ALL = 0.99
VIOLATED = 0.01
FEW_ROWS = 20


class Identity(NamedTuple):
    """One column that is the sum of others."""

    total: int
    parts: tuple[int, ...]


def misaligned_columns(
    target: np.ndarray, prediction: np.ndarray, outputs: Sequence[str], kind: TaskKind
) -> list[Finding]:
    """Prediction columns that go with other targets than their names say.

    The one-to-one pairing of columns that fits best should be the one the names give. The fit of two columns is their
    correlation; for a regression the mean of correlation and R², since sums correlate with their parts but are larger.
    Another pairing counts only where it fits better by far.

    Args:
        target: (n, k).
        prediction: (n, k), claimed to be in the same order.
        outputs: names of the k columns.
        kind: the task.
    """
    use = np.flatnonzero((np.ptp(target, axis=0) > 0) & (np.ptp(prediction, axis=0) > 0))
    if len(use) < 2 or len(target) < FEW_ROWS or not np.isfinite(prediction).all():
        return []
    fit = _fit(target[:, use].astype(np.float64), prediction[:, use].astype(np.float64), kind)
    columns, best = linear_sum_assignment(fit, maximize=True)
    moved = np.flatnonzero(best != columns)
    if not len(moved):
        return []
    own, other = fit[moved, moved], fit[moved, best[moved]]
    errors = ERRORS_OF_SUMS if kind == "regression" else ERRORS
    if (other - own).mean() < max(BETTER, errors / np.sqrt(len(target))):
        return []
    place = np.searchsorted(moved, best[moved])  # a pairing moves columns among themselves
    if not _in_every_part(target[:, use[moved]], prediction[:, use[moved]], kind, place):
        return []
    pairs = [
        f"`{outputs[use[place]]}` goes with `{outputs[use[best[place]]]}` (fit {better:.2f}, with its own {here:.2f})"
        for place, here, better in zip(moved, own, other, strict=True)
    ]
    what = f"{len(moved)} prediction columns fit other targets than their names say: {listed(pairs, 4)}"
    impact = "a score of such columns, or a loss with such weights, judges one target by another's prediction"
    fix = "align predictions, targets and weights by name, not by position"
    return [Finding("error", what, (), fix, "columns-misaligned", impact)]


def _fit(target: np.ndarray, prediction: np.ndarray, kind: TaskKind) -> np.ndarray:
    """How well each prediction (rows) fits each target (columns), float64 (k, k), at most 1."""
    k = target.shape[1]
    correlation = np.corrcoef(prediction.T, target.T)[:k, k:]
    if kind != "regression":
        return correlation
    error = ((prediction[:, :, None] - target[:, None, :]) ** 2).mean(axis=0)
    return (correlation + np.clip(1 - error / target.var(axis=0), -1, 1)) / 2


def _in_every_part(target: np.ndarray, prediction: np.ndarray, kind: TaskKind, pairing: np.ndarray) -> bool:
    """Whether each part of the rows by itself pairs columns in this way: noise does not repeat itself."""
    for part in range(PARTS):
        truth, guess = (values[part::PARTS].astype(np.float64) for values in (target, prediction))
        if (np.ptp(truth, axis=0) == 0).any() or (np.ptp(guess, axis=0) == 0).any():
            return False
        if not np.array_equal(linear_sum_assignment(_fit(truth, guess, kind), maximize=True)[1], pairing):
            return False
    return True


def identities(target: np.ndarray) -> list[Identity]:
    """Target columns that are exact sums of others on nearly all rows; the fewest parts for each, none given twice.

    Args:
        target: float (n, k); rows are compared up to rounding.
    """
    n, k = target.shape
    if k < 3 or k > MOST_COLUMNS or n < FEW_ROWS:
        return []
    values = target.astype(np.float64)
    scale = np.abs(values).mean(axis=0)
    found = []
    for total in range(k):
        # A column that is nearly always zero adds nothing that could be checked.
        others = [place for place in range(k) if place != total and scale[place] > 0]
        for parts in (parts for size in range(2, len(others) + 1) for parts in combinations(others, size)):
            gap = np.abs(values[:, total] - values[:, parts].sum(axis=1))
            if scale[total] > 0 and (gap <= ROUNDING * scale[total]).mean() >= ALMOST_ALL:
                found.append(Identity(total, parts))
                break
    return found


def broken_identities(
    target: np.ndarray,
    prediction: np.ndarray,
    outputs: Sequence[str],
    kind: TaskKind,
    *,
    table: str = "out-of-fold",
    declared: Sums | None = None,
) -> list[Finding]:
    """Sums that hold in the training labels, or are declared to, and do not hold in the predictions.

    Args:
        target: (n, k), training labels.
        prediction: (m, k), of any rows.
        outputs: names of the k columns.
        kind: the task; only a regression has sums.
        table: which predictions these are, for the sentence.
        declared: `task.identities`; of a column that they name, no other sum is looked for.
    """
    if kind != "regression" or not len(prediction):
        return []
    findings = []
    sums = (declared or {}).items()
    known = [Identity(outputs.index(name), tuple(map(outputs.index, parts))) for name, parts in sums]
    named = {one.total for one in known}
    for total, parts in [*known, *(one for one in identities(target) if one.total not in named)]:
        gap = np.abs(prediction[:, total] - prediction[:, parts].sum(axis=1)).astype(np.float64)
        size = max(float(np.abs(prediction[:, total]).mean()), 1e-12)
        if gap.mean() <= VIOLATED * size:
            continue
        sum_of = " + ".join(outputs[part] for part in parts)
        holds = "is declared and does not hold" if total in named else "holds in the labels and not"
        what = f"`{outputs[total]} = {sum_of}` {holds} in the {table} predictions"
        impact = (
            f"off by {gap.mean():.3g} on average, {gap.max():.3g} at most; `{outputs[total]}` is {size:.3g} on average"
        )
        fix = "predict the parts and add them up, after any threshold or clipping"
        findings.append(Finding("warning", what, (), fix, "identity-broken", impact))
    return findings
