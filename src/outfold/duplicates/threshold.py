"""A threshold that is found in the data: how alike copies are, and how alike photos are that merely resemble."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FOUND = 0.95
"""Share of the copies of each kind that a threshold must find."""

FALSE = 0.01
"""Share of false pairs among those found that is allowed."""

TAIL = 0.03
"""Share of the look-alikes that show how their number falls."""

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
    """How many of them are expected to be chance."""
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

    The highest that still finds `FOUND` of every kind of copy, or lower, half way to the lowest with few enough false
    pairs, where there is room between the two.

    Args:
        copies: by kind, the similarities of test copies with their originals, float (c,); 0 where the cosine was low.
        candidates: similarities of the pairs of the user's photos that were compared, float (p,).
        cosine: from which they were compared.
    """
    highest = min(LARGEST, *(_reached(values) for values in copies.values()))
    tail = _Tail.fit(candidates, highest)
    grid = np.linspace(0, np.arctanh(highest), 400)
    enough = [z for z in grid if tail.expected(z) <= FALSE * max(int((candidates >= np.tanh(z)).sum()), 1)]
    threshold = float(np.tanh((enough[0] + grid[-1]) / 2)) if enough else highest
    return judge(threshold, copies, candidates, cosine)


def _reached(values: np.ndarray) -> float:
    """What `FOUND` of the copies reach; of those that were compared at all, where too few were."""
    compared = values[values > 0]
    enough = len(compared) > FOUND * len(values)
    return float(np.quantile(values if enough else compared, 1 - FOUND)) if len(compared) else LARGEST


def judge(threshold: float, copies: Mapping[str, np.ndarray], candidates: np.ndarray, cosine: float) -> Proposal:
    """What a threshold, proposed or the user's own, finds and costs; arguments as of `propose_threshold`."""
    found = {kind: float((values >= threshold).mean()) for kind, values in copies.items()}
    pairs = int((candidates >= threshold).sum())
    false = min(_Tail.fit(candidates, threshold).expected(float(np.arctanh(min(threshold, LARGEST)))), float(pairs))
    bare = Proposal(threshold, cosine, found, pairs, false, "")
    return Proposal(threshold, cosine, found, pairs, false, _explanation(bare, len(candidates)))


@dataclass(frozen=True)
class _Tail:
    """How fast the number of look-alikes falls with their similarity.

    Similarities are correlations, so they are taken as z = artanh(r) (Fisher 1915). Beyond a high quantile the number
    above z falls about exponentially (peaks over threshold, Pickands 1975), and is drawn on beyond where copies begin.
    Where a large share of all pairs lies beyond, copies and look-alikes mix: then none of them is proof of a copy.
    """

    start: float
    beyond: int
    scale: float
    mixed: int
    """Pairs that may all be chance."""

    @classmethod
    def fit(cls, candidates: np.ndarray, copies_from: float) -> "_Tail":
        """Fit to the highest of the candidates below the similarity that copies begin at."""
        z = np.arctanh(np.clip(candidates[candidates < copies_from], 0, LARGEST))
        above = len(candidates) - len(z)
        mixed = above if above > MIXED * len(candidates) and above >= FEW else 0
        if len(z) < FEW:
            return cls(0.0, 0, 1.0, mixed)
        start = float(np.quantile(z, 1 - TAIL))
        excess = z[z > start] - start
        return cls(start, len(excess), max(float(excess.mean()), 1e-6) if len(excess) else 1e-6, mixed)

    def expected(self, z: float) -> float:
        """How many look-alikes to expect at or above z."""
        return self.mixed + self.beyond * float(np.exp(-max(z - self.start, 0.0) / self.scale))


def _explanation(proposal: Proposal, compared: int) -> str:
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in proposal.found.items())
    text = (
        f"Of copies made from a sample of your photos, a similarity of {proposal.threshold:.3f} finds: {kinds}. "
        f"{compared:,} pairs of your photos look alike (cosine {proposal.cosine:.2f} or more) and were compared; "
        f"{proposal.pairs:,} reach it, of which about {proposal.false:.1f} by chance, if look-alikes thin out beyond "
        "it as they do before."
    )
    if proposal.holds:
        return text
    return (
        f"{text} No threshold both finds {FOUND:.0%} of each kind and keeps false pairs below {FALSE:.0%} here: "
        "look at the pairs before you drop anything."
    )
