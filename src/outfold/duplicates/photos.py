"""Small photos of all rows, each content once: what fingerprints are made of, and how they come back to the rows."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.cache import ImageCache, build_cache, default_cache_folder
from outfold.duplicates.agreement import SIDES
from outfold.duplicates.fingerprint import small_photo, small_photo_key

Emit = Callable[[dict[str, Any]], None]
"""Is told {"event": "duplicates", "what", "done", "total"}."""


def telling(emit: Emit, what: str) -> Callable[[int, int], None]:
    """A progress function that tells of one step."""
    return lambda done, total: emit({"event": "duplicates", "what": what, "done": done, "total": total})


def small_photos(paths: Sequence[Path], size: int, *, workers: int, emit: Emit) -> ImageCache:
    """Photos as squares, large enough for a fingerprint and for the comparison of pixels; bad ones are left out.

    Args:
        paths: the files.
        size: side in pixels that the fingerprint wants.
        workers: threads that decode.
        emit: is told how many are read.
    """
    side = max(SIDES[-1], size)
    return build_cache(
        paths,
        small_photo_key(side),
        lambda path: small_photo(path, side),
        default_cache_folder() / "photos",
        workers=workers,
        on_bad="drop",
        progress=telling(emit, "photos read"),
    )


def first_of_each_content(cache: ImageCache) -> np.ndarray:
    """int64 (d,): of the rows with equal files the first, for all files that can be read."""
    first = ~pd.Series(cache.content_keys).duplicated().to_numpy()
    first[list(cache.bad)] = False
    return np.flatnonzero(first)


def of_all_rows(vectors: np.ndarray, rows: np.ndarray, cache: ImageCache) -> np.ndarray:
    """Vectors (d, f) of the rows `first_of_each_content`, for all n rows; the mean for photos that cannot be read."""
    known = pd.Index([cache.content_keys[row] for row in rows])
    places = known.get_indexer(pd.Index(cache.content_keys))
    everything = vectors[places]
    everything[places < 0] = vectors.mean(axis=0)
    return everything
