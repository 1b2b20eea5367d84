"""What is known of a table's rows besides the table itself: copies, embeddings, facts of their files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outfold.audit.features import FileFacts
from outfold.data.dataset import Rows
from outfold.data.folds import link_groups

DIMENSIONS = 32
"""Embeddings are projected to so many random directions before neighbours are compared, which keeps distances."""


@dataclass(frozen=True)
class Known:
    """What is known of the rows of one table besides the table.

    Attributes:
        copies: int64 (n,), one number for all copies of one thing, exact or near, in both tables; -1 has none.
        embeddings: float (n, d), e.g. a backbone's pooled features.
        facts: size and header of each file.
    """

    copies: np.ndarray | None = None
    embeddings: np.ndarray | None = None
    facts: FileFacts | None = None


def copies_of(rows: Rows, known: Known) -> np.ndarray | None:
    """int64 (n,): number of each row's set of copies, by content and as given; None where nothing is known."""
    columns: list[Sequence[object]] = []
    if rows.content:  # windows of one recording are no copies of each other
        columns.append([key or None for key in rows.media_keys])
    if known.copies is not None:
        columns.append(linking(known.copies))
    return link_groups(*columns) if columns else None


def linking(copies: np.ndarray) -> list[object]:
    """The numbers, and None for -1, which links nothing."""
    return [None if number < 0 else int(number) for number in copies]


def appearance(known: Known, seed: int) -> tuple[np.ndarray | None, str]:
    """What tells how alike two rows look, and its name."""
    if known.embeddings is not None:
        directions = np.random.default_rng(seed).normal(size=(known.embeddings.shape[1], DIMENSIONS))
        return np.asarray(known.embeddings) @ directions, "their embeddings"
    return (None, "") if known.facts is None else (known.facts.numbers(), "size in bytes and pixels")
