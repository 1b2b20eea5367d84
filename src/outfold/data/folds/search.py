"""Search of the most even folds that keep groups together, among any number of seeds."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from outfold.data.folds.grouping import link_groups
from outfold.data.folds.objective import Imbalance, measure
from outfold.data.folds.splits import group_kfold, stratified_group_kfold
from outfold.data.folds.strata import Strata, StrataLike, read_strata
from outfold.data.folds.tally import Tally, tally_rows
from outfold.errors import DataError

Method = Literal["balanced", "greedy"]

SEEDS = 10_000_000
LAST_SEED = 2**32 - 1
PATIENCE_STEPS = 40_000_000
"""Steps of local search that may bring nothing before it settles: two seconds on one core for a few strata .."""
LEAST_PATIENCE = 20
""".. and starts, where a start is long."""
REFERENCE_SEEDS = 201
"""Seeds for a median; odd, so that one seed is the median."""

SCIKIT_LEARN, MEDIAN, BLIND = "scikit-learn", "scikit-learn, median seed", "dealt out blindly, median seed"


@dataclass(frozen=True)
class FoldSearch:
    """The most even folds that a search found, and what they are to be compared with."""

    fold: np.ndarray
    """int64 (n,), the fold 0..k-1 of each row."""
    seed: int
    """The seed that gives them; `search(.., first_seed=seed, seeds=1)` gives them again."""
    strata: Strata
    """What was spread evenly, as it was read: quantities in parts, group sizes with them."""
    imbalance: Imbalance
    reference: Mapping[str, Imbalance]
    """`scikit-learn`: its rule at the first seed. `scikit-learn, median seed` (method `greedy` only). `dealt out
    blindly, median seed`: shuffled groups given to the folds in turn."""
    method: Method
    first_seed: int
    seeds_tried: int
    """From the first seed on without gaps."""
    seconds: float
    """Of the search, with the time to compile it."""
    ending: str
    """`all` seeds were tried; it `settled`, for more starts brought nothing; or it was `stopped`."""

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop before the end; the folds are the best of the seeds tried."""
        return self.ending == "stopped"


