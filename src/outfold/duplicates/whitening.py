"""Making cosines tell copies from look-alikes, by what copying does to the user's own photos."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

SHRINKAGE = 0.2
"""Share of the mean variance that is added to every direction of the copies' scatter: copies are few."""

DIMENSIONS = 96
"""Directions that are kept."""

EVENNESS = 0.25
"""Power of the eigenvalues that directions are divided by: 0 leaves their spread, 0.5 makes all alike."""


@dataclass(frozen=True)
class Whitening:
    """A linear map of vectors after which cosines compare photos by what copying leaves alone."""

    mean: np.ndarray
    """float32 (f,)."""
    scale: np.ndarray
    """float32 (f,), above 0."""
    directions: np.ndarray
    """float32 (f, d)."""

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors float32 (n, f) -> float32 (n, d)."""
        return ((vectors - self.mean) / self.scale) @ self.directions


def fit_whitening(vectors: np.ndarray, originals: np.ndarray, copies: np.ndarray) -> Whitening:
    """Linear discriminants between photos, within copies of one photo.

    A network answers to what all photos of a domain share, and a crop or a change of light moves all of them the same
    way. The generalised eigenvectors of the photos' covariance and the scatter of copies about their originals (Fisher
    1936; Rao 1948; in speaker recognition `within-class covariance normalisation`) keep what tells photos apart.

    Args:
        vectors: float32 (n, f), fingerprints of photos.
        originals: float32 (c, f), fingerprints of those that were copied.
        copies: float32 (c, f), fingerprints of their copies.
    """
    mean, scale = vectors.mean(axis=0, dtype=np.float64), vectors.std(axis=0, dtype=np.float64)
    scale = scale + 1e-3 * max(float(scale.mean()), 1e-6)
    standard = (vectors - mean) / scale
    moved = (copies - originals) / scale
    between, within = standard.T @ standard / len(standard), moved.T @ moved / max(len(moved), 1)
    within += (SHRINKAGE * np.trace(within) / len(within) + 1e-9) * np.eye(len(within))
    kept = min(DIMENSIONS, len(within))
    values, directions = eigh(between, within, subset_by_index=[len(within) - kept, len(within) - 1])
    even = directions / np.maximum(values, values[-1] * 1e-6) ** EVENNESS
    return Whitening(mean.astype(np.float32), scale.astype(np.float32), even.astype(np.float32))
