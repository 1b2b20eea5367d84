"""Whether members see the test table as they saw the training table, and which of them carries the difference.

A training row's out-of-fold prediction comes from the few models that held the row out, a test row's from all of them.
Means of more models are smoother, so that the two differ on any data. Test rows are therefore compared as if each had
been held out like some training row (`as_held_out`): the same number of models, of the same folds and seeds.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from outfold.data.balance import evenly_drawn
from outfold.ensemble.members import Members, stacked
from outfold.errors import DataError
from outfold.metrics import get_metric, interval
from outfold.metrics.bootstrap import units_of

MOST_ROWS = 20_000
"""Of more rows so many are drawn: the AUC of 20,000 has a standard error of 0.004."""
FOLDS, RESAMPLES, SHUFFLES = 5, 200, 3
NOTED = 0.55
"""Adversarial AUC from which on a shift is worth a word; less cannot be told from what fitting leaves."""
LARGE = 0.05
"""Differences of correlations below this matter to nobody, however sure they are."""


@dataclass(frozen=True)
class Divergence:
    """Correlations between the k outputs of one member, on training and on test rows; each float64 (k, k).

    Attributes:
        train: out of fold; NaN for an output that is the same in all rows.
        test: of test rows.
        limit: how far the two are apart by chance, in 95% of tables for all pairs together.
        flagged: pairs that are further apart than that and by more than `LARGE`.
    """

    train: np.ndarray
    test: np.ndarray
    limit: np.ndarray
    flagged: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """Training minus test."""
        return self.train - self.test


class Adversarial(NamedTuple):
    """How well a classifier tells test rows from training rows by all members' predictions, out of fold."""

    auc: float
    """0.5: not at all."""
    low: float
    high: float
    importance: np.ndarray
    """float64 (m,): how much of the AUC goes when one member's predictions are shuffled."""
    rows: tuple[int, int]
    """Training and test rows that were used."""

    @property
    def alarming(self) -> bool:
        """Whether the tables differ beyond chance, and by an amount that matters."""
        return self.auc >= NOTED and self.low > 0.5


