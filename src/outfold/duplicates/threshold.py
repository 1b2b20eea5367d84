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
"""Share of the look-alikes, the most similar ones, that may show how their number falls, and `FEW` at least."""

ENOUGH = 500
"""Look-alikes that show it where copies are not counted."""

CLEAR = 3
"""Look-alikes for each copy among them for the fall to be theirs."""

EDGE = 0.15
"""Width in artanh(r), just below where copies begin, in which pairs are taken for copies."""

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

    Similarities are correlations, so they are taken as z = artanh(r), which is about normal where photos have nothing
    to do with each other (Fisher 1915): the number above z falls as exp(-z^2 / s), and is drawn on so beyond where
    copies begin. Some copies lie below that too; they are taken to be as many, per step of z, as there are pairs just
    below it, and are not counted, if a tail has enough look-alikes besides. Where a large share of all pairs lies
    beyond, copies and look-alikes mix: then none of them is proof of a copy.
    """

    below: np.ndarray
    """float64 (b,), z of the candidates below where copies begin, falling."""
    number: np.ndarray
    """float64 (b,), how many look-alikes are at or above each."""
    start: int
    """Position in both from which the tail is drawn on."""
    scale: float
    """s."""
    mixed: int
    """Pairs above them that may all be chance."""

    @classmethod
    def fit(cls, candidates: np.ndarray, copies_from: float) -> "_Tail":
        """Fit to the highest of the candidates below the similarity that copies begin at."""
        z = np.sort(np.arctanh(np.clip(candidates[candidates < copies_from], 0, LARGEST)))[::-1]
        above = len(candidates) - len(z)
        mixed = above if above > MIXED * len(candidates) and above >= FEW else 0
        number, start = cls._counted(z, float(np.arctanh(copies_from)))
        half = int(np.searchsorted(number, number[start] / 2)) if len(z) else 0
        scale = float(z[half] ** 2 - z[start] ** 2) / np.log(2) if len(z) else 0.0
        return cls(z, number, start, max(scale, 1e-6), mixed)

    @staticmethod
    def _counted(z: np.ndarray, end: float) -> tuple[np.ndarray, int]:
        """The number of look-alikes down to each of the falling z, and the position that the tail is fitted from."""
        pairs = np.arange(1.0, len(z) + 1)
        copies = (z > end - EDGE).sum() / EDGE * (end - z)
        number = np.maximum.accumulate(np.maximum(pairs - copies, 0))
        longest = max(min(max(int(TAIL * len(z)), FEW), len(z)) - 1, 0)
        clear = np.flatnonzero((number >= ENOUGH) & (number >= CLEAR * copies))
        if len(clear) and clear[0] <= longest:
            return number, int(clear[0])
        return pairs, longest  # what is a copy cannot be told, so all count

    def expected(self, z: float) -> float:
        """How many look-alikes to expect at or above z: counted, and in the tail as it falls."""
        if not len(self.below):
            return float(self.mixed)
        if z <= self.below[self.start]:
            return self.mixed + float(self.number[np.searchsorted(-self.below, -z, side="right") - 1])
        fall = float(np.exp((self.below[self.start] ** 2 - z**2) / self.scale))
        return self.mixed + float(self.number[self.start]) * fall


def _explanation(proposal: Proposal, compared: int) -> str:
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in proposal.found.items())
    text = (
        f"Of copies made from a sample of your photos, a similarity of {proposal.threshold:.3f} finds: {kinds}. "
        f"{compared:,} pairs of your photos look alike (cosine {proposal.cosine:.2f} or more) and were compared; "
        f"{proposal.pairs:,} reach it, of which some {proposal.false:.1f} by chance, if look-alikes thin out beyond it "
        "as they do before."
    )
    if proposal.holds:
        return text
    return (
        f"{text} This does not both find {FOUND:.0%} of each kind and keep false pairs below {FALSE:.0%}, nor does any "
        "other threshold with more found and fewer false: look at the pairs before you drop anything."
    )
