"""How photos look, as vectors, for an audit: to tell train from test by them, and to find series of look-alikes."""

from pathlib import Path

import numpy as np

from outfold.data.cache import build_cache, default_cache_folder
from outfold.data.dataset import Rows
from outfold.duplicates.fingerprint import kept_vectors, photo_fingerprint, small_photo, small_photo_key
from outfold.settings.duplicates import Duplicates as Settings
from outfold.stages.base import Compute


def embeddings(rows: Rows, settings: Settings, root: Path, compute: Compute, table: str) -> np.ndarray | None:
    """Fingerprints of photos, kept on disk; the same as a search for near-duplicates uses.

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
    cache = build_cache(
        rows.samples.media,
        small_photo_key(settings.size),
        lambda path: small_photo(path, settings.size),
        default_cache_folder() / "photos",
        workers=compute.workers,
        on_bad="drop",
        progress=lambda done, total: compute.emit({"event": "photos", "table": table, "done": done, "total": total}),
    )
    readable = np.setdiff1d(np.arange(len(rows)), list(cache.bad)).astype(np.int64)
    fingerprint = photo_fingerprint(
        settings.backbone, settings.weights, settings.size, root=root, device=compute.device
    )
    vectors = kept_vectors(
        fingerprint,
        [cache[int(row)] for row in readable],
        [cache.content_keys[row] for row in readable],
        lambda done, total: compute.emit(
            {"event": "duplicates", "what": f"embeddings of the {table} table", "done": done, "total": total}
        ),
    )
    everything = np.tile(vectors.mean(axis=0), (len(rows), 1))
    everything[readable] = vectors
    return everything
