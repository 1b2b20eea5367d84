"""Do rows of one value resemble each other more than others do? Agreement within groups, beyond chance."""

from typing import NamedTuple

import numpy as np

PERMUTATIONS = 100
WIDE = 16
"""Targets with more columns are projected to this many, which keeps sums of squares on average."""


class Resemblance(NamedTuple):
    """How much rows of one value agree."""

    agreement: float
    """Intraclass correlation: 0 is none, 1 means that rows of one value are equal."""
    z: float
    """How many standard deviations it lies above that of shuffled rows."""


def intraclass_correlation(codes: np.ndarray, values: np.ndarray) -> float:
    """ICC(1) of a one-way analysis of variance, summed over columns (Shrout and Fleiss 1979, for unequal groups).

    For one-hot classes it is the share of agreeing pairs beyond what the classes' sizes explain.

    Args:
        codes: int64 (n,), the group of each row, 0..G-1, all present.
        values: float64 (n, k).

    Returns:
        At most 1; about 0, or slightly below, without any agreement. NaN where all groups have one row, there is one
        group, or the values do not vary.
    """
    sizes = np.bincount(codes).astype(np.float64)
    n, groups = len(codes), len(sizes)
    if groups < 2 or n == groups:
        return float("nan")
    centred = values - values.mean(axis=0)
    sums = np.stack([np.bincount(codes, weights=column) for column in centred.T], axis=1)
    between = float((sums**2 / sizes[:, None]).sum())
    total = float((centred**2).sum())
    if total <= 0:
        return float("nan")
    mean_between, mean_within = between / (groups - 1), max(total - between, 0.0) / (n - groups)
    typical = (n - (sizes**2).sum() / n) / (groups - 1)
    return (mean_between - mean_within) / (mean_between + (typical - 1) * mean_within)


def resemblance(codes: np.ndarray, values: np.ndarray, seed: int = 0, *, at_least: float = -np.inf) -> Resemblance:
    """Agreement of rows within values, and how far beyond that of shuffled rows it is.

    Args:
        codes: int (n,), -1 where a row has no value; such rows are left out.
        values: (n, k), the target as encoded by `TargetCodec`, or any vectors.
        seed: decides the shuffles.
        at_least: less agreement than this is not compared with chance, which takes most of the time.

    Returns:
        NaN where it is not defined, and for a `z` that was not asked for.
    """
    known = codes >= 0
    if not known.any():
        return Resemblance(float("nan"), float("nan"))
    own = np.unique(codes[known], return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    standard = _standardised(np.asarray(values[known], dtype=np.float64), rng)
    agreement = intraclass_correlation(own, standard)
    if not agreement >= at_least:
        return Resemblance(agreement, float("nan"))
    chance = [intraclass_correlation(rng.permutation(own), standard) for _ in range(PERMUTATIONS)]
    spread = max(float(np.std(chance)), 1e-9)
    return Resemblance(agreement, (agreement - float(np.mean(chance))) / spread)


def _standardised(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Quantities on one scale, so that none counts more for its unit; 0/1 columns as they are."""
    if not np.isin(values, (0.0, 1.0)).all():
        spread = values.std(axis=0)
        values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if values.shape[1] > WIDE:
        values = values @ rng.normal(size=(values.shape[1], WIDE))
    return values
