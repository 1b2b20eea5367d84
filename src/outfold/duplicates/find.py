"""Near-duplicates of a user's photos: found by fingerprints, confirmed pixel by pixel, decided, and linked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.cache import ImageCache
from outfold.data.columns import cell_texts
from outfold.data.rows import SOURCE, name_rows
from outfold.data.table import Samples
from outfold.duplicates.agreement import agreements, thumbnails
from outfold.duplicates.calibration import Copies, make_copies
from outfold.duplicates.decisions import Decisions, pair_key
from outfold.duplicates.fingerprint import Fingerprint, kept_vectors
from outfold.duplicates.link import link_pairs
from outfold.duplicates.pairs import Pairs, pairs_over
from outfold.duplicates.photos import Emit, first_of_each_content, of_all_rows, small_photos, telling
from outfold.duplicates.threshold import Proposal, judge, propose_cosine, propose_threshold
from outfold.duplicates.whitening import Whitening, fit_whitening
from outfold.settings.duplicates import Duplicates as Settings

NEAREST = 40
"""Pairs that are compared for each photo, those of the highest cosine; any more are counted."""

FEWEST = 20
"""Photos below which no threshold can be proposed, and DEFAULT_THRESHOLD and DEFAULT_COSINE are taken."""

DEFAULT_THRESHOLD, DEFAULT_COSINE = 0.97, 0.5

ROWS = ["first_row", "second_row"]


@dataclass(frozen=True)
class Items:
    """Rows of all tables, one below the other."""

    ids: np.ndarray
    """object (n,) of str; unique within a table's side, training or test."""
    table: np.ndarray
    """object (n,) of str, the source that each row came from."""
    test: np.ndarray
    """bool (n,), rows that are not trained on with their label: of the test table, or without labels."""
    paths: tuple[Path, ...]
    """Each row's file."""
    labels: tuple[str | None, ...]
    """Each row's label as text; None for rows without."""
    names: tuple[str, ...]
    """Each row's place, as in `train.csv:17`."""
    others: str = "test"
    """How rows that are not trained on are called."""

    def __len__(self) -> int:
        return len(self.ids)


def items_of(train: Samples, others: Mapping[str, Samples] | None = None, targets: Sequence[str] = ()) -> Items:
    """The rows of the training table and of others, which must have files.

    Args:
        train: training rows.
        others: test rows and rows without labels, by what they are called.
        targets: columns of the training table that make up a label.
    """
    sides = [train, *(others or {}).values()]
    columns = [cell_texts(train.frame[name]) for name in targets]
    labels = [", ".join(map(str, cells)) for cells in zip(*columns, strict=True)] if columns else [None] * len(train)
    return Items(
        np.concatenate([side.ids for side in sides]),
        np.concatenate([side.frame[SOURCE].astype(str).to_numpy(object) for side in sides]),
        np.concatenate([np.full(len(side), number > 0) for number, side in enumerate(sides)]),
        tuple(path for side in sides for path in side.media or ()),
        (*labels, *[None] * sum(map(len, sides[1:]))),
        tuple(name_rows(side.frame, [row]) for side in sides for row in range(len(side))),
        " or ".join(others or ("test",)),
    )


@dataclass(frozen=True)
class Duplicates:
    """What was found."""

    items: Items
    pairs: pd.DataFrame
    """first, second, first_table, second_table, similarity, exact, label_first, label_second, conflict, cosine,
    decision, first_row, second_row (positions in `items`); conflicting labels first, then by falling similarity."""
    groups: np.ndarray
    """int64 (n,): linked rows share a number; `different` pairs do not link, `same` pairs do at any similarity."""
    proposal: Proposal
    """The threshold, proposed or the user's, and what it finds."""
    bad: dict[int, str]
    """Rows whose photo cannot be read, and why."""
    left_out: int
    """Look-alike pairs that were not compared, because each photo had `NEAREST` nearer ones."""
    vectors: np.ndarray | None
    """float32 (n, f), fingerprints of all rows, the mean where a photo cannot be read; None of less than two photos."""


