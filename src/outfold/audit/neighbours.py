"""Rows next to each other in shooting order that look alike: series of photos that no column names."""

from collections.abc import Sequence

import numpy as np

from outfold.audit.splits import Split, judged_rows
from outfold.data.findings import Finding, Level, count, places_of
from outfold.data.table import Samples
from outfold.data.targets import natural_key

NOTED, ALIKE, CERTAIN = 0.05, 0.15, 5.0
"""How much closer than others of their class neighbours must be for a note and for a warning, and how many standard
deviations beyond chance."""
PERMUTATIONS = 30


def serial_order(names: Sequence[str]) -> np.ndarray:
    """int64 (n,): places in natural order of file names or ids, where `img2` comes before `img10`."""
    return np.array(sorted(range(len(names)), key=lambda row: natural_key(str(names[row]))), dtype=np.int64)


def closeness(
    features: np.ndarray, order: np.ndarray, within: np.ndarray, groups: np.ndarray | None = None, seed: int = 0
) -> tuple[float, float]:
    """How much more alike neighbours in an order are than random pairs of the same class.

    Args:
        features: float (n, d), standardised by column here; NaN counts as the mean.
        order: int (n,), rows in serial order.
        within: int (n,), class of each row; only neighbours of one class are compared.
        groups: int (n,); neighbours of one group are left out, for nobody doubts that they are alike.
        seed: decides the shuffles.

    Returns:
        1 - (mean distance of neighbours) / (mean distance of shuffled neighbours), and its distance from 0 in standard
        deviations of shuffled orders. NaN where there is nothing to compare.
    """
    values = _standardised(features)
    classes = within[order]
    pairs = classes[:-1] == classes[1:]
    if groups is not None:
        pairs &= groups[order][:-1] != groups[order][1:]
    if pairs.sum() < 2 or not values.any():
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    observed = _mean_step(values[order], pairs)
    chance = np.array([_mean_step(values[_shuffled(order, classes, rng)], pairs) for _ in range(PERMUTATIONS)])
    usual = float(chance.mean())
    if usual == 0:
        return float("nan"), float("nan")
    return 1 - observed / usual, (usual - observed) / max(float(chance.std()), 1e-12)


def neighbour_findings(
    samples: Samples,
    names: Sequence[str],
    features: np.ndarray,
    within: np.ndarray,
    splits: Sequence[Split],
    groups: np.ndarray | None = None,
    *,
    seen_by: str,
    seed: int = 0,
) -> list[Finding]:
    """Series of photos whose members fall into different folds.

    Args:
        samples: the training rows, n.
        names: (n,) file names or ids whose natural order is the shooting order.
        features: float (n, d), what is known of each file: embeddings, or facts such as its size.
        within: int (n,), class of each row.
        splits: rows that train and rows that are judged.
        groups: int (n,), rows that are known to belong together.
        seen_by: what the features are, for the sentence.
        seed: decides the shuffles.
    """
    order = serial_order(names)
    alike, z = closeness(features, order, within, groups, seed)
    if not (alike >= NOTED and z >= CERTAIN):
        return []
    rows = _parted(order, within, splits)
    judged = len(judged_rows(splits))
    if len(rows) < 0.1 * judged:
        return []
    what = (
        f"rows with consecutive names look alike: by {seen_by} neighbours are {alike:.0%} closer than other rows of "
        f"their class ({z:.0f} standard deviations beyond chance), and folds part them"
    )
    impact = f"{count(len(rows), 'judged row')} of {judged:,} have a neighbour of their class among their training rows"
    fix = (
        "photos of one series (shelf, animal, visit) leak: name their group in a column, link near-duplicates, or cut "
        "folds as blocks of consecutive rows"
    )
    level: Level = "warning" if alike >= ALIKE else "note"
    return [Finding(level, what, places_of(samples, rows), fix, "series-across-folds", impact)]


def _parted(order: np.ndarray, within: np.ndarray, splits: Sequence[Split]) -> np.ndarray:
    """int64, ascending: judged rows with a neighbour of their class among the rows that train."""
    first, second = order[:-1], order[1:]
    same = within[first] == within[second]
    first, second = first[same], second[same]
    parted = np.zeros(len(order), dtype=bool)
    for train, valid in splits:
        trains, judges = np.zeros(len(order), dtype=bool), np.zeros(len(order), dtype=bool)
        trains[train], judges[valid] = True, True
        parted[first[judges[first] & trains[second]]] = True
        parted[second[judges[second] & trains[first]]] = True
    return np.flatnonzero(parted)


def _standardised(features: np.ndarray) -> np.ndarray:
    values = np.asarray(features, dtype=np.float64)
    known = np.isfinite(values)
    rows = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - np.where(known, values, 0).sum(axis=0) / rows, 0)
    spread = np.sqrt((centred**2).sum(axis=0) / rows)
    return centred / np.where(spread > 0, spread, 1)


def _mean_step(values: np.ndarray, pairs: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(values, axis=0)[pairs], axis=1).mean())


def _shuffled(order: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows in random order inside each class, classes where they were."""
    places = np.argsort(classes, kind="stable")
    drawn = np.lexsort((rng.random(len(order)), classes))
    shuffled = np.empty_like(order)
    shuffled[places] = order[drawn]
    return shuffled
