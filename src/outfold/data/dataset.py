"""A user's data, loaded: rows with their photos, targets, weights and folds, all in one order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from outfold.data.audio.backgrounds import Backgrounds
from outfold.data.audio.rows import seconds_keys
from outfold.data.audio.sounds import Sounds
from outfold.data.cache import ImageCache
from outfold.data.crops import photo_key
from outfold.data.folds import FoldTable
from outfold.data.prepared import PreparedPhotos
from outfold.data.table import Samples
from outfold.data.table_columns import Columns
from outfold.data.targets import TargetCodec
from outfold.data.vectors import Vectors
from outfold.settings.base import Label


@dataclass(frozen=True)
class Photos:
    """Cached or stored photos in the order of the rows in use.

    Attributes:
        cache: photos of all rows of the table.
        rows: int64 (n,), the rows in use.
    """

    cache: ImageCache | PreparedPhotos
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.cache[int(self.rows[row])]


@dataclass(frozen=True)
class Rows:
    """Samples that can be read.

    Attributes:
        samples: the table's rows.
        photos: by preparation key, the photos of these rows.
        content: the media's content keys by row, empty without media.
        columns: what members read of the table, by key; see `outfold.data.table_columns`.
        vectors: what members read instead of photos, by key.
        sounds: by preparation key, the recordings of these rows.
        backgrounds: by pattern and rate, recordings that training mixes into those of rows.
    """

    samples: Samples
    photos: Mapping[str, Photos] = field(default_factory=dict)
    content: tuple[str, ...] = ()
    columns: Columns = field(default_factory=dict)
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    sounds: Mapping[str, Sounds] = field(default_factory=dict)
    backgrounds: Mapping[tuple[str, int], Backgrounds] = field(default_factory=dict)

    @cached_property
    def media_keys(self) -> tuple[str, ...]:
        """What tells what is used of these rows' media from all others: the box of a photo, a recording's seconds."""
        if self.sounds:
            return next(iter(self.sounds.values())).keys
        photos, clips = self.samples.photos, self.samples.clips
        if photos is None or not self.content:
            return self.content
        if clips is not None:
            return tuple(seconds_keys(self.content, clips))
        return tuple(photo_key(key, photo) for key, photo in zip(self.content, photos, strict=True))

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: np.ndarray) -> "Rows":
        """Some rows, int64 (m,), in that order."""
        photos = {key: Photos(part.cache, part.rows[rows]) for key, part in self.photos.items()}
        columns = {key: column[rows] for key, column in self.columns.items()}
        vectors = {key: part.take(rows) for key, part in self.vectors.items()}
        content = tuple(self.content[row] for row in rows if self.content)
        sounds = {key: part.take(rows) for key, part in self.sounds.items()}
        return Rows(self.samples.take(rows), photos, content, columns, vectors, sounds, self.backgrounds)


@dataclass(frozen=True)
class Dataset:
    """Everything a run knows of the user's data.

    Attributes:
        root: folder that the tables and media lie in.
        train: labelled rows.
        test: rows to predict, or None.
        codec: between the user's labels and numbers, as models learn them.
        target: float32 (n, k) of the training rows, as `codec.encode` gives it: the truth.
        weight: float32 (n, 1) sample weights, or None.
        folds: the fold of each training row.
        held_out: the folds that are held out in turn: all that can be, unless the recipe asks for some only.
        dropped: (id, reason) of rows left out because of their media, or as copies of others.
        warnings: sentences for the report.
        copies: int64 (n,), training rows that are copies of one photo share a number, also with test rows; None where
            near-duplicates were not looked for.
        test_copies: int64 (m,), the same of the test rows.
        embeddings: float32 (n, f), how the training rows' photos look; None where nobody looked.
        test_embeddings: float32 (m, f), the same of the test rows.
        score_class: the class whose probability is judged, where it is one of several.
        variants: further assignments of folds, by the names that members use.
        unlabelled: rows without labels, or None.
        unlabelled_copies: int64 (u,), as `copies`, of the rows without labels.
        soft_target: float32 (n, k), what is learned of the training rows; None where that is the truth.
        mask: float32 (n, k), 0 for the cells that the loss passes over, else 1; None where it counts all.
    """

    root: Path
    train: Rows
    test: Rows | None
    codec: TargetCodec
    target: np.ndarray
    weight: np.ndarray | None
    folds: FoldTable
    held_out: tuple[int, ...]
    dropped: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    copies: np.ndarray | None = None
    test_copies: np.ndarray | None = None
    embeddings: np.ndarray | None = None
    test_embeddings: np.ndarray | None = None
    score_class: Label | None = None
    variants: Mapping[str, FoldTable] = field(default_factory=dict)
    unlabelled: Rows | None = None
    unlabelled_copies: np.ndarray | None = None
    soft_target: np.ndarray | None = None
    mask: np.ndarray | None = None

    @property
    def learned_target(self) -> np.ndarray:
        """float32 (n, k): what is learned of the training rows, which no score looks at."""
        return self.target if self.soft_target is None else self.soft_target

    @property
    def secondary(self) -> np.ndarray | None:
        """Bool (n, k): the cells of classes that are only secondary labels of a row; None where nobody names such."""
        if self.mask is not None:
            return self.mask == 0
        return None if self.soft_target is None else self.soft_target != self.target

    @cached_property
    def loss_weight(self) -> np.ndarray | None:
        """float32 (n, k) where cells are masked, else (n, 1) sample weights, or None where all count alike."""
        if self.weight is None or self.mask is None:
            return self.weight if self.mask is None else self.mask
        return self.weight * self.mask

    @cached_property
    def answer(self) -> TargetCodec:
        """Between the user's labels and what is judged: `codec`, or `score_class` against the rest."""
        return self.codec if self.score_class is None else self.codec.against_rest(self.score_class)

    @cached_property
    def answer_target(self) -> np.ndarray:
        """float32 (n, k): the truth that predictions are judged by, in the outputs of `answer`."""
        if self.score_class is None:
            return self.target
        return self.target[:, [self.codec.outputs.index(name) for name in self.answer.outputs]]

    def as_judged(self) -> "Dataset":
        """The same data with `answer` as its codec, for those that look at predictions and truth alone."""
        if self.score_class is None:
            return self
        return replace(self, codec=self.answer, target=self.answer_target, score_class=None)

    def folds_of(self, variant: str | None) -> FoldTable:
        """The folds of a member, by the name of its variant."""
        return self.folds if variant is None else self.variants[variant]

    def held_out_of(self, variant: str | None) -> tuple[int, ...]:
        """The folds that such a member holds out in turn."""
        return self.held_out if variant is None else self.variants[variant].numbers

    @property
    def scored_rows(self) -> np.ndarray:
        """int64 (m,), the training rows that get an out-of-fold prediction."""
        return self.folds.judged(self.held_out)
