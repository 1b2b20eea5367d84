"""Targets that are sums of other targets."""

from collections.abc import Collection, Mapping

Sums = Mapping[str, tuple[str, ...]]
"""By target, the targets that it is the sum of."""


def in_order(sums: Sums, targets: Collection[str], place: str) -> dict[str, tuple[str, ...]]:
    """The same sums, each after those that it adds up itself.

    Args:
        sums: by target, its parts.
        targets: all targets there are.
        place: where the sums are written, for errors.

    Raises:
        ValueError: a sum or a part is no target, nothing is added up or something twice, or sums go round in a circle.
    """
    for name, parts in sums.items():
        unknown = [one for one in (name, *parts) if one not in targets]
        if unknown or not parts or len(set(parts)) < len(parts):
            raise ValueError(f"{place}.{name} must add up other targets, each once; got {list(parts)}")
    known, ordered, left = set(targets) - set(sums), {}, dict(sums)
    while ready := [name for name, parts in left.items() if known.issuperset(parts)]:
        known.update(ready)
        ordered.update({name: left.pop(name) for name in ready})
    if left:
        raise ValueError(f"{place} go round in a circle: {sorted(left)}")
    return ordered
