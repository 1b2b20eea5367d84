"""Opening every file of a table, and what that shows: bad files, equal files, sizes and modes."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from outfold.data.findings import Finding, Level, count, listed, places_of
from outfold.data.media import ImageInfo, content_key, decode_image, probe_image
from outfold.data.table import Samples
from outfold.errors import MediaError

Fault = Literal["missing", "empty", "unreadable", "damaged"]

FAULTS: dict[Fault, str] = {
    "missing": "missing",
    "empty": "empty (0 bytes)",
    "unreadable": "unreadable: no image, or not allowed to be read",
    "damaged": "truncated or damaged: the header is right, the pixels are not",
}


@dataclass(frozen=True)
class Inspected:
    """One file that was opened and decoded."""

    key: str = ""
    """Content key; empty where the file cannot be read."""
    info: ImageInfo | None = None
    """What the header says; None where there is none."""
    fault: Fault | None = None
    reason: str = ""
    """What is wrong, in the decoder's words."""


def inspect_file(path: Path) -> Inspected:
    """Read and decode one photo; never raises for what is wrong with it."""
    try:
        data = path.read_bytes()
        if not data:
            return Inspected(fault="empty")
        key = content_key(path)
    except FileNotFoundError:
        return Inspected(fault="missing")
    except (OSError, MediaError) as error:
        return Inspected(fault="unreadable", reason=getattr(error, "strerror", None) or str(error))
    try:
        info = probe_image(data)
    except MediaError as error:
        return Inspected(key, fault="unreadable", reason=_reason(error))
    try:
        # A JPEG is decoded at an eighth: every byte of it is still read, but most arithmetic on pixels is saved.
        decode_image(data, shortest_side=1)
    except MediaError as error:
        return Inspected(key, info, "damaged", _reason(error))
    return Inspected(key, info)


def inspect_files(
    paths: Sequence[Path], *, workers: int, progress: Callable[[int, int], None] | None = None
) -> list[Inspected]:
    """Inspect files in threads; the result is in the order of `paths`, and repeated paths are read once.

    Args:
        paths: the files.
        workers: threads.
        progress: called as progress(done, total) for each distinct file, from the calling thread.
    """
    distinct = list(dict.fromkeys(paths))
    seen: dict[Path, Inspected] = {}
    with ThreadPoolExecutor(workers) as pool:
        for path, inspected in zip(distinct, pool.map(inspect_file, distinct), strict=True):
            seen[path] = inspected
            if progress is not None:
                progress(len(seen), len(distinct))
    return [seen[path] for path in paths]


def fault_findings(samples: Samples, files: Sequence[Inspected], root: Path, *, level: Level) -> list[Finding]:
    """Rows whose file cannot be used, one finding for each kind of fault."""
    findings = []
    for fault, words in FAULTS.items():
        rows = [row for row, file in enumerate(files) if file.fault == fault]
        if rows:
            places = places_of(samples, rows, root=root, notes=[files[row].reason for row in rows])
            fix = (
                "these rows are left out (on_bad_media: drop)"
                if level != "error"
                else "mend the files or the table, or set data.on_bad_media: drop to go on without these rows"
            )
            findings.append(Finding(level, f"{count(len(rows), 'row')} with a file that is {words}", places, fix))
    return findings


def appearance_findings(files: Sequence[Inspected], table: str) -> list[Finding]:
    """Sizes, formats and modes of the photos that could be read."""
    infos = [file.info for file in files if file.info is not None and file.fault is None]
    if not infos:
        return []
    kinds = Counter(f"{info.format} {info.mode}" for info in infos)
    sizes = Counter((info.width, info.height) for info in infos)
    sides = np.array([(info.width, info.height) for info in infos])
    shorter = sides.min(axis=1)
    what = f"{table}: {count(len(infos), 'photo')}: " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
    if len(sizes) == 1:
        what += "; all {} x {} pixels".format(*next(iter(sizes)))
    else:
        low, middle, high = shorter.min(), np.median(shorter), shorter.max()
        span = f"{low}" if low == high else f"{low} to {high} (median {middle:.0f})"
        what += f"; {len(sizes):,} sizes, shorter side {span}, longer side up to {sides.max()} pixels"
    what += f"; {sum(info.bytes for info in infos) / 1e6:,.1f} MB"
    turned = sum(info.orientation != 1 for info in infos)
    clear = sum(info.has_transparency for info in infos)
    extras = [f"turned by their EXIF orientation: {turned:,}"] if turned else []
    extras += [f"with transparency, shown over white: {clear:,}"] if clear else []
    return [Finding("note", "; ".join([what, *extras]))]


