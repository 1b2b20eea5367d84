"""The folds of a recipe's search, found once and remembered: equal tables and settings have the same answer."""

import hashlib
from collections.abc import Callable

import numpy as np
import pandas as pd

from outfold.data.cache import default_cache_folder
from outfold.data.folds.search import search
from outfold.files import write_atomically
from outfold.settings.folds import Folds

FORMAT = 1
"""Raised whenever the same table gets other folds, so that remembered ones are not used."""

Progress = Callable[[int, int, float], None]
"""Is told seeds tried, seeds in all, and the imbalance of the best folds so far."""


def searched_folds(
    folds: Folds, frame: pd.DataFrame, groups: np.ndarray | None, progress: Progress | None = None
) -> np.ndarray:
    """The most even folds among the seeds that a recipe names.

    Args:
        folds: the recipe's part, with `search`.
        frame: the training table, n rows.
        groups: int64 (n,) rows that stay together.
        progress: is told how far the search is.

    Returns:
        int64 (n,), the fold of each row.

    Raises:
        DataError: see `outfold.folds.search`.
    """
    assert folds.search is not None  # the caller looked
    total = folds.search
    strata = frame[list(folds.stratify)] if folds.stratify else None
    path = default_cache_folder() / "folds" / f"{_key(folds, strata, groups)}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)
    found = search(
        groups,
        strata,
        folds.k,
        seeds=total,
        first_seed=folds.seed,
        method=folds.method,
        weights=folds.weights,
        group_sizes=folds.group_size,
        progress=None if progress is None else lambda done, best: progress(done, total, best),
    )
    write_atomically(path, lambda part: np.save(part, found.fold, allow_pickle=False))
    return found.fold


def _key(folds: Folds, strata: pd.DataFrame | None, groups: np.ndarray | None) -> str:
    settings = folds.model_dump_json(include={"k", "seed", "stratify", "group_size", "search", "method", "weights"})
    hasher = hashlib.blake2b(f"{FORMAT} {settings}".encode(), digest_size=16)
    hasher.update(b"" if groups is None else np.ascontiguousarray(groups).tobytes())
    hasher.update(b"" if strata is None else strata.to_csv(index=False).encode())
    return hasher.hexdigest()
