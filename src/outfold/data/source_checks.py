"""What several sources show when they become one table: mapped labels, unknown groups, rows without labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from outfold.data.findings import Finding, count, finding_of, listed, places_of
from outfold.data.folds import FoldTable
from outfold.data.folds.grouping import names_no_group
from outfold.data.table import Samples, refuse_known_ids
from outfold.errors import DataError
from outfold.names import suggestion
from outfold.settings.folds import Folds


def mapping_findings(samples: Samples) -> list[Finding]:
    """Values that a source's `map` names in vain, and those that it leaves as they are."""
    findings = []
    for mapped in samples.mapped:
        if not mapped.columns:
            continue  # labels of a table that has none
        place = f"column {', '.join(map(repr, mapped.columns))}"
        if mapped.unused:
            what = f"{mapped.table}: `map` names {count(len(mapped.unused), 'value')} that no row has in {place}"
            fix = suggestion(mapped.unused[0], mapped.kept)
            findings.append(Finding("warning", f"{what}: {listed(mapped.unused)}", fix=fix))
        if mapped.kept:
            most = sorted(mapped.kept.items(), key=lambda item: -item[1])
            kept = listed(f"{value} ({rows:,})" for value, rows in most)
            what = f"{mapped.table}: `map` leaves {count(len(most), 'value')} of {place} as they are: {kept}"
            findings.append(Finding("note", what))
    return findings


def group_findings(folds: Folds, samples: Samples) -> list[Finding]:
    """Rows whose group is not known, by the columns that name groups; columns that are not there are left out."""
    findings, frame = [], samples.frame
    there = [name for name in folds.group if name in frame.columns]
    for name in there:
        unknown = names_no_group(frame[name], folds.unknown_group)
        if unknown.any():
            what = f"{count(int(unknown.sum()), 'row')} of no known group in column {name!r}"
            findings.append(Finding("note", f"{what}: each is a group of its own"))
        empty = frame[name].isna().to_numpy(dtype=bool) & ~unknown
        if empty.any():
            what = f"{count(int(empty.sum()), 'row')} with an empty cell in the group column {name!r}"
            fix = "fill them in; or say that these groups are not known: `null` among folds.unknown_group"
            places = places_of(samples, np.flatnonzero(empty))
            findings.append(Finding("warning", f"{what}: each is taken for a group of its own", places, fix))
    for value in folds.unknown_group:
        if value is not None and there and not any(names_no_group(frame[name], [value]).any() for name in there):
            what = f"folds.unknown_group names {value!r}, which no row has in {', '.join(map(repr, there))}"
            findings.append(Finding("note", what))
    return findings


def torn_recordings(samples: Samples, folds: FoldTable) -> list[Finding]:
    """Recordings of which a fold's models train on some rows and are judged on others.

    Args:
        samples: the training rows, n.
        folds: of the same rows.
    """
    if samples.clips is None:
        return []
    recording = np.unique(samples.clips.recording, return_inverse=True)[1]
    exposed = np.zeros(len(samples), dtype=bool)
    for number in folds.numbers:
        train, valid = folds.split(number)
        exposed[valid] |= np.isin(recording[valid], recording[train])
    rows = np.flatnonzero(exposed)
    if not len(rows):
        return []
    what = f"{count(len(np.unique(recording[rows])), 'recording')} with rows in several folds, which leaks"
    fix = "leave folds.duplicates at `group`, or name a column of the recording in folds.group"
    impact = (
        f"{count(len(rows), 'row')} of {len(samples):,} are judged by models that trained on other seconds of theirs"
    )
    return [Finding("warning", what, places_of(samples, rows), fix, "recordings-across-folds", impact)]


def unlabelled_findings(
    train: Samples, keys: Sequence[str], unlabelled: Samples, unlabelled_keys: Sequence[str], root: Path
) -> list[Finding]:
    """Ids and files that the rows without labels share with training rows.

    Args:
        train: the training rows, n.
        keys: (n,) content keys of their files; empty ones are left out.
        unlabelled: the rows without labels, m.
        unlabelled_keys: (m,) the same of them.
        root: where files are shown from.
    """
    findings = []
    try:
        refuse_known_ids(train, unlabelled)
    except DataError as error:
        findings.append(finding_of(error))
    known = set(filter(None, keys))
    rows = [row for row, key in enumerate(unlabelled_keys) if key in known]
    if rows:
        what = f"{count(len(rows), 'row')} of the unlabelled table with a file that is also in the training table"
        fix = "leave these rows out: models that trained on a file would label it"
        findings.append(Finding("warning", what, places_of(unlabelled, rows, root=root), fix))
    return findings
