"""A threshold that is found in the data: how alike copies are, and how alike photos are that merely resemble."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FOUND = 0.95
"""Share of the copies of each kind that a threshold must find."""

FALSE = 0.01
"""Share of false pairs among those found that is allowed."""

GRID = 500
"""Thresholds that are tried."""

LEAST_COPIES = 0.5
"""Copies that agree less than this do not show where copies begin."""

TAIL = 0.1
"""Share of the look-alikes that may show how their number falls, the most similar ones."""

ENOUGH = 100
"""Look-alikes that show it well enough to say so."""

MIXED = 0.3
"""Share of the compared pairs beyond a threshold above which they cannot all be copies by that alone."""

FEW = 20
"""Fewer pairs than this say nothing of a distribution."""

LEAST_COSINE = 0.05
"""No proposed cosine is lower: below, everything is compared with everything."""

LARGEST = 0.99999
"""Similarities are cut to this before the tail is fitted: the transform has no end at 1."""


@dataclass(frozen=True)
class Proposal:
    """A threshold and why it is that."""

    threshold: float
    """Similarity from which two photos count as one picture."""
    cosine: float
    """Cosine of fingerprints from which two photos are compared."""
    found: dict[str, float]
    """By kind of copy, the share of test copies that both find."""
    pairs: int
    """Pairs of the user's photos at or above the threshold."""
    false: float
    """How many of them are expected to be chance; rather too many than too few."""
    explanation: str
    """All this in words."""

    @property
    def holds(self) -> bool:
        """Whether every kind is found often enough with few enough false pairs."""
        return min(self.found.values(), default=1.0) >= FOUND and self.false <= FALSE * max(self.pairs, 1)


def propose_cosine(copies: Mapping[str, np.ndarray]) -> float:
    """The cosine that all but a few copies of every kind reach.

    Args:
        copies: by kind, the cosines of copies with their originals, float (c,).
    """
    return max(min(float(np.quantile(cosines, (1 - FOUND) / 3)) for cosines in copies.values()), LEAST_COSINE)


def propose_threshold(copies: Mapping[str, np.ndarray], candidates: np.ndarray, cosine: float) -> Proposal:
    """The threshold between look-alikes and copies.

    Of those that find `FOUND` of each kind with no more than `FALSE` expected, or of all where none does, the one with
    the largest difference between the share of copies found, mean of all kinds, and the expected share of false pairs
    among those found (Youden's index, with precision in the place of specificity).

    Args:
        copies: by kind, the similarities of test copies with their originals, float (c,); 0 where the cosine was low.
        candidates: similarities of the pairs of the user's photos that were compared, float (p,).
        cosine: from which they were compared.
    """
    tail = _Tail.fit(candidates, _most_reach(copies))
    grid = np.tanh(np.linspace(0.3, np.arctanh(LARGEST), GRID))
    ordered = np.sort(candidates)
    pairs = len(ordered) - np.searchsorted(ordered, grid)
    false = np.array([tail.expected(float(np.arctanh(threshold))) for threshold in grid])
    found = np.array([[(values >= threshold).mean() for threshold in grid] for values in copies.values()])
    share = np.minimum(false / np.maximum(pairs, 1), 1)
    gain = found.mean(axis=0) - share + ((found.min(axis=0) >= FOUND) & (share <= FALSE))
    return judge(float(grid[len(grid) - 1 - np.argmax(gain[::-1])]), copies, candidates, cosine)


def _most_reach(copies: Mapping[str, np.ndarray]) -> float:
    """The similarity that nine in ten copies of every kind reach; what lies below is taken for look-alikes."""
    compared = [values[values > 0] for values in copies.values()]
    lowest = min((float(np.quantile(values, 0.1)) for values in compared if len(values)), default=LARGEST)
    return float(np.clip(lowest, LEAST_COPIES, LARGEST))


def judge(threshold: float, copies: Mapping[str, np.ndarray], candidates: np.ndarray, cosine: float) -> Proposal:
    """What a threshold, proposed or the user's own, finds and costs; arguments as of `propose_threshold`."""
    found = {kind: float((values >= threshold).mean()) for kind, values in copies.items()}
    pairs = int((candidates >= threshold).sum())
    tail = _Tail.fit(candidates, _most_reach(copies))
    false = min(tail.expected(float(np.arctanh(min(threshold, LARGEST)))), float(pairs))
    bare = Proposal(threshold, cosine, found, pairs, false, "")
    return Proposal(threshold, cosine, found, pairs, false, _explanation(bare, len(candidates)))


@dataclass(frozen=True)
class _Tail:
    """How fast the number of look-alikes falls with their similarity.

    Similarities are correlations, so they are taken as z = artanh(r), which is about normal where photos have nothing to
    do with each other (Fisher 1915): the number above z falls as exp(-z^2 / s), also beyond where copies begin. Copies
    among the highest look-alikes only make the fall seem slower, so of several tails the one that falls fastest counts,
    each by its median, which a few copies hardly move. Where a large share of all pairs lies beyond, copies and
    look-alikes mix: then none of them is proof of a copy.
    """

    below: np.ndarray
    """float64 (b,), z^2 of the candidates that are taken for look-alikes, rising."""
    length: int
    """The highest of them that show the fall."""
    scale: float
    """s."""
    mixed: int
    """Pairs above them that may all be chance."""

    @classmethod
    def fit(cls, candidates: np.ndarray, copies_from: float) -> "_Tail":
        """Fit to the highest of the candidates below the similarity that copies begin at."""
        below = np.sort(np.arctanh(np.clip(candidates[candidates < copies_from], 0, LARGEST)) ** 2)
        above = len(candidates) - len(below)
        mixed = above if above > MIXED * len(candidates) and above >= FEW else 0
        scales = {length: cls._scale(below[-length:]) for length in cls._lengths(len(below))}
        length = min(scales, key=lambda length: scales[length], default=0)
        return cls(below, length, scales.get(length, 1e-6), mixed)

    @staticmethod
    def _lengths(count: int) -> list[int]:
        """Tails that are tried: TAIL of all, and its halves, with ENOUGH at least; or all where there are fewer."""
        lengths = [int(TAIL * count) >> halvings for halvings in range(20)]
        return [length for length in lengths if length >= ENOUGH] or ([min(ENOUGH, count)] if count else [])

    @staticmethod
    def _scale(tail: np.ndarray) -> float:
        """The scale of an exponential excess with the tail's median."""
        return max(float(np.median(tail) - tail[0]) / np.log(2), 1e-6)

    def expected(self, z: float) -> float:
        """How many look-alikes to expect at or above z: counted, and in the tail as it falls."""
        if not self.length or z**2 <= self.below[-self.length]:
            return self.mixed + float(len(self.below) - np.searchsorted(self.below, z**2))
        return self.mixed + self.length * float(np.exp(-(z**2 - self.below[-self.length]) / self.scale))


def _explanation(proposal: Proposal, compared: int) -> str:
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in proposal.found.items())
    text = (
        f"Of copies made from a sample of your photos, a similarity of {proposal.threshold:.3f} finds: {kinds}. "
        f"{compared:,} pairs of your photos look alike (cosine {proposal.cosine:.2f} or more) and were compared; "
        f"{proposal.pairs:,} reach it, of which some {proposal.false:.1f} or fewer by chance, if look-alikes thin out "
        "beyond it as they do before."
    )
    if proposal.holds:
        return text
    return (
        f"{text} This does not both find {FOUND:.0%} of each kind and keep false pairs below {FALSE:.0%}, nor does any "
        "other threshold with more found and fewer false: look at the pairs before you drop anything."
    )
