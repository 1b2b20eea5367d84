"""Choices of a recipe that do too much, or nothing at all, on this table."""

from collections.abc import Mapping

import numpy as np

from outfold.data.balance import class_weights, sample_weights
from outfold.data.findings import Finding, count, listed
from outfold.settings.learning import Balance

EVEN = 1.1
"""Classes are balanced already where the largest has no more than so many times the rows of the smallest."""
GROUPS_A_FOLD = 3
UNEVEN = 0.2
"""Folds whose imbalance is below this are even enough: a tenth of a fold's rows would have to change their stratum."""
GUARD = "nothing where it is a guard for other data; else leave it out"
"""What to do about a bound that does nothing here."""


def balance_findings(balance: Balance, names: tuple[str, ...], target: np.ndarray, where: str) -> list[Finding]:
    """What balancing classes does to this table.

    Args:
        balance: the recipe's choice.
        names: of the k classes.
        target: (n, k), 0 or 1.
        where: the stage and member, for the sentence.
    """
    counts = target.sum(axis=0)
    present = counts[counts > 0]
    if balance == "none" or len(present) < 2:
        return []
    if present.max() <= EVEN * present.min():
        what = f"{where}: `balance: {balance}` does nothing, for classes are even"
        impact = f"{int(present.min()):,} to {int(present.max()):,} rows a class"
        return [Finding("note", what, (), "leave it out", "balance-does-nothing", impact)]
    if balance != "both":
        return []
    drawn, counted = _mean_by_class(target, sample_weights(target)), class_weights(target)
    rare, common = int(np.where(counts > 0, counts, np.inf).argmin()), int(counts.argmax())
    even = float(drawn[rare] / drawn[common])
    twice = float(even * counted[rare] / counted[common])
    what = f"{where}: `balance: both` corrects for rare classes twice"
    impact = (
        f"a row of {names[rare]} ({int(counts[rare]):,} rows) weighs {twice:,.3g} times one of {names[common]} "
        f"({int(counts[common]):,} rows); {even:,.3g} times would make them even"
    )
    fix = "choose class_weight or sampler; `both` only to reproduce a system that was made so"
    return [Finding("warning", what, (), fix, "prior-corrected-twice", impact)]


def quota_findings(counts: Mapping[str, int], *, floor: int | None = None, cap: int | None = None) -> list[Finding]:
    """Floors and caps of rows a class that no class of this table touches: guards that this data does not need.

    Args:
        counts: rows by class.
        floor: classes with fewer rows are drawn again until they have so many.
        cap: classes with more rows lose some.
    """
    findings = []
    if floor is not None and counts and min(counts.values()) >= floor:
        impact = f"the smallest class, {min(counts, key=lambda name: counts[name])}, has {min(counts.values()):,} rows"
        what = f"the floor of {count(floor, 'row')} a class never fires"
        findings.append(Finding("note", what, (), GUARD, "quota-never-fires", impact))
    if cap is not None and counts and max(counts.values()) <= cap:
        impact = f"the largest class, {max(counts, key=lambda name: counts[name])}, has {max(counts.values()):,} rows"
        what = f"the cap of {count(cap, 'row')} a class never fires"
        findings.append(Finding("note", what, (), GUARD, "quota-never-fires", impact))
    return findings


def few_groups(groups: np.ndarray, fold: np.ndarray) -> list[Finding]:
    """Folds that are judged on a handful of groups.

    Args:
        groups: int (n,).
        fold: int (n,).
    """
    by_fold = {int(number): len(np.unique(groups[fold == number])) for number in np.unique(fold)}
    total = len(np.unique(groups))
    # Groups of a single row each, or one group a fold on purpose, are not what this is about.
    if total >= GROUPS_A_FOLD * len(by_fold) or total == len(by_fold):
        return []
    fewest = [f"fold {number} has {groups_there}" for number, groups_there in by_fold.items()]
    what = f"{count(total, 'group')} for {len(by_fold)} folds: {listed(fewest)}"
    impact = "each fold's score is that of very few groups, and the choice of the best epoch follows them"
    fix = "fewer folds, repeated folds, or one fold for each group (folds.leave_one_group_out)"
    return [Finding("warning", what, (), fix, "few-groups", impact)]


def imbalance_findings(given: float, reference_random: float, reference_best: float | None = None) -> list[Finding]:
    """Folds that are no more even than random ones, although better ones exist.

    Args:
        given: imbalance of the folds in use; 0 is perfectly even.
        reference_random: median imbalance of random assignments of the same groups.
        reference_best: imbalance of the best folds known.
    """
    reachable = reference_random if reference_best is None else reference_best
    if given < max(UNEVEN, 0.9 * reference_random) or reachable > 0.7 * given:
        return []
    what = "the folds are no more even than random ones"
    impact = f"imbalance of strata {given:.3f}; random folds {reference_random:.3f}, {reachable:.3f} can be reached"
    fix = "search folds (folds.search), or make them anew with folds.stratify"
    return [Finding("warning", what, (), fix, "folds-no-better-than-chance", impact)]


def _mean_by_class(target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of row weights (n,) over the rows of each class, float64 (k,)."""
    return (target * weights[:, None]).sum(axis=0) / np.maximum(target.sum(axis=0), 1)
