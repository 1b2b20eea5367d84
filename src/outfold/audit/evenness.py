"""Whether folds that the user brings are any more even than folds at random."""

from collections.abc import Iterator

import numpy as np

from outfold.audit.choices import imbalance_findings
from outfold.data.findings import Finding
from outfold.data.folds import group_kfold, stratified_group_kfold, stratified_kfold
from outfold.data.folds.objective import imbalance
from outfold.data.folds.strata import FOLD_SIZE, StrataLike, read_strata

DRAWS, TRIES = 51, 5
"""Random assignments whose median is chance, and seeds of a stratified deal that show what can be reached."""


def evenness_findings(
    fold: np.ndarray, strata: StrataLike, groups: np.ndarray | None = None, seed: int = 0
) -> list[Finding]:
    """Compare the strata of folds with those of random folds of the same groups, and of stratified ones.

    Fold sizes do not count: random folds are given even ones too.

    Args:
        fold: int (n,), the folds in use.
        strata: what should be even: a table, a mapping of columns, or one column of n rows.
        groups: (n,) labels of rows that share a fold; each row by itself when not given.
        seed: decides the random assignments.
    """
    k, n = len(np.unique(fold)), len(fold)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    if units.max() + 1 < 2 * k:
        return []
    chance = np.median([_unevenness(drawn, strata) for drawn in _random_folds(units, k, seed)])
    product = read_strata(strata, n, k=k).product
    best = min(_unevenness(_stratified(product, units, k, number), strata) for number in range(TRIES))
    return imbalance_findings(_unevenness(fold, strata), float(chance), best)


def _unevenness(fold: np.ndarray, strata: StrataLike) -> float:
    return imbalance(fold, strata, weights={FOLD_SIZE: 0}).total


def _random_folds(units: np.ndarray, k: int, seed: int) -> Iterator[np.ndarray]:
    """Groups in random order, cut into k parts of about as many rows: sizes are even, strata fall as they may."""
    rng, sizes = np.random.default_rng(seed), np.bincount(units)
    fold_of_group = np.empty(len(sizes), dtype=np.int64)
    for _ in range(DRAWS):
        order = rng.permutation(len(sizes))
        middles = np.cumsum(sizes[order]) - sizes[order] / 2
        fold_of_group[order] = middles * k // len(units)
        yield fold_of_group[units]


def _stratified(product: np.ndarray, units: np.ndarray, k: int, seed: int) -> np.ndarray:
    if units.max() + 1 == len(units):
        return stratified_kfold(product, k, seed)
    dealt = stratified_group_kfold(product, units, k, seed)
    return dealt if len(np.unique(dealt)) == k else group_kfold(units, k, seed)