def duplicate_findings(
    samples: Samples, keys: Sequence[str], labels: Sequence[str], root: Path, *, grouped: bool
) -> list[Finding]:
    """Files of one table that are equal byte for byte: those with different labels first.

    Args:
        samples: the rows, n.
        keys: (n,) content keys; empty ones are left out.
        labels: (n,) the rows' labels as text.
        root: where files are shown from.
        grouped: whether the folds keep equal files together.
    """
    repeated = [rows for rows in _equal(keys).values() if len(rows) > 1]
    clashing = [rows for rows in repeated if len({labels[row] for row in rows}) > 1]
    agreeing = [rows for rows in repeated if len({labels[row] for row in rows}) == 1]
    findings = []
    if clashing:
        rows = [row for group in clashing for row in group]
        places = places_of(samples, rows, root=root, notes=[f"label {labels[row]}" for row in rows])
        what = f"{count(len(clashing), 'file')} in several rows with different labels: {count(len(rows), 'row')}"
        findings.append(Finding("warning", what, places, "find out which label is right"))
    if agreeing:
        rows = [row for group in agreeing for row in group]
        what = f"{count(len(agreeing), 'file')} in several rows with the same label: {count(len(rows), 'row')}"
        how = "they share a fold" if grouped else "they may be in different folds, which leaks"
        fix = None if grouped else "set folds.duplicates: group"
        findings.append(
            Finding("note" if grouped else "warning", f"{what}; {how}", places_of(samples, rows, root=root), fix)
        )
    return findings


def equal_vector_findings(samples: Samples, keys: Sequence[str], fold: Sequence[int] | np.ndarray) -> list[Finding]:
    """Rows whose vectors are equal to the last bit and that lie in different folds, as one photo given twice does.

    Args:
        samples: the rows, n.
        keys: (n,) a hash of each row's vector.
        fold: integers (n,).
    """
    torn = [rows for rows in _equal(keys).values() if len({int(fold[row]) for row in rows}) > 1]
    if not torn:
        return []
    what = f"{count(sum(map(len, torn)), 'row')} share a vector with a row of another fold, which leaks"
    places = places_of(samples, [row for rows in torn for row in rows])
    return [Finding("warning", what, places, "give such rows one group: name its column in folds.group")]


def overlap_findings(
    train: Samples, keys: Sequence[str], test: Samples, test_keys: Sequence[str], root: Path
) -> list[Finding]:
    """Files and ids that the training and the test table have in common."""
    own, findings = _equal(keys), []
    rows = [row for row, key in enumerate(test_keys) if key in own]
    if rows:
        notes = [f"same file as id {listed(train.ids[own[test_keys[row]]], 3)} of the training table" for row in rows]
        findings.append(
            Finding(
                "warning",
                f"{count(len(rows), 'row')} of the test table with a file that is also in the training table",
                places_of(test, rows, root=root, notes=notes),
                "a score on these test rows says little",
            )
        )
    known = set(train.ids)
    shared = [row for row, name in enumerate(test.ids) if name in known]
    if shared:
        what = f"{count(len(shared), 'id')} of the test table also in the training table"
        findings.append(Finding("warning", what, places_of(test, shared), "make sure that they are different samples"))
    return findings


def _equal(keys: Sequence[str]) -> Mapping[str, list[int]]:
    """The rows of each content key; rows without one are left out."""
    rows: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        if key:
            rows.setdefault(key, []).append(row)
    return rows


def _reason(error: MediaError) -> str:
    problem = error.problem.partition(": ")[2] or error.problem  # bytes have no name worth showing before the colon
    return problem if error.got is None else f"{problem} ({error.got})"
