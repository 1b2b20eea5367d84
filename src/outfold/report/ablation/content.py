"""What an ablation came to: scores by fold, differences to the baseline, and what they amount to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from outfold.metrics.comparison import Estimate
from outfold.metrics.paired import Paired, Verdict

Scores = Mapping[str, Mapping[str, float | None]]
"""By name, {"value", "low", "high"}."""


@dataclass(frozen=True)
class Difference:
    """A variant against the baseline, on the rows that both judged; in the metric's own sense.

    Attributes:
        rows: how many rows both judged.
        units: how many rows or groups of rows the resamples were drawn from.
        left_out: rows that only the baseline and only the variant judged.
        baseline: the baseline's score on these rows.
        variant: the variant's.
        by_fold: variant - baseline on each fold's rows; NaN where the metric is not defined there.
        folds: their mean and its 95% t interval.
        pooled: the difference on all rows, with an interval that holds for all variants together.
        verdict: what the pooled interval says; noise where the folds one by one point the other way.
    """

    rows: int
    units: int
    left_out: tuple[int, int]
    baseline: float
    variant: float
    by_fold: Mapping[int, float]
    folds: Paired
    pooled: Estimate
    verdict: Verdict


@dataclass(frozen=True)
class Variant:
    """One recipe of an ablation.

    Attributes:
        name: what it is called.
        changes: what it sets otherwise than the baseline (the baseline: than the recipe), by dotted path.
        problem: why it did not come to an end; None where it did.
        score: over all its out-of-fold rows.
        by_fold: its score by fold; NaN where it is not defined.
        scores: all its scores with intervals.
        trained: how many models were trained now, rather than before or by another variant.
        difference: None for the baseline, and where there is a problem.
        notes: what a reader must know.
    """

    name: str
    changes: Mapping[str, Any]
    problem: str | None = None
    score: float = math.nan
    by_fold: Mapping[int, float] = field(default_factory=dict)
    scores: Scores = field(default_factory=dict)
    trained: int = 0
    difference: Difference | None = None
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Of the folds' scores."""
        known = self._known()
        return float(known.mean()) if len(known) else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of the folds' scores, with n - 1."""
        known = self._known()
        return float(known.std(ddof=1)) if len(known) > 1 else math.nan

    def _known(self) -> np.ndarray:
        scores = np.array(list(self.by_fold.values()), dtype=np.float64)
        return scores[~np.isnan(scores)]


@dataclass(frozen=True)
class Ablation:
    """A baseline and its variants.

    Attributes:
        recipe: name of the recipe.
        description: what the file of variants says of itself.
        metric: what all are judged by.
        greater_is_better: whether higher scores are better.
        baseline: what all are compared with.
        variants: the others, in their order.
        level: of all pooled intervals together.
        each_level: of a single one (Bonferroni).
        resamples: how many each pooled interval is made from.
    """

    recipe: str
    description: str
    metric: str
    greater_is_better: bool
    baseline: Variant
    variants: tuple[Variant, ...]
    level: float
    each_level: float
    resamples: int

    @property
    def compared(self) -> list[tuple[Variant, Difference]]:
        """The variants that came to an end."""
        return [(variant, variant.difference) for variant in self.variants if variant.difference is not None]
