"""Copies of a sample of the user's own photos, to learn and to test how copies are told from look-alikes."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outfold.data.media import decode_image
from outfold.duplicates.copies import COPIES, combined
from outfold.duplicates.fingerprint import squashed

SAMPLE = 200
"""Photos that are copied, once in each kind."""

KINDS = {**COPIES, "combined": combined}
"""The copies that are made; `combined` is learned from, and never asked for."""


@dataclass(frozen=True)
class Copies:
    """Small copies of some photos."""

    photos: list[np.ndarray]
    """c photos, each uint8 (size, size, 3)."""
    original: np.ndarray
    """int64 (c,), which photo each was made from."""
    kind: np.ndarray
    """object (c,), its kind."""
    content: list[str]
    """Keys that tell one copy from another."""

    @property
    def learned_from(self) -> np.ndarray:
        """Bool (c,): half of the photos, whose copies fit; those of the other half test."""
        names = np.unique(self.original)
        return np.isin(self.original, names[::2])


def make_copies(paths: Sequence[Path], content: Sequence[str], size: int, *, seed: int, workers: int) -> Copies:
    """Copy a sample of photos in every kind.

    Args:
        paths: distinct readable photos.
        content: their content keys; they and `seed` decide the copies.
        size: side of the small copies in pixels.
        seed: decides the sample and the copies.
        workers: threads that decode.
    """
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(len(paths), min(SAMPLE, len(paths)), replace=False))

    def copied(row: int) -> list[np.ndarray]:
        photo = decode_image(paths[row], shortest_side=3 * size)
        generator = np.random.default_rng([seed, *hashlib.blake2b(content[row].encode(), digest_size=8).digest()])
        return [squashed(copy(photo, generator), size) for copy in KINDS.values()]

    with ThreadPoolExecutor(workers) as pool:
        photos = [copy for copies in pool.map(copied, sample.tolist()) for copy in copies]
    kinds = np.array(list(KINDS) * len(sample), dtype=object)
    names = [f"{content[row]}-{kind}-{seed}" for row in sample for kind in KINDS]
    return Copies(photos, np.repeat(sample, len(KINDS)), kinds, names)
