"""All pairs of vectors whose cosine reaches a threshold, found exactly and in bounded memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from outfold.duplicates.kernels import dot_products, not_negative
from outfold.duplicates.sieve import Sieve, Vectors, make_sieve
from outfold.errors import DataError
from outfold.work import default_workers

BLOCK = 2048
"""Rows on each side of a block: its bfloat16 products are 8 MB, which a processor's last cache holds."""

TOLERANCE = 1e-7
"""A cosine this much below the threshold still reaches it: float32 vectors say no more."""

MOST = 20_000_000
"""Pairs that are collected before the search gives up: about 0.5 GB."""

Progress = Callable[[int, int], None]
"""Is told (pairs compared, pairs in all)."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows, sorted by first and then by second."""

    first: np.ndarray
    """int64 (m,)."""
    second: np.ndarray
    """int64 (m,); within one set larger than `first`."""
    similarity: np.ndarray
    """float32 (m,), cosines."""

    def __len__(self) -> int:
        return len(self.first)


Found = tuple[np.ndarray, np.ndarray]
"""Pairs, int64 (m, 2), and their cosines, float64 (m,)."""


def pairs_over(
    embeddings: np.ndarray,
    threshold: float,
    others: np.ndarray | None = None,
    *,
    miss: float = 1e-12,
    most: int = MOST,
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Pairs:
    """Every pair of rows whose cosine is at least `threshold`.

    A sieve (`outfold.duplicates.sieve`) lets through what may reach it, and the cosines of these are computed in
    float64. The sieve compares random projections and may miss a pair with a probability below `miss`; `miss=0` asks
    for certainty and compares whole vectors instead, at bfloat16's speed.

    Args:
        embeddings: float (n, f), any lengths; rows of zeros pair with nothing.
        threshold: above 0, at most 1.
        others: float (m, f); pairs are then (row of embeddings, row of others), else (i, j) with i < j.
        miss: probability at most of missing any one pair.
        most: how many pairs may be found before the search gives up.
        threads: for looking through the products; those of the matrix products are torch's own.
        seed: decides the projection; the result does not depend on it.
        progress: is told the pairs compared so far, and those there are.

    Raises:
        DataError: shapes do not fit, values are not finite, or more than `most` pairs reach the threshold.
    """
    _check(embeddings, others, threshold)
    left, left_rows = _directions(embeddings)
    right, right_rows = (None, left_rows) if others is None else _directions(others)
    if not len(left_rows) or not len(right_rows):
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    search = _Search(make_sieve(left, right, threshold, miss, seed), left, right, threshold - TOLERANCE)
    found = search.run(most, threads or default_workers(), progress)
    pairs, similarity = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    first, second = left_rows[pairs[order, 0]], right_rows[pairs[order, 1]]
    return Pairs(first, second, similarity[order].astype(np.float32))


def _check(embeddings: np.ndarray, others: np.ndarray | None, threshold: float) -> None:
    if not 0 < threshold <= 1:
        raise DataError("a cosine threshold must be above 0 and at most 1", got=threshold)
    given = [embeddings] if others is None else [embeddings, others]
    if any(part.ndim != 2 or part.shape[1] != embeddings.shape[1] for part in given):
        raise DataError("embeddings must be matrices of equal width", got=[part.shape for part in given])
    for part in given:
        bad = np.flatnonzero(~np.isfinite(part).all(axis=1))
        if len(bad):
            raise DataError(f"{len(bad)} embeddings hold values that are not finite", got=f"rows {bad[:5].tolist()}")


def _directions(vectors: np.ndarray) -> tuple[Vectors, np.ndarray]:
    """The rows that have a direction, and their numbers."""
    values = np.ascontiguousarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
    rows = np.flatnonzero(lengths > 0)
    return Vectors(values if len(rows) == len(values) else values[rows], lengths[rows]), rows


@dataclass(frozen=True)
class _Block:
    """A rectangle of the matrix of all pairs."""

    top: int
    bottom: int
    left: int
    right: int
    diagonal: bool

    @property
    def pairs(self) -> int:
        """How many pairs it holds; on the diagonal those of different rows, once."""
        rows, columns = self.bottom - self.top, self.right - self.left
        return rows * (rows - 1) // 2 if self.diagonal else rows * columns


def _blocks(rows: int, columns: int | None) -> Iterator[_Block]:
    """All blocks of a rectangle, or those on and above the diagonal where rows are compared with themselves."""
    width = rows if columns is None else columns
    for top in range(0, rows, BLOCK):
        for left in range(top if columns is None else 0, width, BLOCK):
            diagonal = columns is None and left == top
            yield _Block(top, min(top + BLOCK, rows), left, min(left + BLOCK, width), diagonal)


@dataclass(frozen=True)
class _Search:
    """The search through all blocks.

    Attributes:
        sieve: made from `left` and `right`.
        left: n vectors.
        right: m vectors, or None to compare `left` with itself.
        threshold: cosine to reach.
    """

    sieve: Sieve
    left: Vectors
    right: Vectors | None
    threshold: float

    def run(self, most: int, threads: int, progress: Progress | None) -> list[Found]:
        """Pairs that reach the threshold, block by block."""
        blocks = list(_blocks(len(self.left), None if self.right is None else len(self.right)))
        total, done, count = sum(block.pairs for block in blocks), 0, 0
        room = torch.empty(BLOCK * BLOCK, dtype=self.sieve.left.dtype)
        nothing = _Block(0, 0, 0, 0, diagonal=False)
        found = [self._reached(nothing, self._products(nothing, room), 0, 0)]  # compiles, before threads ask for it
        with ThreadPoolExecutor(threads) as pool:
            for block in blocks:
                signs = self._products(block, room)
                edges = np.linspace(0, len(signs), 2 * threads + 1).astype(int)
                stripes = list(pool.map(partial(self._reached, block, signs), edges[:-1], edges[1:]))
                found += stripes
                count, done = count + sum(len(pairs) for pairs, _ in stripes), done + block.pairs
                if count > most:
                    raise _too_many(most, done / total, self.threshold)
                if progress is not None:
                    progress(done, total)
        return found

    def _products(self, block: _Block, room: Tensor) -> np.ndarray:
        """The sieve's products of a block as signed integers, whose sign is the products'."""
        rows, columns = block.bottom - block.top, block.right - block.left
        products = room[: rows * columns].view(rows, columns)
        left, right = self.sieve.left[block.top : block.bottom], self.sieve.right[block.left : block.right]
        torch.mm(left, right.T, out=products)
        return products.view(torch.int16 if products.dtype == torch.bfloat16 else torch.int32).numpy()

    def _reached(self, block: _Block, signs: np.ndarray, top: int, bottom: int) -> Found:
        """The pairs in some rows of a block that pass the sieve and reach the threshold."""
        pairs = not_negative(signs[top:bottom], top, block.diagonal)
        pairs += np.array([block.top, block.left])
        right = self.left if self.right is None else self.right
        cosine = dot_products(self.left.values, right.values, pairs)
        cosine /= self.left.lengths[pairs[:, 0]] * right.lengths[pairs[:, 1]]
        reached = cosine >= self.threshold
        return pairs[reached], np.minimum(cosine[reached], 1.0)


def _too_many(most: int, share: float, threshold: float) -> DataError:
    return DataError(
        f"more than {most:,} pairs reach a cosine of {threshold:.4g}",
        got=f"that many after {share:.0%} of the comparisons",
        fix="raise the threshold; or, if nearly all photos look alike to this backbone, use another one",
    )
