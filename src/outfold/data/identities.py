"""Targets that are the sum of others, such as `total = leaves + stems`; sums may be parts of other sums."""

from collections.abc import Sequence

import numpy as np

from outfold.settings.sums import Sums, in_order


def free_targets(targets: Sequence[str], sums: Sums) -> tuple[str, ...]:
    """The targets that are no sums, in their order: what all others are made of."""
    return tuple(name for name in targets if name not in sums)


def sum_matrix(targets: Sequence[str], sums: Sums) -> np.ndarray:
    """How all targets follow from the free ones: float64 (k, m), `all = free @ matrix.T`.

    Entries are whole numbers; with `{gdm: [green, clover], total: [gdm, dead]}` the row of `total` has a 1 for each of
    green, clover and dead.

    Args:
        targets: the k targets.
        sums: those among them that are sums of others.
    """
    free = free_targets(targets, sums)
    rows = dict(zip(free, np.eye(len(free)), strict=True))
    for name, parts in in_order(sums, targets, "identities").items():
        rows[name] = np.sum([rows[part] for part in parts], axis=0)
    return np.stack([rows[name] for name in targets])


def add_up(values: np.ndarray, targets: Sequence[str], sums: Sums) -> np.ndarray:
    """The same values with every sum in the place of what stood there, (n, k) of the same float type.

    A sum is added up in float64 from the parts as they are told, other sums among them, and rounded once: where it has
    two parts, arithmetic in the type of the values finds it exact.

    Args:
        values: (n, k) of any float type.
        targets: names of the k columns.
        sums: those among them that are sums of others.
    """
    place = {name: number for number, name in enumerate(targets)}
    summed = values.copy()
    for name, parts in in_order(sums, targets, "identities").items():
        summed[:, place[name]] = summed[:, [place[part] for part in parts]].sum(axis=1, dtype=np.float64)
    return summed