def find_duplicates(
    items: Items,
    settings: Settings,
    fingerprint: Fingerprint,
    *,
    decisions: Decisions | None = None,
    seed: int = 0,
    workers: int = 1,
    emit: Emit | None = None,
) -> Duplicates:
    """Exact and near copies among all rows.

    Args:
        items: rows of all tables.
        settings: size and thresholds.
        fingerprint: how photos become vectors.
        decisions: what a person decided, by ids.
        seed: decides the sample that is copied to propose thresholds.
        workers: threads.
        emit: is told how far it is.

    Raises:
        RunError: the cache cannot be written.
        DataError: far too many photos look alike.
    """
    tell = emit or (lambda event: None)
    cache = small_photos(items.paths, settings.size, workers=workers, emit=tell)
    rows = first_of_each_content(cache)
    near, proposal, left_out, vectors = _near(items, settings, fingerprint, cache, rows, seed, workers, tell)
    frame = _frame(items, _exact(cache), near, decisions or {}, proposal.threshold)
    linking = frame[frame["decision"] != "different"]
    groups = link_pairs(len(items), linking["first_row"].to_numpy(), linking["second_row"].to_numpy())
    everything = None if vectors is None else of_all_rows(vectors, rows, cache)
    return Duplicates(items, frame, groups, proposal, cache.bad, left_out, everything)


def _exact(cache: ImageCache) -> pd.DataFrame:
    """Each row with an equal file beside the first such row."""
    keys = pd.Series(cache.content_keys)
    first = keys.groupby(keys).transform(lambda rows: rows.index[0])
    later = np.flatnonzero((first != keys.index) & (keys != "") & ~keys.index.isin(list(cache.bad)))
    ones = np.ones(len(later))
    pairs = {"first_row": first.to_numpy(np.int64)[later], "second_row": later, "similarity": ones, "cosine": ones}
    return pd.DataFrame(pairs).assign(exact=True)


def _near(
    items: Items,
    settings: Settings,
    fingerprint: Fingerprint,
    cache: ImageCache,
    rows: np.ndarray,
    seed: int,
    workers: int,
    tell: Emit,
) -> tuple[pd.DataFrame, Proposal, int, np.ndarray | None]:
    """Compared pairs of rows with their similarity, the thresholds, how many pairs were not compared, fingerprints."""
    content = [cache.content_keys[row] for row in rows]
    photos = [cache[int(row)] for row in rows]
    if len(rows) < 2:
        nothing = judge(DEFAULT_THRESHOLD, {}, np.empty(0), DEFAULT_COSINE)
        none = np.empty(0, np.int64)
        return _compared(rows, Pairs(none, none, np.empty(0, np.float32)), np.empty(0)), nothing, 0, None
    vectors = kept_vectors(fingerprint, photos, content, telling(tell, "fingerprints"))
    copies = make_copies([items.paths[row] for row in rows], content, photos[0].shape[0], seed=seed, workers=workers)
    copied = kept_vectors(fingerprint, copies.photos, copies.content, telling(tell, "fingerprints of copies"))
    whitening = _whitening(vectors, copied, copies)
    cosines = _cosines(whitening(vectors)[copies.original], whitening(copied))
    few = len(rows) < FEWEST
    cosine = settings.cosine
    if cosine == "auto":
        cosine = DEFAULT_COSINE if few else propose_cosine(_by_kind(cosines, copies))
    pairs, left_out = nearest(
        pairs_over(whitening(vectors), cosine, progress=telling(tell, "all pairs")), len(rows), NEAREST
    )
    levels = [np.concatenate(parts) for parts in zip(thumbnails(photos), thumbnails(copies.photos), strict=True)]
    compare = telling(tell, "look-alikes compared")
    alike = agreements(levels, pairs.first, pairs.second, threads=workers, progress=compare)
    test = np.flatnonzero(_tested(copies))
    made = np.zeros(len(cosines), dtype=np.float32)
    made[test] = agreements(levels, copies.original[test], len(rows) + test, threads=workers)
    tested = _by_kind(np.where(cosines >= cosine, made, 0), copies)
    if settings.threshold != "auto" or few:
        chosen = DEFAULT_THRESHOLD if settings.threshold == "auto" else settings.threshold
        proposal = judge(chosen, tested, alike, cosine)
    else:
        proposal = propose_threshold(tested, alike, cosine)
    return _compared(rows, pairs, alike), proposal, left_out, vectors


def _whitening(vectors: np.ndarray, copied: np.ndarray, copies: Copies) -> Whitening:
    fit = copies.learned_from
    return fit_whitening(vectors, vectors[copies.original[fit]], copied[fit])


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.einsum("ij,ij->i", left, right) / np.maximum(lengths, 1e-12)


