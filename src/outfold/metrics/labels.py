"""Metrics that judge labels: the most probable class, or every label with a probability of at least one half."""

from collections.abc import Callable

import numpy as np

from outfold.metrics.statistic import Statistic, binning, ratio, row_mean

Counts = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Weights (n, r) -> weights of hits, of true and of predicted members, each (classes, r)."""

Average = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Hits, true and predicted members, each (classes, r) -> (r,)."""


def accuracy_multiclass(target: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Share of rows whose most probable class (the first of equals) is the true one."""
    return row_mean((target.argmax(axis=1) == prediction.argmax(axis=1)).astype(np.float64))


def accuracy_labels(target: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Share of rows with every label right; with several labels this is scikit-learn's subset accuracy."""
    return row_mean(((target >= 0.5) == (prediction >= 0.5)).all(axis=1).astype(np.float64))


def f1_multiclass(average: Average) -> Callable[[np.ndarray, np.ndarray], Statistic]:
    """F1 over classes, each row having exactly one."""
    return lambda target, prediction: _averaged(
        average, _counts_of_classes(target.argmax(axis=1), prediction.argmax(axis=1), target.shape[1])
    )


def f1_both_classes(average: Average) -> Callable[[np.ndarray, np.ndarray], Statistic]:
    """F1 over the two classes of a binary task (n, 1)."""
    return lambda target, prediction: _averaged(
        average,
        _counts_of_classes((target[:, 0] >= 0.5).astype(np.int64), (prediction[:, 0] >= 0.5).astype(np.int64), 2),
    )


def f1_labels(average: Average) -> Callable[[np.ndarray, np.ndarray], Statistic]:
    """F1 over independent labels; for a binary task (n, 1) the F1 of the positive class."""
    return lambda target, prediction: _averaged(average, _counts_of_labels(target >= 0.5, prediction >= 0.5))


def macro_present(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes that occur among true or predicted labels, as scikit-learn when it is given no list."""
    present = (true + predicted) > 0
    return ratio(_f1(hits, true, predicted).sum(axis=0), present.sum(axis=0).astype(np.float64))


def macro_all(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean F1 over all labels; one that is neither true nor predicted anywhere counts 0 (zero_division=0)."""
    return _f1(hits, true, predicted).mean(axis=0)


def micro(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 of the counts of all classes together."""
    return _f1(hits.sum(axis=0), true.sum(axis=0), predicted.sum(axis=0))


def weighted(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Mean F1 weighted by the true members of each class."""
    return ratio((_f1(hits, true, predicted) * true).sum(axis=0), true.sum(axis=0), 0.0)


def _f1(hits: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    # 2PR/(P+R) written in counts; 0 where precision or recall is undefined.
    return ratio(2 * hits, true + predicted, 0.0)


def _averaged(average: Average, counts: Counts) -> Statistic:
    return lambda weights: average(*counts(weights))


def _counts_of_classes(true: np.ndarray, predicted: np.ndarray, classes: int) -> Counts:
    hit_rows = np.flatnonzero(true == predicted)
    hits = binning(true[hit_rows], classes, hit_rows, len(true))
    all_true, all_predicted = binning(true, classes), binning(predicted, classes)
    return lambda weights: (hits @ weights, all_true @ weights, all_predicted @ weights)


def _counts_of_labels(true: np.ndarray, predicted: np.ndarray) -> Counts:
    hits, all_true, all_predicted = (part.T.astype(np.float64) for part in (true & predicted, true, predicted))
    return lambda weights: (hits @ weights, all_true @ weights, all_predicted @ weights)
