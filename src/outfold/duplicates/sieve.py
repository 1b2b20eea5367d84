"""A cheap sieve for pairs of near vectors: it lets every pair through that is near enough, and few others.

Unit vectors x and y have the cosine c exactly when |x - y|^2 = 2 - 2c. Under an orthogonal projection onto a subspace
of d of the D dimensions that is drawn uniformly, |P(x - y)|^2 / |x - y|^2 is distributed as Beta(d/2, (D - d)/2)
(Vershynin, High-Dimensional Probability, section 5.3, for the law of a random projection). With q its quantile of 1 -
miss, a pair of cosine c or more keeps a projected distance of at most sqrt((2 - 2c) q), except with a probability below
`miss`. With d = D nothing is projected, q is 1, and no pair can be missed.

The projections are rounded to bfloat16 where the processor multiplies it fast. Rounding moves a vector by a distance
that is known once it is done, so the radius grows by the largest two of these and the bound stays true. To compare
distances with a plain matrix product, each vector u gets further entries of h = (radius^2 / 2 - |u|^2) / 2: then
u.v + h(u) + h(v) = (radius^2 - |u - v|^2) / 2, and a pair passes when its sign is plus.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import beta
from torch import Tensor

DIMENSIONS = (32, 64, 96, 128, 192, 256, 384, 512)
"""Subspaces worth trying; whole vectors are the last resort."""

CHUNK = 4096
"""Rows projected at a time."""

SAMPLE = 1536
"""Rows of which all pairs are tried to choose a subspace."""

OVERHEAD = 45
"""What looking at one product costs, in multiplications of the sieve."""

EXACT_COST = 20
"""What a multiplication of the exact check costs, in multiplications of the sieve."""


@dataclass(frozen=True)
class Vectors:
    """Vectors of any length but 0."""

    values: np.ndarray
    """float32 (n, D)."""
    lengths: np.ndarray
    """float64 (n,), above 0."""

    def __len__(self) -> int:
        return len(self.values)

    def unit(self, rows: slice | np.ndarray) -> np.ndarray:
        """Some rows brought to length 1, float32."""
        return self.values[rows] * (1 / self.lengths[rows, None]).astype(np.float32)


@dataclass(frozen=True)
class Sieve:
    """Vectors made ready: the sign of `left[i] @ right[j]` says whether the pair (i, j) may be near enough."""

    left: Tensor
    """(n, d + 4), bfloat16 or float32."""
    right: Tensor
    """(m, d + 4)."""
    dimensions: int
    """d."""


def make_sieve(left: Vectors, right: Vectors | None, threshold: float, miss: float, seed: int) -> Sieve:
    """The sieve that should cost least for these vectors.

    Args:
        left: n vectors.
        right: m vectors, or None to compare `left` with itself.
        threshold: cosine that a pair must reach.
        miss: probability at most of missing a pair that does; 0 for certainty.
        seed: decides the subspace.
    """
    full = left.values.shape[1]
    rng = np.random.default_rng(seed)
    basis = _basis(full, rng)
    sample = _sample(left, right, rng)
    centre = sample.mean(axis=0)  # distances stay as they are, and roundings shrink with the vectors
    sample -= centre
    choices = [d for d in DIMENSIONS if d <= full // 2] if miss > 0 else []
    costs = {d: _cost(sample @ basis[:, :d], _radius(threshold, d, full, miss), full) for d in choices}
    costs[full] = _cost(sample, _radius(threshold, full, full, miss), full)
    best = min(costs, key=lambda d: costs[d])
    chosen = None if best == full else basis[:, :best]
    sides = [_rounded(vectors, centre, chosen) for vectors in _given(left, right)]
    halves = _halves(sides, _radius(threshold, best, full, miss))
    return Sieve(_left(sides[0], halves[0]), _right(sides[-1], halves[-1]), best)


def fast_type() -> torch.dtype:
    """bfloat16 where this processor multiplies it natively, else float32."""
    native = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    there = any(getattr(torch.cpu, name, bool)() for name in native)
    return torch.bfloat16 if there else torch.float32


def _given(left: Vectors, right: Vectors | None) -> list[Vectors]:
    return [left] if right is None else [left, right]


def _basis(full: int, rng: np.random.Generator) -> np.ndarray:
    """Orthonormal columns, float32 (D, d), that span a uniformly drawn subspace; so do the first few of them."""
    largest = max((d for d in DIMENSIONS if d <= full // 2), default=1)
    return np.linalg.qr(rng.standard_normal((full, largest)))[0].astype(np.float32)


def _radius(threshold: float, dimensions: int, full: int, miss: float) -> float:
    """How far apart the projections of a pair with this cosine may be."""
    share = 1.0 if dimensions == full else float(beta.isf(miss, dimensions / 2, (full - dimensions) / 2))
    return float(np.sqrt(max(2 - 2 * threshold, 0.0) * share))


def _sample(left: Vectors, right: Vectors | None, rng: np.random.Generator) -> np.ndarray:
    """A few rows of both, float32 (s, D)."""
    parts = _given(left, right)
    count = SAMPLE // len(parts)
    return np.concatenate([part.unit(rng.choice(len(part), min(count, len(part)), replace=False)) for part in parts])


def _cost(sample: np.ndarray, radius: float, full: int) -> float:
    """Expected cost of a pair, in multiplications of the sieve."""
    squares = np.einsum("ij,ij->i", sample, sample)
    radius += 2.0**-9 * float(np.sqrt(squares.max()))  # about what rounding will add
    near = squares[:, None] + squares - 2 * (sample @ sample.T) <= radius**2
    survivors = (near.sum() - len(sample)) / max(len(sample) * (len(sample) - 1), 1)
    return sample.shape[1] + OVERHEAD + EXACT_COST * full * max(float(survivors), 0.0)


@dataclass(frozen=True)
class _Side:
    """Projected and rounded vectors u, with room for the entries that make products compare distances."""

    entries: Tensor
    """(n, d + 4); the last four are 0 at first."""
    squares: Tensor
    """float32 (n,), |u|^2."""
    moved: float
    """The largest distance that rounding moved a vector."""


def _rounded(vectors: Vectors, centre: np.ndarray, basis: np.ndarray | None) -> _Side:
    """Centred, projected and rounded rows, some thousand at a time."""
    width = len(centre) if basis is None else basis.shape[1]
    entries = torch.zeros(len(vectors), width + 4, dtype=fast_type())
    squares, moved = torch.empty(len(vectors)), 0.0
    for start in range(0, len(vectors), CHUNK):
        some = slice(start, start + CHUNK)
        rows = vectors.unit(some) - centre
        exact = torch.from_numpy(rows if basis is None else rows @ basis)
        entries[some, :width] = exact
        kept = entries[some, :width].float()
        squares[some] = kept.square().sum(dim=1)
        moved = max(moved, float((kept - exact).norm(dim=1).max()))
    return _Side(entries, squares, moved)


def _halves(sides: Sequence[_Side], radius: float) -> list[Tensor]:
    """The entry h of each side, float32 (n,), with a radius and a slack that make up for every rounding."""
    radius += sides[0].moved + sides[-1].moved + 1e-5  # the last for the projection itself, in float32
    largest = max(float(side.squares.max()) for side in sides) + radius**2
    # What adding up d + 4 products in float32 may lose, and what of h two bfloat16 cannot hold.
    slack = (sides[0].entries.shape[1] * 2.0**-22 + 2.0**-15) * largest
    return [(radius**2 / 2 - side.squares) / 2 + slack for side in sides]


def _left(side: _Side, half: Tensor) -> Tensor:
    """The vectors, h in a coarse and a fine part, and two ones for the h of the other side."""
    entries = side.entries.clone()
    entries[:, -4] = half
    entries[:, -3] = half - entries[:, -4].float()
    entries[:, -2:] = 1
    return entries


def _right(side: _Side, half: Tensor) -> Tensor:
    """The vectors with the counterparts of what `_left` adds."""
    entries = side.entries.clone()
    entries[:, -4:-2] = 1
    entries[:, -2] = half
    entries[:, -1] = half - entries[:, -2].float()
    return entries
