"""Near-duplicates in a run: looked for before the folds are made, linked or dropped, and written down."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outfold.data.dataset import Rows
from outfold.data.table import Samples
from outfold.duplicates.decisions import read_decisions
from outfold.duplicates.find import Duplicates, find_duplicates, items_of
from outfold.duplicates.fingerprint import photo_fingerprint
from outfold.duplicates.link import Dropped
from outfold.duplicates.outcome import (
    DROPPED,
    GROUPS,
    PAIR_COLUMNS,
    PAIRS,
    REVIEW,
    rows_to_drop,
    write_dropped,
    write_groups,
    write_pairs,
)
from outfold.report.review import write_review
from outfold.settings.duplicates import Duplicates as Settings
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute

FOLDER = "duplicates"
"""Where in a run folder the search leaves its files."""


@dataclass(frozen=True)
class Sifted:
    """Rows after the search for near-duplicates.

    Attributes:
        train: the training rows that stay.
        copies: int64 (n,), copies of one photo share a number, also with test rows; None where nobody looked.
        test_copies: int64 (m,), the same of the test rows; None where nobody looked.
        unlabelled_copies: int64 (u,), the same of the rows without labels; None where nobody looked.
        embeddings: float32 (n, f), fingerprints of the rows that stay; None where nobody looked.
        test_embeddings: float32 (m, f), the same of the test rows.
        dropped: (id, reason) of the training rows that went.
    """

    train: Rows
    copies: np.ndarray | None = None
    test_copies: np.ndarray | None = None
    unlabelled_copies: np.ndarray | None = None
    embeddings: np.ndarray | None = None
    test_embeddings: np.ndarray | None = None
    dropped: Sequence[tuple[str, str]] = ()


def sift_copies(
    recipe: Recipe,
    train: Rows,
    test: Rows | None,
    root: Path,
    compute: Compute,
    keep: Callable[[Duplicates], None] = lambda found: None,
    unlabelled: Rows | None = None,
) -> Sifted:
    """Look for near-duplicates and drop the rows that the recipe wants dropped; all as it was where it does not look.

    Args:
        recipe: the effective recipe.
        train: training rows.
        test: test rows.
        root: folder that relative paths start from.
        compute: as for `search`; is also told how many rows are dropped.
        keep: is given what was found.
        unlabelled: rows without labels.
    """
    settings = recipe.duplicates
    if settings is None:
        return Sifted(train)
    others = {"test": test if settings.test else None, "unlabelled": unlabelled}
    further = {name: rows.samples for name, rows in others.items() if rows is not None}
    found = search(settings, train.samples, further, recipe.task.target, root, compute)
    keep(found)
    ids, groups, n = found.items.ids, found.groups, len(train)
    gone = {one.row: f"a copy of {ids[one.kept]}, which stays" for one in dropped_rows(found, settings)}
    if gone:
        why = "they are copies of rows that stay"
        compute.emit({"event": "dropped", "table": "train", "rows": len(gone), "why": why})
    stay = np.setdiff1d(np.arange(n), list(gone)).astype(np.int64)
    dropped = [(str(ids[row]), reason) for row, reason in gone.items()]
    starts = dict(zip(further, np.cumsum([n, *map(len, further.values())]), strict=False))

    def part(values: np.ndarray | None, name: str) -> np.ndarray | None:
        """What is known of one table's rows."""
        if values is None or name not in further:
            return None
        return values[starts[name] : starts[name] + len(further[name])]

    return Sifted(
        train.take(stay),
        groups[:n][stay],
        part(groups, "test"),
        part(groups, "unlabelled"),
        None if found.vectors is None else found.vectors[:n][stay],
        part(found.vectors, "test"),
        dropped,
    )


def search(
    settings: Settings,
    train: Samples,
    others: Mapping[str, Samples],
    targets: tuple[str, ...],
    root: Path,
    compute: Compute,
) -> Duplicates:
    """Look for near-duplicates among training rows, and between them and other rows.

    Args:
        settings: the recipe's part.
        train: training rows with photos.
        others: test rows and rows without labels, where they are looked at, by what they are called.
        targets: columns that make up a label.
        root: folder that relative paths start from.
        compute: device and threads; is told {"event": "duplicates", "what", "done", "total"}.

    Raises:
        DataError: the decisions are not usable, or far too many photos look alike.
        RecipeError, WeightsError: the backbone or its weights cannot be had.
    """
    items = items_of(train, others, targets)
    path = None if settings.decisions is None else root / settings.decisions
    decisions = None if path is None else read_decisions(path, items.ids.tolist())
    fingerprint = photo_fingerprint(
        settings.backbone, settings.weights, settings.size, root=root, device=compute.device
    )
    return find_duplicates(
        items, settings, fingerprint, decisions=decisions, workers=compute.workers, emit=compute.emit
    )


def dropped_rows(found: Duplicates, settings: Settings) -> list[Dropped]:
    """The training rows that go; none unless the settings ask for it."""
    return rows_to_drop(found, settings.prefer) if settings.action == "drop" else []


def write_found(folder: Path, found: Duplicates, settings: Settings) -> Iterator[Path]:
    """Write pairs and groups, and what the action asks for: the rows to drop, or a page to review."""
    yield write_pairs(folder / PAIRS, found)
    yield write_groups(folder / GROUPS, found)
    if settings.action == "drop":
        yield write_dropped(folder / DROPPED, found, dropped_rows(found, settings))
    if settings.action == "review":
        yield _write_review(folder / REVIEW, found)


def _write_review(path: Path, found: Duplicates) -> Path:
    items, pairs = found.items, found.pairs
    rows = zip(items.table, items.ids, items.paths, strict=True)
    media = {(str(table), str(name)): photo for table, name, photo in rows}
    decided = pairs[pairs["decision"] != ""]
    decisions = dict(zip(zip(decided["first"], decided["second"], strict=True), decided["decision"], strict=True))
    threshold = found.proposal.threshold
    shown = pairs[PAIR_COLUMNS][pairs["similarity"].notna()]  # a pair that was only ever decided keeps its decision
    return write_review(path, shown, media, threshold=threshold, decisions=decisions, title="Near-duplicates")
