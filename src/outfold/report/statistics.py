"""What the charts and tables show, computed on plain arrays; nothing here knows of pages or runs."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Confusions:
    """How often each class was taken for each: only the pairs that occur.

    Attributes:
        true: int64 (p,), class codes.
        predicted: int64 (p,), class codes.
        rows: int64 (p,), how often; never 0.
        classes: number of classes.
    """

    true: np.ndarray
    predicted: np.ndarray
    rows: np.ndarray
    classes: int

    @property
    def support(self) -> np.ndarray:
        """int64 (classes,): rows of each true class."""
        return np.bincount(self.true, self.rows, self.classes).astype(np.int64)

    @property
    def claimed(self) -> np.ndarray:
        """int64 (classes,): rows predicted as each class."""
        return np.bincount(self.predicted, self.rows, self.classes).astype(np.int64)

    @property
    def hits(self) -> np.ndarray:
        """int64 (classes,): rows of each class predicted as it."""
        right = self.true == self.predicted
        return np.bincount(self.true[right], self.rows[right], self.classes).astype(np.int64)

    def matrix(self) -> np.ndarray:
        """int64 (classes, classes), true by predicted."""
        table = np.zeros((self.classes, self.classes), dtype=np.int64)
        table[self.true, self.predicted] = self.rows
        return table

    def worst_pairs(self, most: int) -> list[tuple[int, int, int, float]]:
        """(true, predicted, rows, share of the true class), the most frequent mistakes first."""
        wrong = np.flatnonzero(self.true != self.predicted)
        share = self.rows[wrong] / self.support[self.true[wrong]]
        order = np.lexsort((-share, -self.rows[wrong]))[:most]
        return [
            (int(self.true[pair]), int(self.predicted[pair]), int(self.rows[pair]), float(part))
            for pair, part in zip(wrong[order], share[order], strict=True)
        ]


def confusions(true: np.ndarray, predicted: np.ndarray, classes: int) -> Confusions:
    """Count pairs of class codes, int (n,) and (n,)."""
    pairs, rows = np.unique(true.astype(np.int64) * classes + predicted, return_counts=True)
    return Confusions(pairs // classes, pairs % classes, rows, classes)


def precision_recall_f1(
    hits: np.ndarray, claimed: np.ndarray, support: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each (classes,): precision hits / claimed, recall hits / support, F1 2 hits / (claimed + support).

    NaN where the denominator is zero: precision of a class never predicted, recall of a class without rows.
    """
    precision, recall, f1 = (
        np.divide(above, below, out=np.full(len(hits), np.nan), where=below > 0)
        for above, below in ((hits, claimed), (hits, support), (2 * hits, claimed + support))
    )
    return precision, recall, f1


def roc_points(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates, each (m,), from (0, 0) to (1, 1), one point a distinct score.

    Args:
        positive: bool (n,), with both values present.
        scores: (n,), higher for the positive class.
    """
    true, false = _cumulative(positive, scores)
    return np.append(0, false / false[-1]), np.append(0, true / true[-1])


def precision_recall_points(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision, each (m,), by falling threshold; arguments as in `roc_points`."""
    true, false = _cumulative(positive, scores)
    return true / true[-1], true / (true + false)


def thin(x: np.ndarray, y: np.ndarray, most: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """At most `most` points of a curve, evenly spaced along it; the ends stay."""
    if len(x) <= most:
        return x, y
    along = np.append(0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    chosen = np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)).clip(max=len(x) - 1))
    return x[chosen], y[chosen]


@dataclass(frozen=True)
class Calibration:
    """Rows in bins of equal counts by predicted probability, each (bins,).

    Attributes:
        predicted: mean predicted probability.
        observed: share of rows that are positive.
        low: lower end of a 95% Wilson interval of `observed`.
        high: its upper end.
        rows: rows in the bin.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rows: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of predicted and observed, weighted by rows."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.rows))


def calibration(
    positive: np.ndarray, probability: np.ndarray, most_bins: int = 12, least_rows: int = 20
) -> Calibration:
    """Compare probabilities (n,) with what came true, bool (n,), in bins of equal counts."""
    bins = int(np.clip(len(probability) // least_rows, 1, most_bins))
    parts = np.array_split(np.argsort(probability, kind="stable"), bins)
    rows = np.array([len(part) for part in parts])
    predicted = np.array([probability[part].mean() for part in parts], dtype=np.float64)
    observed = np.array([positive[part].mean() for part in parts], dtype=np.float64)
    return Calibration(predicted, observed, *wilson(observed, rows), rows)


def wilson(share: np.ndarray, rows: np.ndarray, z: float = 1.959964) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a share of `rows`; E. B. Wilson, JASA 22 (1927), 209."""
    centre = (share + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z / (1 + z**2 / rows) * np.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    return centre - half, centre + half


def _cumulative(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positive and negative rows at or above each distinct score, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.cumsum(positive[order])[last_of_tie]
    return true, last_of_tie + 1 - true
