"""What makes up for one kind of rows being rarer than another: weights of classes, and samples of rows."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

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


@dataclass(frozen=True)
class ClassBounds:
    """How many rows of a class an epoch has: at most some, at least others; see `balanced_rows`.

    Attributes:
        classes: int64 (n,), the class of every row of the table; below 0 for none.
        most: rows kept of a class; None: all.
        least: rows reached for a class, by repetition; None: those that there are.
        order: int64 (n,), which rows of a class come last and are kept; None: those kept are drawn anew.
    """

    classes: np.ndarray
    most: int | None = None
    least: int | None = None
    order: np.ndarray | None = None

    def drawn(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One epoch's rows, int64, ascending, all of them among the given ones; how many there are is always the same.

        Args:
            rows: int64 (m,), the training rows.
            rng: decides the draws; one for each epoch.
        """
        return balanced_rows(self.classes, rows, rng, most=self.most, least=self.least, order=self.order)

    def with_more(self, count: int) -> "ClassBounds":
        """The same for a table with so many further rows below, which are neither left out nor repeated."""
        none = np.full(count, -1, dtype=np.int64)
        order = None if self.order is None else np.concatenate([self.order, none])
        return replace(self, classes=np.concatenate([self.classes, none]), order=order)


def primary_classes(onehot: np.ndarray) -> np.ndarray:
    """The class of each row, int64 (n,): the first column with the largest target, -1 for a row without a label.

    Args:
        onehot: (n, C), 0 or 1, or up to 1 where labels are soft; rows of a multilabel task may have several or none.
    """
    return np.where((onehot > 0).any(axis=1), onehot.argmax(axis=1), -1)


def balanced_rows(
    classes: np.ndarray,
    rows: np.ndarray,
    rng: np.random.Generator,
    *,
    most: int | None = None,
    least: int | None = None,
    order: np.ndarray | None = None,
) -> np.ndarray:
    """One epoch's training rows: at most `most` of each class, and at least `least` of each class that has any.

    First `capped`, then `floored`. Nothing but the given rows is ever taken, so that rows of a validation fold stay out
    whatever is drawn.

    Args:
        classes: integer (n,), the class of every row of the table; below 0 for a row without a class, which is
            neither capped nor repeated.
        rows: int64 (m,), the training rows.
        rng: decides the draws; one for each epoch.
        most: rows kept of a class.
        least: rows reached for a class, by repetition.
        order: (n,), dates, texts or numbers of all rows: the last of a class are kept. Drawn anew when not given.

    Returns:
        int64, ascending.

    Raises:
        DataError: there are fewer than one row to keep, or more to reach than may be kept.
    """
    if most is not None and (most < 1 or (least is not None and least > most)):
        raise DataError(
            "the cap of rows a class cannot be kept",
            got=f"at most {most}, at least {least or 0}",
            expected="at least 1, and no less than the floor",
        )
    kept = rows if most is None else capped(classes, rows, most, order=order, rng=rng)
    return np.sort(kept if least is None else floored(classes, kept, least, rng))


def capped(
    classes: np.ndarray,
    rows: np.ndarray,
    most: int,
    *,
    order: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """At most `most` rows of each class: the last by `order`, or without one any, drawn evenly.

    Args:
        classes: integer (n,), the class of every row of the table; below 0 for none, which is not capped.
        rows: int64 (m,), those to choose from.
        most: rows kept of a class.
        order: (n,), e.g. dates, so that the newest stay. Rows without a value come before all others, and of equal
            values the row that stands first in the table stays.
        rng: decides the draws; needed where there is no order.

    Returns:
        int64, ascending.

    Raises:
        DataError: neither an order nor a generator is given.
    """
    rows = np.sort(rows)
    if order is not None:
        rank = pd.factorize(order, sort=True)[0][rows]  # -1 where there is no value
    elif rng is not None:
        rank = rng.permutation(len(rows))
    else:
        raise DataError("rows over the cap can neither be ordered nor drawn", expected="an order or a generator")
    own = classes[rows]
    last_first = np.lexsort((rows, -rank, own))
    starts = np.searchsorted(own[last_first], own[last_first])
    place = np.arange(len(rows)) - starts
    return np.sort(rows[last_first[(place < most) | (own[last_first] < 0)]])


def floored(classes: np.ndarray, rows: np.ndarray, least: int, rng: np.random.Generator) -> np.ndarray:
    """Every row once, and of each class with fewer than `least` rows some again, drawn with replacement to reach it.

    Args:
        classes: integer (n,), the class of every row of the table; below 0 for none, which is not repeated.
        rows: int64 (m,), those to choose from; a class without any has none in the end either.
        least: rows reached for a class.
        rng: decides the draws.

    Returns:
        int64, the given rows in ascending order, followed by the repetitions.
    """
    rows = np.sort(rows)
    by_class = rows[np.argsort(classes[rows], kind="stable")]
    own, starts, sizes = np.unique(classes[by_class], return_index=True, return_counts=True)
    missing = np.where(own < 0, 0, np.maximum(least - sizes, 0))
    drawn = np.repeat(starts, missing) + rng.integers(0, np.repeat(sizes, missing))
    return np.concatenate([rows, by_class[drawn]])
