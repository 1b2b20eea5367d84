"""Everything that can be wrong with a recipe's tables, media, labels and folds, found before a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.audio.findings import clip_findings, recording_findings, short_findings
from outfold.data.audio.inspection import InspectedAudio, inspect_recordings
from outfold.data.audio.rows import RowClips, seconds_keys
from outfold.data.columns import cell_texts
from outfold.data.crop_checks import box_findings, read_boxes, unknown_box_findings
from outfold.data.crops import Box, boxes_of_rows
from outfold.data.findings import Finding, Level, count, finding_of, listed, places_of
from outfold.data.folds import FoldTable, make_folds
from outfold.data.inspection import (
    Inspected,
    appearance_findings,
    duplicate_findings,
    fault_findings,
    inspect_files,
    overlap_findings,
)
from outfold.data.label_checks import (
    class_findings,
    class_members,
    fold_findings,
    identity_findings,
    label_findings,
    secondary_findings,
)
from outfold.data.label_sets import learned_of_secondary
from outfold.data.row_weights import rating_findings
from outfold.data.rows import SOURCE_ROW
from outfold.data.source_checks import group_findings, mapping_findings, torn_recordings, unlabelled_findings
from outfold.data.table import Part, Samples, has_padded_windows, load_samples, sources_of
from outfold.data.targets import TargetCodec
from outfold.errors import DataError, MediaError
from outfold.settings.data import Data, Source
from outfold.settings.folds import Folds
from outfold.settings.task import Task

Progress = Callable[[str, int, int], None]
"""Is told (table, files done, files in all)."""


@dataclass(frozen=True)
class Table:
    """One table as far as it could be read."""

    name: Part
    samples: Samples
    """Its rows; ids may repeat, for this is what is checked."""
    files: tuple[Inspected, ...] | tuple[InspectedAudio, ...] = ()
    """What each row's file turned out to be; empty where the rows have no files."""

    @property
    def keys(self) -> list[str]:
        """Content key of each row's file."""
        return [file.key for file in self.files] or [""] * len(self.samples)

    @property
    def used_keys(self) -> list[str]:
        """What tells what each row uses of its file: the content key, and of a recording the seconds."""
        clips = self.samples.clips
        return self.keys if clips is None else seconds_keys(self.keys, clips)

    @property
    def usable(self) -> np.ndarray:
        """Bool (n,): the rows without a fault in their file."""
        return np.array([file.fault is None for file in self.files] or [True] * len(self.samples), dtype=bool)


@dataclass(frozen=True)
class Checked:
    """What a check found, and what it looked at."""

    findings: tuple[Finding, ...]
    train: Table | None
    test: Table | None = None
    folds: FoldTable | None = None
    unlabelled: Table | None = None

    @property
    def ok(self) -> bool:
        """Whether a run would start."""
        return not any(finding.level == "error" for finding in self.findings)


def check_data(
    data: Data, task: Task, folds: Folds, root: Path, *, workers: int = 1, progress: Progress | None = None
) -> Checked:
    """Read every row, open every file, and make the folds; faults become findings and nothing is raised for them.

    Args:
        data: the recipe's tables and roles.
        task: the recipe's target.
        folds: the recipe's folds.
        root: data root, absolute.
        workers: threads that open files.
        progress: is told how many files of a table were opened.
    """
    tables: dict[Part, Table | None] = {}
    boxes, findings = read_boxes(data.crops, root)
    parts: tuple[Part, ...] = ("train", "test", "unlabelled")
    for part in parts:
        if sources_of(data, part):
            tables[part], found = _check_table(part, data, boxes, task.target, root, workers, progress)
            findings += found
    read = [table for table in tables.values() if table is not None]
    if len(read) == len(tables):  # the ids of a table that cannot be read are not known
        findings += unknown_box_findings(boxes, [table.samples.ids for table in read])
    train, test, unlabelled = (tables.get(part) for part in parts)
    made = None
    if train is not None:
        made, more = _check_labels_and_folds(train, data, task, folds, root)
        findings += more
        labels = _label_texts(train.samples.frame, task)
        used, grouped = train.used_keys, folds.duplicates == "group"
        findings += duplicate_findings(train.samples, used, labels, root, grouped=grouped)
        if test is not None:
            findings += overlap_findings(train.samples, used, test.samples, test.used_keys, root)
        if unlabelled is not None:
            findings += unlabelled_findings(train.samples, used, unlabelled.samples, unlabelled.used_keys, root)
    return Checked(tuple(findings), train, test, made, unlabelled)


def _check_table(
    name: Part,
    data: Data,
    boxes: Mapping[str, Box],
    targets: Sequence[str],
    root: Path,
    workers: int,
    progress: Progress | None,
) -> tuple[Table | None, list[Finding]]:
    """Rows, ids, mapped labels, files and crop boxes of one table."""
    samples, findings = _read(data.model_copy(update={"crops": None}), root, name, targets)
    if samples is None:
        return None, findings
    samples = replace(samples, crops=boxes_of_rows(boxes, samples.ids))
    findings += [Finding("note", f"{name}: {count(len(samples), 'row')}"), *mapping_findings(samples)]
    if samples.media is None:
        return Table(name, samples), findings
    tell = None if progress is None else lambda done, total: progress(name, done, total)
    level: Level = "error" if data.on_bad_media == "stop" else "warning"
    if samples.clips is not None:
        heard = tuple(inspect_recordings(samples.media, workers=workers, progress=tell))
        findings += recording_findings(samples, heard, root, level=level, table=name)
        findings += short_findings(samples, sources_of(data, name), root)
        findings += [] if has_padded_windows(data, name) else clip_findings(samples, heard, root, level=level)
        return Table(name, samples, heard), findings
    files = tuple(inspect_files(samples.media, workers=workers, progress=tell))
    findings += fault_findings(samples, files, root, level=level)
    findings += appearance_findings(files, name)
    return Table(name, samples, files), findings + (box_findings(samples, files, name, root) if boxes else [])


