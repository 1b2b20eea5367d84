"""Metrics of probabilities and of regression values, as weighted means over rows."""

from collections.abc import Sequence

import numpy as np

from outfold.errors import DataError
from outfold.metrics.statistic import Kernel, Statistic, ratio, row_mean


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
        score = _explained(squares @ weights, centred**2 @ weights, centred @ weights, total).mean(axis=0)
        return np.where((weights > 0).sum(axis=0) > 1, score, np.nan)

    return statistic


def weighted_r_squared(target_weights: Sequence[float] | None = None) -> Kernel:
    """1 - sum w (y - p)^2 / sum w (y - m)^2 over all cells (row, target) together, with m = sum w y / sum w.

    w is the weight of a cell's target and m one number for all targets, so that a target of large values counts more
    than its weight alone says. It is neither a mean of R^2 by target nor an R^2 of cells that count alike.

    Args:
        target_weights: (k,) positive, in the order of the targets; all alike when not given. Their scale does not
            matter.

    Raises:
        DataError: when it is used, the weights are not k positive numbers.
    """

    def kernel(target: np.ndarray, prediction: np.ndarray) -> Statistic:
        k = target.shape[1]
        shares = _shares(target_weights, k)
        centre = target.mean(axis=0, dtype=np.float64) @ shares
        squares = _error(target, prediction) ** 2 @ shares
        centred = target.astype(np.float64) - centre
        moments, sums = centred**2 @ shares, centred @ shares

        def statistic(weights: np.ndarray) -> np.ndarray:
            score = _explained(squares @ weights, moments @ weights, sums @ weights, weights.sum(axis=0))
            return np.where((weights > 0).sum(axis=0) * k > 1, score, np.nan)

        return statistic

    return kernel


def _shares(target_weights: Sequence[float] | None, k: int) -> np.ndarray:
    """Weights of k targets as float64 (k,) with a sum of one."""
    weights = np.ones(k) if target_weights is None else np.asarray(target_weights, dtype=np.float64)
    if weights.shape != (k,) or not (np.isfinite(weights) & (weights > 0)).all():
        expected = f"{k} positive numbers"
        raise DataError("the target weights do not fit the targets", got=target_weights, expected=expected)
    return weights / weights.sum()


def _explained(residual: np.ndarray, moment: np.ndarray, shift: np.ndarray, total: np.ndarray) -> np.ndarray:
    """1 - residual / spread; without spread 1 where nothing is left to explain, else 0, as in scikit-learn.

    Args:
        residual: (.., r) weighted sums of (y - p)^2.
        moment: (.., r) weighted sums of (y - c)^2 around any constant c near the mean.
        shift: (.., r) weighted sums of y - c.
        total: (r,) sums of weights.
    """
    spread = moment - ratio(shift**2, total)
    spread[spread < 1e-12 * moment] = 0  # what rounding leaves of a constant
    return np.where(spread > 0, 1 - ratio(residual, spread), (residual == 0).astype(np.float64))


def _inside(prediction: np.ndarray) -> np.ndarray:
    edge = np.finfo(prediction.dtype).eps
    return np.clip(prediction, edge, 1 - edge).astype(np.float64)


def _error(target: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    return target.astype(np.float64) - prediction
