"""Finished models of sibling runs: a job's key is a hash of all that decides its outcome, so equal keys, equal work."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from outfold.files import read_json
from outfold.stages.base import Context, Job

PREDICTIONS = ("oof", "test", "unlabelled")
"""Steps that leave STEP.json and further files of that stem; a fit leaves all others."""


def borrow(context: Context, siblings: Sequence[Path]) -> int:
    """Take over what other runs did before with the very keys of this run's jobs.

    Files are hard links where the disk allows, else copies: everything in a run folder is written beside its place and
    renamed, so that a run which does a job anew never changes its sibling's files.

    Args:
        context: with its jobs planned.
        siblings: run folders; the first that has a job is taken.

    Returns:
        How many jobs need not be done.
    """
    missing = [job for job in context.jobs if job.model is not None and not context.is_done(job)]
    return sum(any(_take_over(job, context, sibling) for sibling in siblings) for job in missing)


def _take_over(job: Job, context: Context, sibling: Path) -> bool:
    theirs, ours = sibling / "stages" / job.place, context.place(job)
    record = theirs / f"{job.step}.json"
    if not (record.exists() and read_json(record).get("key") == job.key and (sibling / job.output).exists()):
        return False
    ours.mkdir(parents=True, exist_ok=True)
    (ours / record.name).unlink(missing_ok=True)  # of an earlier recipe; must not vouch for the files to come
    for path in (*_files_of(job.step, theirs), record):  # the record comes last: it says that the others are there
        place = ours / path.relative_to(theirs)
        place.parent.mkdir(exist_ok=True)
        _link(path, place)
    return True


def _files_of(step: str, folder: Path) -> Iterator[Path]:
    """What a step left, without its record."""
    for path in sorted(folder.rglob("*")):
        owner = path.stem if path.parent == folder and path.stem in PREDICTIONS else "fit"
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and owner == step and path != folder / f"{step}.json":
            yield path


def _link(source: Path, place: Path) -> None:
    temporary = place.with_name(f".{place.name}.{os.getpid()}.part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, temporary)
    temporary.replace(place)
    temporary.unlink(missing_ok=True)  # renaming one link of a file over another leaves both