def _check_labels_and_folds(
    train: Table, data: Data, task: Task, folds: Folds, root: Path
) -> tuple[FoldTable | None, list[Finding]]:
    """Labels, class sizes and folds of the rows that a run would keep."""
    findings, labelled = label_findings(task, train.samples)
    findings += group_findings(folds, train.samples)
    complete = bool(labelled.all())
    kept = labelled & train.usable if data.on_bad_media == "drop" else labelled
    samples = train.samples.take(kept)
    try:
        codec = TargetCodec.fit(task, samples.frame)
    except DataError as error:
        return None, findings if not complete else [*findings, finding_of(error)]
    target = codec.encode(samples.frame)
    names, member = class_members(codec, target)
    findings += [*class_findings(names, member, folds.k), *identity_findings(task, samples, target)]
    findings += _weak_label_findings(data, task, samples.frame, codec, target)
    if folds.file is not None and not complete:
        return None, findings  # the file is for all rows, and these are not all
    try:
        keys = [key for key, keep in zip(train.keys, kept, strict=True) if keep]
        made = make_folds(folds, samples, content_keys=keys, root=root)
    except DataError as error:
        return None, [*findings, finding_of(error)]
    return made, [*findings, *torn_recordings(samples, made), *fold_findings(made, names, member, samples)]


def _weak_label_findings(
    data: Data, task: Task, frame: pd.DataFrame, codec: TargetCodec, target: np.ndarray
) -> list[Finding]:
    """What secondary labels and ratings show; one that cannot be read is a finding too."""
    try:
        learned = learned_of_secondary(task, frame, codec.outputs, target)
        return [*secondary_findings(task, learned), *rating_findings(data.rating, frame)]
    except DataError as error:
        return [finding_of(error)]


def _read(data: Data, root: Path, part: Part, targets: Sequence[str]) -> tuple[Samples | None, list[Finding]]:
    """The rows of one part of the data; where a run would refuse them, as many as can be read all the same.

    Rows of a long table are no samples by themselves: of one that a run would refuse, the reason is all there is.
    """
    try:
        return load_samples(data, root, part, targets=targets), []
    except (DataError, MediaError) as error:
        strict = finding_of(error)
    if data.long is not None:
        return None, [strict]
    parts, findings = [], []
    for source in sources_of(data, part):
        samples, found = _read_leniently(data, source, root, part, targets)
        findings += found
        if samples is not None:
            parts.append(samples)
    samples = _joined(parts, data.id)
    if samples is not None:
        findings += _id_findings(samples)
    return samples, findings or [strict]


def _read_leniently(
    data: Data, source: Source, root: Path, part: Part, targets: Sequence[str]
) -> tuple[Samples | None, list[Finding]]:
    """One source by itself, each row identified by its line, so that ids may be anything."""

    def alone(source: Source, **changes: object) -> Samples | None:
        table = source if part == "test" else (source,)
        changed = data.model_copy(update={str(part): table, "id": SOURCE_ROW, "weight": None, **changes})
        return _with_ids(load_samples(changed, root, part, targets=targets), data.id)

    try:
        return alone(source), []
    except MediaError as error:
        found = finding_of(error)
    except DataError as error:
        return None, [finding_of(error)]
    return alone(source.model_copy(update={"image": None, "audio": None}), image=None, audio=None), [found]


def _with_ids(samples: Samples, column: str) -> Samples | None:
    if column not in samples.frame.columns:
        return None
    ids = np.array([text or "" for text in cell_texts(samples.frame[column])], dtype=object)
    return Samples(samples.frame, ids, samples.media, column, samples.mapped, clips=samples.clips)


def _joined(parts: Sequence[Samples], id_column: str) -> Samples | None:
    """Sources below each other; without files where one of them has none."""
    if not parts:
        return None
    media = [path for part in parts for path in part.media or ()]
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    complete = all(part.media is not None for part in parts)
    ids, mapped = np.concatenate([part.ids for part in parts]), tuple(one for part in parts for one in part.mapped)
    clips = [part.clips for part in parts if part.clips is not None]
    seconds = RowClips.stacked(clips) if len(clips) == len(parts) else None
    return Samples(frame, ids, tuple(media) if complete else None, id_column, mapped, clips=seconds)


def _id_findings(samples: Samples) -> list[Finding]:
    """Rows without an id, and ids of more than one row."""
    findings = []
    missing = np.flatnonzero(samples.ids == "")
    if len(missing):
        what = f"{count(len(missing), 'row')} without an id in column {samples.id_column!r}"
        findings.append(Finding("error", what, places_of(samples, missing)))
    repeated = np.flatnonzero(pd.Series(samples.ids).duplicated(keep=False).to_numpy() & (samples.ids != ""))
    if len(repeated):
        codes, names = pd.factorize(samples.ids[repeated])
        rows = repeated[np.argsort(codes, kind="stable")]
        what = f"{count(len(names), 'id')} given more than once: {listed(names, 3)}"
        fix = "remove the repeated rows, or choose a column that identifies a row"
        findings.append(Finding("error", what, places_of(samples, rows), fix))
    return findings


def _label_texts(frame: pd.DataFrame, task: Task) -> list[str]:
    """The labels of each row as text; empty where a target column is not there."""
    columns = [cell_texts(frame[name]) for name in task.target if name in frame.columns]
    return [", ".join(map(str, cells)) for cells in zip(*columns, strict=True)] if columns else [""] * len(frame)