def _tested(copies: Copies) -> np.ndarray:
    """Bool (c,): the copies of kinds that are asked for, of the photos that were not learned from."""
    return ~copies.learned_from & (copies.kind != "combined")


def _by_kind(values: np.ndarray, copies: Copies) -> dict[str, np.ndarray]:
    """Values of the test copies, by kind."""
    tested = _tested(copies)
    return {str(kind): values[tested & (copies.kind == kind)] for kind in dict.fromkeys(copies.kind[tested])}


def nearest(pairs: Pairs, count: int, most: int) -> tuple[Pairs, int]:
    """The pairs that are among the `most` of highest similarity of either row, and how many are not.

    Args:
        pairs: within one set of `count` rows.
        count: rows.
        most: pairs kept for each row; a row may have more, where it is near to others of which this is true.
    """
    number = np.arange(len(pairs))
    ends = np.concatenate([pairs.first, pairs.second])
    owner = np.concatenate([number, number])
    order = np.lexsort((owner, -pairs.similarity[owner], ends))
    starts = np.searchsorted(ends[order], np.arange(count))
    rank = np.arange(len(order)) - starts[ends[order]]
    kept = np.unique(owner[order[rank < most]])
    return Pairs(pairs.first[kept], pairs.second[kept], pairs.similarity[kept]), len(pairs) - len(kept)


def _compared(rows: np.ndarray, pairs: Pairs, similarity: np.ndarray) -> pd.DataFrame:
    ends = {"first_row": rows[pairs.first], "second_row": rows[pairs.second]}
    return pd.DataFrame({**ends, "similarity": similarity, "cosine": pairs.similarity}).assign(exact=False)


def _frame(
    items: Items, exact: pd.DataFrame, near: pd.DataFrame, decisions: Mapping[tuple[str, str], str], threshold: float
) -> pd.DataFrame:
    """The pairs that reach the threshold or were decided to be the same, as `Duplicates.pairs` describes them."""
    same = _decided(items, decisions)
    frame = pd.concat([exact, near, same], ignore_index=True)
    chosen = pd.MultiIndex.from_frame(same[ROWS])
    wanted = frame["exact"] | (frame["similarity"] >= threshold) | pd.MultiIndex.from_frame(frame[ROWS]).isin(chosen)
    frame = frame[wanted].drop_duplicates(ROWS)  # where a pair was compared, that comes first
    first, second = frame["first_row"].to_numpy(np.int64), frame["second_row"].to_numpy(np.int64)
    labels = np.array(items.labels, dtype=object)
    pair_ids = [pair_key(a, b) for a, b in zip(items.ids[first], items.ids[second], strict=True)]
    known = np.array([a is not None and b is not None for a, b in zip(labels[first], labels[second], strict=True)])
    made = pd.DataFrame(
        {
            "first": items.ids[first],
            "second": items.ids[second],
            "first_table": items.table[first],
            "second_table": items.table[second],
            "similarity": frame["similarity"].to_numpy(np.float64),
            "exact": frame["exact"].to_numpy(bool),
            "label_first": labels[first],
            "label_second": labels[second],
            "conflict": known.astype(bool) & (labels[first] != labels[second]),
            "cosine": frame["cosine"].to_numpy(np.float64),
            "decision": [decisions.get(pair, "") for pair in pair_ids],
            "first_row": first,
            "second_row": second,
        }
    )
    order = np.lexsort((second, first, -made["similarity"].to_numpy(), ~made["conflict"].to_numpy(bool)))
    return made.iloc[order].reset_index(drop=True)


def _decided(items: Items, decisions: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """Pairs that a person said are the same, of all rows with these ids; they need not have been compared."""
    rows_of = pd.Series(np.arange(len(items))).groupby(items.ids).agg(list).to_dict()
    same = [pair for pair, word in decisions.items() if word == "same"]
    ends = [(a, b) for pair in same for a in rows_of[pair[0]] for b in rows_of[pair[1]]]
    frame = pd.DataFrame(np.array([sorted(pair) for pair in ends], dtype=np.int64).reshape(-1, 2), columns=ROWS)
    return frame.assign(similarity=np.nan, cosine=np.nan, exact=False)
