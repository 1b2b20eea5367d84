"""Metrics of probabilities and of regression values, as weighted means over rows."""

import numpy as np

from outfold.metrics.statistic import Statistic, ratio, row_mean


def log_loss_multiclass(target: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Mean of -log(probability of the true class), probabilities kept inside [eps, 1 - eps] of their float type."""
    return row_mean(-(np.log(_inside(prediction)) * target).sum(axis=1, dtype=np.float64))


def log_loss_labels(target: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Mean binary log loss over rows and labels (n, k), clipped likewise."""
    inside = _inside(prediction)
    loss = -(target * np.log(inside) + (1 - target) * np.log1p(-inside))
    return row_mean(loss.mean(axis=1, dtype=np.float64))


def mean_absolute_error(target: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Mean |y - p| over rows and targets, in the target's unit."""
    return row_mean(np.abs(_error(target, prediction)).mean(axis=1))


def root_mean_squared_error(target: np.ndarray, prediction: np.ndarray) -> Statistic:
    """Square root of the mean (y - p)^2 of each target, then the mean over targets."""
    squares = (_error(target, prediction) ** 2).T
    return lambda weights: np.sqrt(ratio(squares @ weights, weights.sum(axis=0))).mean(axis=0)


def r_squared(target: np.ndarray, prediction: np.ndarray) -> Statistic:
    """1 - sum (y - p)^2 / sum (y - mean y)^2 of each target, then the mean over targets.

    A target without spread counts 1 where it is predicted exactly and 0 otherwise, as in scikit-learn; a single row
    has no score.
    """
    squares = (_error(target, prediction) ** 2).T
    centred = (target.astype(np.float64) - target.mean(axis=0, dtype=np.float64)).T

    def statistic(weights: np.ndarray) -> np.ndarray:
        total = weights.sum(axis=0)
        residual, moment = squares @ weights, centred**2 @ weights
        spread = moment - ratio((centred @ weights) ** 2, total)
        spread[spread < 1e-12 * moment] = 0  # what rounding leaves of a constant
        flat = (residual == 0).astype(np.float64)
        score = np.where(spread > 0, 1 - ratio(residual, spread), flat).mean(axis=0)
        return np.where((weights > 0).sum(axis=0) > 1, score, np.nan)

    return statistic


def _inside(prediction: np.ndarray) -> np.ndarray:
    edge = np.finfo(prediction.dtype).eps
    return np.clip(prediction, edge, 1 - edge).astype(np.float64)


def _error(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return target.astype(np.float64) - prediction
