"""What belongs together and yet lies on both sides: groups, copies, cut groups, and people in train and test."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from outfold.audit.splits import Split, judged_rows
from outfold.data.findings import Finding, Level, count, listed, places_of
from outfold.data.rows import SOURCE
from outfold.data.table import Samples

FEW = 0.01
"""Up to this share of judged rows a crossing is a warning: it moves no score by much."""


def codes_of(values: Sequence[object] | np.ndarray | pd.Series) -> np.ndarray:
    """Cells as int64 codes (n,), -1 where a cell is missing."""
    return pd.factorize(pd.Series(values, dtype=object))[0].astype(np.int64)


def exposed_rows(codes: np.ndarray, splits: Sequence[Split]) -> np.ndarray:
    """Bool (n,): rows judged by a model that trained on a row with the same code.

    Args:
        codes: int64 (n,), -1 links nothing.
        splits: rows that train and rows that are judged.
    """
    exposed = np.zeros(len(codes), dtype=bool)
    for train, valid in splits:
        known = np.zeros(int(codes.max(initial=-1)) + 2, dtype=bool)
        known[codes[train]] = True
        known[-1] = False  # where code -1 points to
        exposed[valid] |= known[codes[valid]]
    return exposed


def group_crossings(
    samples: Samples, groups: Mapping[str, pd.Series], splits: Sequence[Split], cut: np.ndarray | None = None
) -> list[Finding]:
    """Values of the columns that were named as groups, and that folds tear apart all the same.

    Args:
        samples: the training rows, n.
        groups: by name, the column (n,) whose equal values must share a fold; missing cells link nothing.
        splits: rows that train and rows that are judged.
        cut: bool (n,), rows whose group was cut on purpose into virtual groups; None where there are none.
    """
    findings = []
    for name, column in groups.items():
        codes = codes_of(column)
        exposed = exposed_rows(codes, splits)
        meant = exposed & (np.zeros(len(exposed), dtype=bool) if cut is None else cut)
        for rows, on_purpose in ((np.flatnonzero(exposed & ~meant), False), (np.flatnonzero(meant), True)):
            if len(rows):
                findings.append(_torn(samples, name, column, codes, rows, splits, on_purpose))
    return findings


def _torn(
    samples: Samples,
    name: str,
    column: pd.Series,
    codes: np.ndarray,
    rows: np.ndarray,
    splits: Sequence[Split],
    on_purpose: bool,
) -> Finding:
    judged = len(judged_rows(splits))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    values = list(dict.fromkeys(column.iloc[rows].tolist()))
    notes = [f"{name} {value}" for value in column.iloc[rows].tolist()]
    impact = _share(len(rows), judged, f"a row of the same `{name}`")
    if on_purpose:
        what = f"{count(len(values), 'value')} of `{name}` were cut into virtual groups: {listed(values)}"
        fix = "read the score as that of new rows of known groups; or cut nothing and accept uneven folds"
        return Finding("warning", what, places_of(samples, rows, notes=notes), fix, "group-cut", impact)
    what = f"{count(len(values), 'value')} of the group column `{name}` in several folds: {listed(values)}"
    fix = "make the folds anew with this column as the group (folds.group), or mend the file of folds"
    level = _level(len(rows) / max(judged, 1))
    return Finding(level, what, places_of(samples, rows, notes=notes), fix, "group-across-folds", impact)


def copy_crossings(
    samples: Samples,
    copies: np.ndarray,
    labels: Sequence[str],
    splits: Sequence[Split],
    sources: Sequence[object] | None = None,
) -> list[Finding]:
    """Copies of one photo or recording in different folds, and copies with different labels.

    Args:
        samples: the training rows, n.
        copies: int64 (n,), one number for all copies of the same thing, exact or near; -1 has none.
        labels: (n,) the rows' labels as text.
        splits: rows that train and rows that are judged.
        sources: (n,) the table each row came from, to say how many copies lie in different ones.
    """
    findings = []
    exposed = exposed_rows(copies, splits)
    rows = _together(copies, exposed)
    texts = np.array(labels, dtype=object)
    torn = _disagreeing(copies, texts)
    notes = [f"copy {copies[row]}, label {labels[row]}" for row in rows]
    if len(rows):
        sets = len(np.unique(copies[rows]))
        mixed = int(_disagreeing(copies[rows], np.asarray(sources, dtype=object)[rows]).sum()) if sources else 0
        what = f"{count(sets, 'set')} of copies in several folds: {count(len(rows), 'row')}"
        what += f", {mixed:,} of them across sources" if mixed else ""
        what += f", {int(torn[rows].sum()):,} under different labels" if torn[rows].any() else ""
        judged = len(judged_rows(splits))
        impact = _share(len(rows), judged, "a copy of themselves")
        fix = "link copies before folds are made (folds.duplicates: group), or drop all but one of each"
        level = _level(len(rows) / max(judged, 1))
        findings.append(Finding(level, what, places_of(samples, rows, notes=notes), fix, "copies-across-folds", impact))
    clashing = _together(copies, torn)
    if len(clashing):
        what = f"{count(len(np.unique(copies[clashing])), 'set')} of copies filed under different labels"
        notes = [f"copy {copies[row]}, label {labels[row]}" for row in clashing]
        impact = f"{count(len(clashing), 'row')} teach and judge two answers for one thing"
        fix = "find out which label is right; where several are (two species in one recording), give each copy all"
        places = places_of(samples, clashing, notes=notes)
        findings.append(Finding("warning", what, places, fix, "copies-with-different-labels", impact))
    return findings


def shared_with_test(
    train: Samples, test: Samples, columns: Mapping[str, tuple[Sequence[object], Sequence[object]]]
) -> list[Finding]:
    """Values that the training and the test table share: people, sites, ids, copies.

    Args:
        train: the training rows, n.
        test: the test rows, m.
        columns: by name, cells of the training rows (n,) and of the test rows (m,); missing ones are no value.
    """
    findings = []
    for name, (own, other) in columns.items():
        known, cells = (pd.Series(list(part), dtype=object) for part in (own, other))
        rows = np.flatnonzero(cells.isin(known.dropna().unique()))
        if not len(rows):
            continue
        values = list(dict.fromkeys(cells.iloc[rows].tolist()))
        back = known.isin(values).to_numpy()
        what = f"{count(len(values), 'value')} of {name} in the training and in the test table: {listed(values)}"
        impact = (
            f"{count(len(rows), 'test row')} of {len(test):,} ({len(rows) / len(test):.0%}) share their {name} with "
            f"{count(int(back.sum()), 'training row')}{_of_sources(train, back)}"
        )
        fix = (
            "a score on these test rows says little about new ones: leave their training rows out, or know it when "
            "the two scores differ"
        )
        notes = [f"{name} {cells.iloc[row]}" for row in rows]
        findings.append(Finding("warning", what, places_of(test, rows, notes=notes), fix, "shared-with-test", impact))
    return findings


def _of_sources(samples: Samples, chosen: np.ndarray) -> str:
    """By source, how many of the chosen rows it has; empty where there is one source."""
    sources = samples.frame.get(SOURCE)
    if sources is None or sources.nunique() < 2:
        return ""
    counts = sources[chosen].value_counts()
    return f" ({listed(f'{number:,} of {name}' for name, number in counts.items())})"


def _level(share: float) -> Level:
    return "error" if share > FEW else "warning"


def _share(rows: int, judged: int, what: str) -> str:
    return (
        f"{count(rows, 'judged row')} of {judged:,} ({rows / max(judged, 1):.1%}) have {what} among their training rows"
    )


def _together(codes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """int64: the chosen rows, those of one code next to each other."""
    rows = np.flatnonzero(chosen & (codes >= 0))
    return rows[np.argsort(codes[rows], kind="stable")]


def _disagreeing(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Bool (n,): rows with a code whose rows have different values."""
    distinct = pd.Series(values).groupby(codes).transform("nunique").to_numpy()
    return (distinct > 1) & (codes >= 0)
