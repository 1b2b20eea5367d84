"""What a search for duplicates leaves: tables, rows to drop, and what it says in a terminal."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.findings import count
from outfold.data.media import probe_image
from outfold.duplicates.find import Duplicates
from outfold.duplicates.link import Dropped, choose_dropped
from outfold.errors import DataError
from outfold.files import write_atomically

PAIRS, GROUPS, DROPPED, REVIEW = "pairs.csv", "groups.csv", "dropped.csv", "review.html"
"""Files in the folder of a search."""

PAIR_COLUMNS = [
    "first",
    "second",
    "first_table",
    "second_table",
    "similarity",
    "exact",
    "label_first",
    "label_second",
    "conflict",
    "cosine",
    "decision",
]

SHOWN = 5
"""Groups that are spelled out."""


def write_pairs(path: Path, found: Duplicates) -> Path:
    """The pairs as a CSV, one row each."""
    return _csv(path, found.pairs[PAIR_COLUMNS])


def write_groups(path: Path, found: Duplicates) -> Path:
    """id, table and group of every row; linked rows share a group."""
    items = found.items
    return _csv(path, pd.DataFrame({"id": items.ids, "table": items.table, "group": found.groups}))


def write_dropped(path: Path, found: Duplicates, dropped: list[Dropped]) -> Path:
    """Which rows go, for which they go, and whether a label is lost with them."""
    items = found.items
    gone, kept = [one.row for one in dropped], [one.kept for one in dropped]
    labels = np.array(items.labels, dtype=object)
    columns = {"id": items.ids[gone], "table": items.table[gone], "kept": items.ids[kept]}
    columns |= {"kept_table": items.table[kept], "label": labels[gone], "kept_label": labels[kept]}
    return _csv(path, pd.DataFrame({**columns, "conflict": [one.conflict for one in dropped]}))


def rows_to_drop(found: Duplicates, prefer: str | None = None) -> list[Dropped]:
    """Training rows that go so that one of each group stays: the preferred source's, then the largest photo.

    Args:
        found: test rows are left alone, and so are rows whose photo cannot be read.
        prefer: name of a source.

    Raises:
        DataError: no training row is of the preferred source.
    """
    items = found.items
    preferred = items.table == prefer
    if prefer is not None and not (preferred & ~items.test).any():
        there = sorted(set(items.table[~items.test].tolist()))
        raise DataError("the preferred source has no training rows", got=prefer, expected=f"one of {there}")
    linked = np.bincount(found.groups)[found.groups] > 1
    may_go = ~items.test & linked
    may_go[list(found.bad)] = False
    pixels = np.zeros(len(items), dtype=np.int64)
    for row in np.flatnonzero(may_go):
        info = probe_image(items.paths[row])
        pixels[row] = info.width * info.height
    return choose_dropped(found.groups, pixels, preferred=preferred, may_go=may_go, labels=items.labels)


def summary(found: Duplicates) -> Iterator[str]:
    """What was found, in lines of text."""
    pairs, items = found.pairs, found.items
    yield f"{count(len(items), 'photo')}, {count(int((~items.test).sum()), 'training row')}"
    if found.bad:
        first = next(iter(found.bad))
        yield f"{count(len(found.bad), 'photo')} cannot be read and are left out, e.g. {items.names[first]}"
    sides = items.test[pairs["first_row"]].astype(int) + items.test[pairs["second_row"]]
    for exact, kind in ((True, "exact"), (False, "near")):
        chosen = (pairs["exact"] == exact).to_numpy(bool)
        across = [int((chosen & (sides == number)).sum()) for number in range(3)]
        within, between, beyond = (f"{number:,}" for number in across)
        others = items.others
        yield f"{kind} copies: {within} within train, {between} between train and {others}, {beyond} within {others}"
    if found.items.labels and any(label is not None for label in items.labels):
        yield f"conflicting labels: {count(int(pairs['conflict'].sum()), 'pair')}"
    decided = pairs["decision"].value_counts()
    for word in ("same", "different", "unsure"):
        if word in decided:
            yield f"decided {word}: {count(int(decided[word]), 'pair')}"
    yield found.proposal.explanation
    if found.left_out:
        yield f"{found.left_out:,} pairs that look alike were not compared, for their photos have many nearer ones"
    yield from _largest(found)


def _largest(found: Duplicates) -> Iterator[str]:
    """The groups with the most rows."""
    sizes = np.bincount(found.groups) if len(found.groups) else np.zeros(0, int)
    linked = int((sizes > 1).sum())
    yield f"{count(linked, 'group')} of linked rows, {int(sizes[sizes > 1].sum()):,} rows in all"
    for group in np.argsort(-sizes, kind="stable")[: min(SHOWN, linked)]:
        rows = np.flatnonzero(found.groups == group)
        names = ", ".join(found.items.ids[rows[:4]].tolist())
        yield f"  {len(rows)} rows: {names}{', ..' if len(rows) > 4 else ''}"


def _csv(path: Path, frame: pd.DataFrame) -> Path:
    return write_atomically(path, lambda part: frame.to_csv(part, index=False))
