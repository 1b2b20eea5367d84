"""Pseudo-labels: which rows a teacher is sure enough of, how often each is learned from, and as what.

Source of the filter and the balance: Xie et al., "Self-training with Noisy Student improves ImageNet classification",
2020, section 3: rows below a confidence are left out; classes with few rows repeat them, classes with many keep the
rows of the highest confidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from outfold.data.folds import link_groups
from outfold.settings.task import TaskKind

HELD_OUT, SEEN, INCOMPLETE, UNSURE, SURPLUS = "held_out", "seen", "incomplete", "unsure", "surplus"
REASONS = {
    HELD_OUT: "belong to held-out rows",
    SEEN: "belong to rows that the teacher trained on",
    INCOMPLETE: "of incomplete recordings",
    UNSURE: "below the confidence",
    SURPLUS: "more than their class needs",
}
"""Why rows are left out, and what is said of them."""


@dataclass(frozen=True)
class Chosen:
    """Which of n rows are learned from.

    Attributes:
        repetitions: int64 (n,), how often a row is learned from in an epoch; 0 where it is left out.
        left_out: object (n,) of str, a key of `REASONS`; empty text where a row is kept.
    """

    repetitions: np.ndarray
    left_out: np.ndarray


def most_likely(values: np.ndarray, kind: TaskKind) -> tuple[np.ndarray, np.ndarray]:
    """The class that a teacher takes each row for, and how sure it is.

    Args:
        values: probabilities (n, k); binary: (n, 1), of the positive class.
        kind: multiclass, binary or multilabel, where it is the likeliest of the labels.

    Returns:
        int64 (n,), places of the classes (binary: 0 and 1; the first of equally likely ones), and float64 (n,), their
        probabilities.
    """
    wide = by_class(values, kind)
    return wide.argmax(axis=1), wide.max(axis=1)


def by_class(values: np.ndarray, kind: TaskKind) -> np.ndarray:
    """Probabilities with a column for each class: (n, k), of a binary task (n, 1) of the positive one -> float64."""
    wide = values.astype(np.float64)
    return np.concatenate([1 - wide, wide], axis=1) if kind == "binary" else wide


def choose(
    classes: np.ndarray,
    certainty: np.ndarray,
    barred: np.ndarray,
    *,
    confidence: float = 0.0,
    per_class: int | str = "balanced",
) -> Chosen:
    """Leave out barred and unsure rows, then balance the classes.

    Args:
        classes: int64 (n,), the class of each row.
        certainty: float64 (n,), its probability.
        barred: object (n,) of str, why a row may not be learned from at all; empty text where it may.
        confidence: rows below it are left out.
        per_class: `all`, a number of rows, or `balanced`: the mean number over the classes that have any.
    """
    left_out = np.where(barred != "", barred, np.where(certainty < confidence, UNSURE, "")).astype(object)
    rows = np.flatnonzero(left_out == "")
    repetitions = np.zeros(len(classes), dtype=np.int64)
    repetitions[rows] = 1 if per_class == "all" else balanced(classes[rows], certainty[rows], per_class)
    left_out[rows[repetitions[rows] == 0]] = SURPLUS
    return Chosen(repetitions, left_out)


def balanced(classes: np.ndarray, certainty: np.ndarray, per_class: int | str) -> np.ndarray:
    """How often each row is used so that all classes that occur have the same number.

    A class with m rows that needs N uses each row N // m times, and the N % m surest once more: rare classes repeat
    their rows, frequent ones are cut to their surest. Of equally sure rows the earlier come first.

    Args:
        classes: int64 (n,).
        certainty: float64 (n,).
        per_class: N, or `balanced` for the mean number of rows of a class, rounded.

    Returns:
        int64 (n,).
    """
    if not len(classes):
        return np.zeros(0, dtype=np.int64)
    _, place, members = np.unique(classes, return_inverse=True, return_counts=True)
    needed = round(len(classes) / len(members)) if per_class == "balanced" else int(per_class)
    order = np.lexsort((-certainty, place))  # stable
    rank = np.empty(len(classes), dtype=np.int64)
    rank[order] = np.arange(len(classes)) - np.repeat(np.cumsum(members) - members, members)
    return needed // members[place] + (rank < needed % members[place])


def learned_target(values: np.ndarray, kind: TaskKind, labels: str) -> np.ndarray:
    """What is learned: the teacher's probabilities or values, or its most likely classes.

    Args:
        values: (n, k), probabilities or, for a regression, values.
        kind: the task.
        labels: `soft`, or `hard`: one class for multiclass, else 1 from a probability of 0.5 on.

    Returns:
        float32 (n, k).
    """
    if labels == "soft":
        return values.astype(np.float32)
    if kind == "multiclass":
        return np.eye(values.shape[1], dtype=np.float32)[values.argmax(axis=1)]
    return (values >= 0.5).astype(np.float32)


@dataclass(frozen=True)
class Links:
    """Which unlabelled rows belong together with which labelled ones, directly or through other rows.

    Attributes:
        labelled: int64 (n,), a number for each labelled row; linked rows share it.
        unlabelled: int64 (m,), the same of the unlabelled rows.
    """

    labelled: np.ndarray
    unlabelled: np.ndarray

    @classmethod
    def between(cls, labelled: Sequence[Sequence[object]], unlabelled: Sequence[Sequence[object]]) -> "Links":
        """Links by equal values.

        Args:
            labelled: columns of the labelled table, each (n,), at least one; None links nothing.
            unlabelled: the same columns of the unlabelled table, each (m,).
        """
        size = len(labelled[0])
        groups = link_groups(*([*first, *second] for first, second in zip(labelled, unlabelled, strict=True)))
        return cls(groups[:size], groups[size:])

    def to(self, rows: np.ndarray) -> np.ndarray:
        """Bool (m,): the unlabelled rows that are linked to any of these labelled ones, int64 places."""
        return np.isin(self.unlabelled, self.labelled[rows])


def barred(copies: Links, groups: Links, *, held_out: np.ndarray, trained: np.ndarray, seen_groups: bool) -> np.ndarray:
    """Why unlabelled rows may not be learned from by a student, however sure its teacher is.

    A row that belongs to a held-out one would tell the student of what it is judged on. A copy of a row that the
    teacher trained on is labelled already, and a row of such a group gets labels that are surer than they are right.

    Args:
        copies: links of rows that show the same.
        groups: links of these and of rows of one group.
        held_out: int64, places of the labelled rows that judge the student.
        trained: int64, places of the labelled rows that its teacher trained on.
        seen_groups: let rows of groups that the teacher trained on pass.

    Returns:
        object (m,) of str: `HELD_OUT`, `SEEN`, or empty text.
    """
    seen = copies.to(trained) if seen_groups else groups.to(trained)
    return np.where(groups.to(held_out), HELD_OUT, np.where(seen, SEEN, "")).astype(object)


def without_incomplete(barred: np.ndarray, recording: np.ndarray, windows: int) -> np.ndarray:
    """The same, with rows of recordings that have too few windows barred too.

    Args:
        barred: object (m,) of str, why rows may not be learned from; empty text where they may.
        recording: (m,), whatever names the recording of each row.
        windows: rows of a whole recording.

    Returns:
        object (m,) of str.
    """
    _, place, sizes = np.unique(recording, return_inverse=True, return_counts=True)
    return np.where((barred == "") & (sizes[place] < windows), INCOMPLETE, barred).astype(object)


def counts_by_class(names: Sequence[str], classes: np.ndarray, chosen: Chosen) -> pd.DataFrame:
    """What became of the rows of each class.

    Args:
        names: of the classes.
        classes: int64 (n,), the class that the teacher takes each row for.
        chosen: of the same rows.

    Returns:
        A row for each class: class, rows, a column for each of `REASONS`, kept (different rows), learned (with
        repetitions).
    """
    outcome = np.where(chosen.left_out == "", "kept", chosen.left_out)
    table = pd.DataFrame({"class": list(names), "rows": np.bincount(classes, minlength=len(names))})
    for reason in (*REASONS, "kept"):
        table[reason] = np.bincount(classes[outcome == reason], minlength=len(names))
    learned = np.bincount(classes, weights=chosen.repetitions, minlength=len(names))
    return table.assign(learned=learned.astype(np.int64))


def mean_labels(values: np.ndarray, kind: TaskKind, chosen: Chosen) -> list[float | None]:
    """What a teacher gives each class on average over the rows that are learned from; None without such a row.

    Args:
        values: probabilities (n, k); binary: (n, 1), of the positive class.
        kind: the task.
        chosen: of the same rows.
    """
    wide = by_class(values, kind)
    kept = chosen.repetitions > 0
    return wide[kept].mean(axis=0).tolist() if kept.any() else [None] * wide.shape[1]