def search(
    groups: Sequence[Any] | np.ndarray | pd.Series | None,
    strata: StrataLike | None = None,
    k: int = 5,
    *,
    seeds: int = SEEDS,
    first_seed: int = 0,
    method: Method = "balanced",
    weights: Mapping[str, float] | None = None,
    group_sizes: bool = False,
    patience: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> FoldSearch:
    """Look for the folds with the least `imbalance` that split no group.

    Two methods. `greedy` tries scikit-learn's rule: seed for seed the folds of StratifiedGroupKFold(k, shuffle=True,
    random_state=seed) of version 1.8 and later on these groups and strata; of several columns it is given the texts,
    joined. `balanced` starts from shuffled groups for each seed, moves and swaps groups for better folds, and settles
    when further starts bring nothing; it reaches better folds, usually within seconds. The result is the same
    whatever the number of threads; among equals the smallest seed wins.

    Args:
        groups: (n,) labels; rows of one label share a fold, a missing one is a group of its own. None: every row is.
        strata: what to spread evenly, see `outfold.data.folds.strata.read_strata`: a table with any number of columns,
            each for itself; one column; or 0/1 columns of labels.
        k: folds.
        seeds: how many seeds are tried at most.
        first_seed: the first of them.
        method: `balanced` or `greedy`.
        weights: by column, by `rows` for the folds' sizes and by `group_size`; 1 where not given.
        group_sizes: spread large and small groups evenly as well: adds the column `group_size` to the strata.
        patience: seeds without gain after which the search settles; by default `greedy` never does, and `balanced`
            after at least 20, more where starts are short.
        threads: as many as there are cores when not given.
        progress: is told (seeds done, least imbalance so far) some times a second.
        should_stop: asked some times a second; True ends the search with the best so far.

    Raises:
        DataError: fewer groups than folds, lengths differ, seeds beyond 2**32, a weight is not usable, or `greedy` has
            but one class to go by.
    """
    started = time.perf_counter()
    _check_settings(first_seed, seeds, method, patience)
    labels = _labels(groups, strata)
    columns = read_strata(strata, len(labels), k=k, groups=labels if group_sizes else None)
    tally = tally_rows(labels, columns, k, weights)

    from outfold.data.folds.scan import scan

    kernel, patience = _kernel(method, tally, patience)
    scanned = scan(
        kernel,
        tally.n_groups,
        first_seed,
        seeds,
        threads=threads,
        patience=patience,
        progress=progress,
        should_stop=should_stop,
    )
    if np.isinf(scanned.value):
        raise DataError(f"no seed gives each of the {k} folds a group", fix="lower k, or use method balanced")
    fold_of_group = np.empty(tally.n_groups, dtype=np.int64)
    kernel(scanned.seed, np.empty(1), fold_of_group)
    seconds = time.perf_counter() - started
    fold = fold_of_group[tally.group_of_row]
    reference = _references(tally, columns, weights, first_seed, kernel if method == "greedy" else None)
    return FoldSearch(
        fold=fold,
        seed=scanned.seed,
        strata=columns,
        imbalance=measure(fold, k, columns, weights),
        reference=reference,
        method=method,
        first_seed=first_seed,
        seeds_tried=scanned.tried,
        seconds=seconds,
        ending=scanned.ending,
    )


def _check_settings(first_seed: int, seeds: int, method: str, patience: int | None) -> None:
    if seeds < 1 or first_seed < 0 or first_seed + seeds - 1 > LAST_SEED:
        got = f"{seeds} seeds from {first_seed} on"
        raise DataError("the range of seeds is not usable", got=got, expected=f"at least one, from 0 to {LAST_SEED}")
    if patience is not None and patience < 1:
        raise DataError("the patience is not usable", got=patience, expected="a number of seeds from 1 on")
    if method not in ("balanced", "greedy"):
        raise DataError(f"no method {method!r}", expected="balanced or greedy")


def _labels(groups: Any, strata: StrataLike | None) -> np.ndarray:
    """Labels that can be sorted; as they were given where that is so, since scikit-learn numbers groups by value."""
    if groups is None:
        length = (
            0 if strata is None else len(next(iter(strata.values()))) if isinstance(strata, Mapping) else len(strata)
        )
        return np.arange(length)
    column = pd.Series(groups)
    values = column.to_numpy()
    if column.isna().any():
        return link_groups(column)
    try:
        np.unique(values)
    except TypeError:  # numbers and texts mixed
        return link_groups(column)
    return values


def _kernel(method: Method, tally: Tally, patience: int | None) -> tuple[Any, int | None]:
    """What to try for each seed, and how long to go on without gain. Imports numba, which takes a second."""
    if method == "greedy":
        from outfold.data.folds.greedy import greedy_kernel

        return greedy_kernel(tally), patience
    from outfold.data.folds.swaps import steps_of, swaps_kernel

    steps = steps_of(tally)
    return swaps_kernel(tally, steps), patience or max(LEAST_PATIENCE, PATIENCE_STEPS // steps)


def _references(
    tally: Tally, strata: Strata, weights: Mapping[str, float] | None, seed: int, greedy: Any
) -> dict[str, Imbalance]:
    """What folds without a search come to."""

    def of(fold_of_row: np.ndarray) -> Imbalance:
        return measure(fold_of_row, tally.k, strata, weights)

    seeds = range(seed, min(seed + REFERENCE_SEEDS, LAST_SEED + 1))
    if tally.counts.shape[1] > 1:
        found = {SCIKIT_LEARN: of(stratified_group_kfold(strata.product, tally.group_of_row, tally.k, seed))}
    else:
        found = {SCIKIT_LEARN: of(group_kfold(tally.group_of_row, tally.k, seed))}
    if greedy is not None:
        fold_of_group = np.empty(tally.n_groups, dtype=np.int64)
        values = np.empty(len(seeds))
        greedy(seed, values, fold_of_group)
        greedy(seed + _median(values), np.empty(1), fold_of_group)
        found[MEDIAN] = of(fold_of_group[tally.group_of_row])
    blind = [_blind(tally, number) for number in seeds]
    found[BLIND] = of(blind[_median([tally.imbalance(fold) for fold in blind])][tally.group_of_row])
    return found


def _blind(tally: Tally, seed: int) -> np.ndarray:
    """Shuffled groups given to the folds in turn, int64 (G,): how local search starts."""
    order, fold = np.arange(tally.n_groups), np.empty(tally.n_groups, dtype=np.int64)
    np.random.RandomState(seed).shuffle(order)
    fold[order] = np.arange(tally.n_groups) % tally.k
    return fold


def _median(values: Sequence[float] | np.ndarray) -> int:
    """Position of the median value."""
    return int(np.argsort(values, kind="stable")[len(values) // 2])
