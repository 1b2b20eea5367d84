"""How photos look, as vectors, for an audit that is asked to compare them; a search for near-duplicates has its own."""

from pathlib import Path

import numpy as np

from outfold.data.dataset import Rows
from outfold.duplicates.fingerprint import kept_vectors, photo_fingerprint
from outfold.duplicates.photos import first_of_each_content, of_all_rows, small_photos, telling
from outfold.settings.duplicates import Duplicates as Settings
from outfold.stages.base import Compute


def embeddings(rows: Rows, settings: Settings, root: Path, compute: Compute, table: str) -> np.ndarray | None:
    """Fingerprints of photos, kept on disk, as a search for near-duplicates makes them.

    Args:
        rows: n rows.
        settings: backbone, weights and size.
        root: folder that a relative weights path starts from.
        compute: device and threads; is told how far it is.
        table: name of the rows' table, for the progress.

    Returns:
        float32 (n, f); a photo that cannot be decoded has the mean of all others. None for rows without photos.

    Raises:
        RecipeError, WeightsError: the backbone or its weights cannot be had.
    """
    if rows.samples.media is None:
        return None
    cache = small_photos(rows.samples.media, settings.size, workers=compute.workers, emit=compute.emit)
    first = first_of_each_content(cache)
    fingerprint = photo_fingerprint(
        settings.backbone, settings.weights, settings.size, root=root, device=compute.device
    )
    photos, content = [cache[int(row)] for row in first], [cache.content_keys[row] for row in first]
    tell = telling(compute.emit, f"embeddings of the {table} table")
    return of_all_rows(kept_vectors(fingerprint, photos, content, tell), first, cache)
