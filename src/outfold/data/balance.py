"""What makes up for one kind of rows being rarer than another: weights of classes, and samples of two tables."""

import numpy as np

from outfold.errors import DataError


def class_weights(onehot: np.ndarray) -> np.ndarray:
    """Weights of classes for a loss: all labels / (number of classes x labels of the class).

    For rows with one class each this is scikit-learn's "balanced". A class without members gets 1: it is no row's
    label, and only smoothing or mixing ever touches it; it does not count as a class.

    Args:
        onehot: (n, C), 0 or 1; rows of a multilabel task may have several ones or none.

    Returns:
        float32 (C,).
    """
    counts = onehot.sum(axis=0, dtype=np.float64)
    present = counts > 0
    weights = np.ones(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)


def sample_weights(onehot: np.ndarray) -> np.ndarray:
    """Weights of rows for a sampler, after which every class is drawn equally often; scikit-learn's "balanced".

    A row with several labels counts as a member of its rarest one; rows without a label form a class of their own.

    Args:
        onehot: (n, C), 0 or 1.

    Returns:
        float64 (n,), with a mean of 1.
    """
    counts = onehot.sum(axis=0, dtype=np.float64)
    rarest = np.where(onehot > 0, counts, np.inf).argmin(axis=1)
    own_class = np.where((onehot > 0).any(axis=1), rarest, onehot.shape[1])
    _, place, members = np.unique(own_class, return_inverse=True, return_counts=True)
    return len(onehot) / (len(members) * members[place].astype(np.float64))


def weighted_order(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `n` rows with replacement, each with a chance in proportion to its weight.

    Args:
        weights: (rows,), not negative.
        n: how many are drawn.
        rng: decides the draws.

    Returns:
        int64 (n,), places in `weights`.

    Raises:
        DataError: a weight is negative or not finite, or none is above zero.
    """
    weights = np.asarray(weights, dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad) or weights.sum() <= 0:
        raise DataError(
            "sample weights cannot be drawn from",
            got=f"{weights[bad[0]]} at place {bad[0]}" if len(bad) else "no weight above zero",
            expected="finite weights of at least 0, some above",
        )
    return rng.choice(len(weights), size=n, p=weights / weights.sum())


def evenly_drawn(is_second: np.ndarray, most: int, seed: int) -> np.ndarray:
    """int64, ascending: at most `most` rows of two tables, as many of the smaller one as there are, up to a half.

    Args:
        is_second: bool (n,), which of the two tables a row is from.
        most: how many rows; all of them where there are no more.
        seed: decides which.
    """
    if len(is_second) <= most:
        return np.arange(len(is_second))
    rng = np.random.default_rng(seed)
    small, large = sorted((np.flatnonzero(is_second), np.flatnonzero(~is_second)), key=len)
    kept = rng.choice(small, min(len(small), most // 2), replace=False)
    return np.sort(np.concatenate([kept, rng.choice(large, most - len(kept), replace=False)]))
