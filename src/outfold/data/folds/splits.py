"""Ways to deal rows out to folds, on plain arrays.

The random ones follow scikit-learn's rules to the row, whichever version of it is installed, so that folds made years
ago or elsewhere can be made again: numpy's legacy generator keeps its stream for ever.
"""

import numpy as np

from outfold.errors import DataError


def kfold(n: int, k: int, seed: int) -> np.ndarray:
    """Shuffle rows, then cut them into k parts whose sizes differ by at most one.

    Same as `KFold(k, shuffle=True, random_state=seed)`.

    Args:
        n: rows.
        k: folds.
        seed: decides the order.

    Returns:
        int64 (n,), the fold 0..k-1 of each row.

    Raises:
        DataError: there are fewer rows than folds.
    """
    _enough(n, k, "rows")
    order = np.arange(n)
    np.random.RandomState(seed).shuffle(order)
    fold = np.empty(n, dtype=np.int64)
    for number, rows in enumerate(np.array_split(order, k)):
        fold[rows] = number
    return fold


def stratified_kfold(strata: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Deal out each stratum evenly; in every fold its count differs by at most one from any other fold's.

    Same as `StratifiedKFold(k, shuffle=True, random_state=seed)`; a stratum with fewer members than folds is dealt out
    as far as it goes.

    Args:
        strata: (n,) labels.
        k: folds.
        seed: decides who goes where.

    Returns:
        int64 (n,), the fold 0..k-1 of each row.

    Raises:
        DataError: there are fewer rows than folds.
    """
    _enough(len(strata), k, "rows")
    _, first, inverse, counts = np.unique(strata, return_index=True, return_inverse=True, return_counts=True)
    rng = np.random.RandomState(seed)
    fold = np.empty(len(strata), dtype=np.int64)
    start = 0
    for stratum in np.argsort(first):
        # All strata lie behind each other in one row, dealt out in turn; each then keeps its own share of folds.
        shares = np.bincount(np.arange(start, start + counts[stratum]) % k, minlength=k)
        dealt = np.arange(k).repeat(shares)
        rng.shuffle(dealt)
        fold[inverse == stratum] = dealt
        start += counts[stratum]
    return fold


def group_kfold(groups: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Give whole groups, largest first, to the fold with the fewest rows; `seed` orders groups of equal size.

    Args:
        groups: (n,) labels.
        k: folds.
        seed: decides the order of equals.

    Returns:
        int64 (n,), the fold 0..k-1 of each row.

    Raises:
        DataError: there are fewer groups than folds.
    """
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    _enough(len(sizes), k, "groups")
    shuffled = np.random.RandomState(seed).permutation(len(sizes))
    fold_of_group, rows = np.empty(len(sizes), dtype=np.int64), np.zeros(k, dtype=np.int64)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of_group[group] = rows.argmin()
        rows[rows.argmin()] += sizes[group]
    return fold_of_group[inverse]


def leave_one_group_out(groups: np.ndarray) -> np.ndarray:
    """Every group is a fold of its own, numbered by the groups' sorted labels, as `LeaveOneGroupOut` deals them.

    Args:
        groups: (n,) labels.

    Returns:
        int64 (n,).

    Raises:
        DataError: there is only one group.
    """
    names, fold = np.unique(groups, return_inverse=True)
    _enough(len(names), 2, "groups")
    return fold.astype(np.int64)


def stratified_group_kfold(strata: np.ndarray, groups: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Give whole groups to folds so that strata stay as evenly spread as a greedy rule can keep them.

    Groups come in order of falling unevenness over strata (standard deviation of their counts), equals in random order.
    Each goes to the fold after which the strata's shares vary least between folds; on a tie to the one with fewer rows.
    Same as `StratifiedGroupKFold(k, shuffle=True, random_state=seed)` of scikit-learn 1.8 and later; earlier versions
    shuffled labels away from their groups and so did not stratify.

    Args:
        strata: (n,) labels.
        groups: (n,) labels.
        k: folds.
        seed: decides the order of equals.

    Returns:
        int64 (n,), the fold 0..k-1 of each row.

    Raises:
        DataError: there are fewer groups than folds.
    """
    _, strata_codes, totals = np.unique(strata, return_inverse=True, return_counts=True)
    names, group_codes = np.unique(groups, return_inverse=True)
    _enough(len(names), k, "groups")
    counts = np.zeros((len(names), len(totals)))
    np.add.at(counts, (group_codes, strata_codes), 1)
    shuffled = np.arange(len(names))
    np.random.RandomState(seed).shuffle(shuffled)
    order = shuffled[np.argsort(-np.std(counts[shuffled], axis=1), kind="stable")]
    fold_of_group = np.empty(len(names), dtype=np.int64)
    in_fold = np.zeros((k, len(totals)))
    for group in order:
        fold = _least_uneven(in_fold, counts[group], totals)
        in_fold[fold] += counts[group]
        fold_of_group[group] = fold
    return fold_of_group[group_codes]


def _least_uneven(in_fold: np.ndarray, group: np.ndarray, totals: np.ndarray) -> int:
    """The fold that a group's counts (C,) join best, given the folds' counts (k, C) and the strata's sizes (C,)."""
    folds = np.arange(len(in_fold))
    trials = np.repeat(in_fold[None], len(in_fold), axis=0)
    trials[folds, folds] += group
    unevenness = np.std(trials / totals, axis=1).mean(axis=1).tolist()
    rows = in_fold.sum(axis=1).tolist()
    best = 0
    for fold in folds[1:].tolist():
        gain = unevenness[best] - unevenness[fold]
        # scikit-learn's `np.isclose`: nearly equal counts as a tie, and strictly less always wins.
        tie = abs(gain) <= 1e-8 + 1e-5 * abs(unevenness[best])
        if gain > 0 or (tie and rows[fold] < rows[best]):
            best = fold
    return best


def _enough(have: int, k: int, what: str) -> None:
    if have < k:
        raise DataError(
            f"{have} {what} cannot make {k} folds", got=f"{have} {what}", expected=f"at least {k}", fix="lower folds.k"
        )
