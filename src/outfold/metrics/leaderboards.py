"""How far a leaderboard scatters by luck: the scores of one model on simulated test sets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from outfold.errors import DataError
from outfold.metrics.bootstrap import WEIGHTS_AT_ONCE, units_of
from outfold.metrics.comparison import better_by, share_above_zero
from outfold.metrics.registry import Metric, check_arrays

Parts = tuple[np.ndarray, np.ndarray]
"""Something of the public and of the private part."""

Draw = Callable[[np.random.Generator], Parts]
"""Draws one test set: how often each of n rows is in its public and in its private part, each (n,)."""


@dataclass(frozen=True)
class Leaderboard:
    """Scores of one model on simulated test sets.

    Attributes:
        metric: what they are scores of.
        rows: rows of a test set.
        public_rows: rows of its public part; with whole groups, at least so many.
        public: float64 (r,), scores of the public parts; NaN where the metric is not defined.
        private: float64 (r,), scores of the private parts of the same test sets.
    """

    metric: Metric
    rows: int
    public_rows: int
    public: np.ndarray
    private: np.ndarray

    @property
    def gap(self) -> np.ndarray:
        """Public minus private score, float64 (r,)."""
        return self.public - self.private

    @property
    def undefined(self) -> int:
        """Test sets on which the metric is not defined in one part or the other."""
        return int(np.isnan(self.gap).sum())


def leaderboard(
    metric: Metric,
    target: np.ndarray,
    prediction: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    n_test: int,
    public_share: float = 0.3,
    split: Literal["group", "row"] = "group",
    n_resamples: int = 1000,
    seed: int = 0,
) -> Leaderboard:
    """Simulate the scores that a model would get on test sets of `n_test` rows and on their public parts.

    A test set is drawn with replacement from the rows that have out-of-fold predictions. This assumes that test rows
    are like these rows, and that the model which answers the test is as good as those that made the predictions. With
    groups whole groups are drawn until there are at least `n_test` rows: the test then has groups of its own, as a
    test of other patients or sites has. Nothing is assumed about the form of the scores' distribution.

    Args:
        metric: from `get_metric`.
        target: (n, k) as encoded by `TargetCodec`.
        prediction: (n, k) probabilities, or values of a regression.
        groups: (n,) labels of rows that are not independent.
        n_test: rows of a test set.
        public_share: share of the public part.
        split: what is dealt out to the public and the private part: whole groups, until the public part has its
            share of rows, or single rows, so that both parts have rows of the same groups. Without groups, rows.
        n_resamples: how many test sets.
        seed: decides the draws; boards with the same seed, rows and groups are about the same test sets.

    Raises:
        DataError: the arrays cannot be scored, or a part would be empty.
    """
    check_arrays(target, prediction)
    n_public = round(public_share * n_test)
    if not 0 < n_public < n_test:
        raise DataError(
            "the public or the private part of the leaderboard would be empty",
            got=f"{public_share} of {n_test} rows",
            expected="a share between 0 and 1 that leaves rows for both",
        )
    draw = _draw(len(target), groups, n_test, n_public, split)
    statistic = metric.statistic(target, prediction)
    rng, scores = np.random.default_rng(seed), np.empty((2, n_resamples))
    step = max(1, WEIGHTS_AT_ONCE // len(target))
    for start in range(0, n_resamples, step):
        drawn = [draw(rng) for _ in range(min(step, n_resamples - start))]
        for part, weights in enumerate(zip(*drawn, strict=True)):
            scores[part, start : start + step] = statistic(np.stack(weights, axis=1).astype(np.float64))
    return Leaderboard(metric, n_test, n_public, *scores)


def disagreement(a: Leaderboard, b: Leaderboard) -> float:
    """How often the public part puts two models in another order than the private part, equal scores counting half.

    Both boards must be about the same test sets, see `leaderboard`.
    """
    public = better_by(a.metric, a.public, b.public)
    private = better_by(a.metric, a.private, b.private)
    return 1 - share_above_zero(np.sign(public) * np.sign(private))


def _draw(n: int, groups: np.ndarray | None, n_test: int, n_public: int, split: Literal["group", "row"]) -> Draw:
    """The way test sets are drawn; see `leaderboard`."""
    units = units_of(groups, n)
    sizes = np.bincount(units)

    def whole_groups(rng: np.random.Generator) -> np.ndarray:
        # A group has a row at least, so n_test groups are always enough.
        drawn = rng.integers(0, len(sizes), n_test)
        return drawn[: _reaches(sizes[drawn], n_test)]

    def by_group(rng: np.random.Generator) -> Parts:
        drawn = whole_groups(rng)
        cut = _reaches(sizes[drawn], n_public)
        public, private = (np.bincount(part, minlength=len(sizes))[units] for part in (drawn[:cut], drawn[cut:]))
        return public, private

    by_unit = np.argsort(units, kind="stable")
    starts = np.cumsum(sizes) - sizes

    def by_row(rng: np.random.Generator) -> Parts:
        drawn = whole_groups(rng)
        rows = rng.permutation(by_unit[_ranges(starts[drawn], sizes[drawn])])
        return np.bincount(rows[:n_public], minlength=n), np.bincount(rows[n_public:], minlength=n)

    return by_group if groups is None or split == "group" else by_row


def _reaches(sizes: np.ndarray, wanted: int) -> int:
    """How many groups, taken in order, it takes to have so many rows."""
    return int(np.searchsorted(sizes.cumsum(), wanted)) + 1


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """All numbers of the ranges [start, start + length), one range after the other."""
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