def donors(train: int, test: int, seed: int = 0) -> np.ndarray:
    """For each of `test` rows a training row at random, int64 (test,); all are drawn equally often."""
    rng = np.random.default_rng(seed)
    rounds = -(-test // train)
    return np.concatenate([rng.permutation(train) for _ in range(rounds)])[:test]


def as_held_out(test: np.ndarray, held_out: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """Test predictions as out-of-fold ones are made: of each row, the mean over the models that held out its donor.

    Args:
        test: (f, t, k), every model's prediction of every test row, in the space in which models are averaged.
        held_out: bool (f, n), which training rows each model held out.
        donor: int64 (t,), from `donors`; the same for all members, whatever their folds.

    Returns:
        float64 (t, k).

    Raises:
        DataError: a training row was held out by no model.
    """
    patterns, kind = np.unique(held_out.T, axis=0, return_inverse=True)
    if not patterns.any(axis=1).all():
        raise DataError("a training row was held out by no model, so it has no out-of-fold prediction")
    answer, wanted = np.empty(test.shape[1:]), kind.reshape(-1)[donor]
    for number, models in enumerate(patterns):
        rows = np.flatnonzero(wanted == number)
        answer[rows] = test[models][:, rows].mean(axis=0, dtype=np.float64)
    return answer


def divergence(
    train: np.ndarray,
    test: np.ndarray,
    groups: np.ndarray | None = None,
    test_groups: np.ndarray | None = None,
    *,
    n_resamples: int = RESAMPLES,
    seed: int = 0,
) -> Divergence:
    """How the correlations between a member's outputs differ from training to test rows, and which by more than chance.

    Both tables are resampled by whole groups. A pair's limit is a multiple of the standard deviation of its difference,
    one multiple for all pairs: that which 95% of the resamples stay below in every pair.

    Args:
        train: (n, k), out of fold, k at least 2.
        test: (t, k), as `as_held_out` gives it.
        groups: (n,) labels of the training rows; each row by itself when not given.
        test_groups: (t,) of the test rows, likewise.
        n_resamples: how many times each table is drawn.
        seed: decides the draws.
    """
    rng = np.random.default_rng(seed)
    before, after = (_correlations(part, np.ones(len(part))) for part in (train, test))
    units, test_units = units_of(groups, len(train)), units_of(test_groups, len(test))
    draws = np.stack([_drawn(train, units, rng) - _drawn(test, test_units, rng) for _ in range(n_resamples)])
    spread = draws.std(axis=0)
    apart = np.abs(draws - (before - after))
    standardised = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0)
    limit = np.quantile(standardised.max(axis=(1, 2)), 0.95) * spread
    difference = np.abs(before - after)
    with np.errstate(invalid="ignore"):
        flagged = (difference > limit) & (difference > LARGE)
    return Divergence(before, after, limit, flagged)


def adversarial(
    train: Members,
    test: Members,
    groups: np.ndarray | None = None,
    test_groups: np.ndarray | None = None,
    *,
    seed: int = 0,
) -> Adversarial:
    """Adversarial validation: boosted trees on all members' predictions, telling test from training rows.

    Args:
        train: m members' out-of-fold predictions, each (n, k); k may differ between members.
        test: their predictions of test rows, each (t, k), as `as_held_out` gives them.
        groups: (n,) labels; rows of a group are never on both sides of the classifier's folds.
        test_groups: (t,), likewise. Without them, tables with many rows a group look more different than they are.
        seed: decides folds, drawn rows, shuffles and the bootstrap.

    Returns:
        AUC and importances; NaN where a table has fewer rows or groups than folds.

    Raises:
        DataError: members do not fit together, or a number is not finite.
    """
    blocks = [np.concatenate([stacked([a])[0], stacked([b])[0]]) for a, b in zip(train, test, strict=True)]
    sizes = len(train[0]), len(test[0])
    is_test = np.arange(sum(sizes)) >= sizes[0]
    units = np.concatenate([units_of(groups, sizes[0]), units_of(test_groups, sizes[1]) + sizes[0]])
    rows = evenly_drawn(is_test, MOST_ROWS, seed)
    values, owner = (
        np.concatenate(blocks, axis=1)[rows],
        np.repeat(np.arange(len(blocks)), [b.shape[1] for b in blocks]),
    )
    is_test, units = is_test[rows], units[rows]
    counted = int((~is_test).sum()), int(is_test.sum())
    if min(len(np.unique(units[is_test])), len(np.unique(units[~is_test]))) < FOLDS:
        nan = float("nan")
        return Adversarial(nan, nan, nan, np.full(len(blocks), nan), counted)
    chance, shuffled = _told(values, is_test, units, owner, seed)
    metric, truth = get_metric("roc_auc", "binary"), is_test[:, None].astype(np.float64)
    auc = metric.function(truth, chance[:, None])
    low, high = interval(metric, truth, chance[:, None], units, n_resamples=RESAMPLES, seed=seed)
    left = [np.mean([metric.function(truth, draw[:, None]) for draw in draws]) for draws in shuffled]
    return Adversarial(auc, low, high, auc - np.array(left), counted)


def _correlations(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson correlations (k, k) of the columns of values (n, k); NaN for columns without spread."""
    centred = values - values.mean(axis=0)  # near enough to the weighted mean, which is then taken off
    total = weights.sum()
    offset = weights @ centred / total
    covariance = (centred * weights[:, None]).T @ centred / total - np.outer(offset, offset)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    spread[spread <= 1e-9 * np.abs(values).max(axis=0)] = np.nan  # what rounding leaves of a constant
    return covariance / np.outer(spread, spread)


def _drawn(values: np.ndarray, units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count = int(units.max()) + 1
    return _correlations(values, np.bincount(rng.integers(0, count, count), minlength=count)[units].astype(np.float64))


def _told(
    values: np.ndarray, is_test: np.ndarray, units: np.ndarray, owner: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Chance (n,) of each row to be a test row, out of fold; the same with each member shuffled (m, SHUFFLES, n)."""
    rng = np.random.default_rng(seed)
    members = int(owner.max()) + 1
    chance, shuffled = np.empty(len(values)), np.empty((members, SHUFFLES, len(values)))
    fold = _folds(is_test, units, rng)
    # Fits this small take longer on several threads than on one, and far longer beside another busy process.
    with threadpool_limits(1):
        for number in range(FOLDS):
            train, valid = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
            model = _trees(seed).fit(values[train], is_test[train])
            chance[valid] = model.predict_proba(values[valid])[:, 1]
            for member in range(members):
                for draw in range(SHUFFLES):
                    other = values[valid]
                    other[:, owner == member] = other[rng.permutation(len(valid))][:, owner == member]
                    shuffled[member, draw, valid] = model.predict_proba(other)[:, 1]
    return chance, shuffled


def _folds(is_test: np.ndarray, units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whole groups by fold, each table spread by itself."""
    names, group = np.unique(units, return_inverse=True)
    of_test = np.zeros(len(names), dtype=bool)
    of_test[group] = is_test
    fold = np.empty(len(names), dtype=np.int64)
    for table in (of_test, ~of_test):
        fold[table] = rng.permutation(table.sum()) % FOLDS
    return fold[group]


def _trees(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=8, min_samples_leaf=20, random_state=seed)
