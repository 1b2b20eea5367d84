"""What can be wrong with crop boxes, found before a run: boxes that leave their photos, and boxes of nobody."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from outfold.data.crops import Box, load_crops
from outfold.data.findings import Finding, Place, count, finding_of, places_of
from outfold.data.inspection import Inspected
from outfold.data.table import Samples
from outfold.errors import DataError

FIX = "draw them again: `outfold review crops`"


def read_boxes(file: str | None, root: Path) -> tuple[Mapping[str, Box], list[Finding]]:
    """The boxes of a recipe's `data.crops`, and what is wrong with the table; none where there is no table.

    Args:
        file: relative to `root`.
        root: data root.
    """
    if file is None:
        return {}, []
    try:
        return load_crops(file, root), []
    except DataError as error:
        return {}, [finding_of(error)]


def box_findings(samples: Samples, files: Sequence[Inspected], table: str, root: Path) -> list[Finding]:
    """How many of a table's photos are cut, and boxes that do not lie in their photo.

    Args:
        samples: rows with boxes.
        files: what each row's file turned out to be.
        table: how the rows are called.
        root: where files are shown from.
    """
    boxed = [(row, box) for row, box in enumerate(samples.crops) if box is not None]
    wrong: dict[int, str] = {}
    for row, box in boxed:
        info = files[row].info
        fault = None if info is None else box.fault(*info.upright_size)
        if fault is not None:
            wrong[row] = f"{box.place}: {fault}"
    if not wrong:
        whole = len(samples) - len(boxed)
        return [Finding("note", f"{table}: {count(len(boxed), 'photo')} cut to their crop boxes, {whole:,} whole")]
    places = places_of(samples, wrong, root=root, notes=list(wrong.values()))
    return [Finding("error", f"{count(len(wrong), 'crop box', 'crop boxes')} outside of the photo", places, FIX)]


def unknown_box_findings(boxes: Mapping[str, Box], known: Iterable[Collection[str]]) -> list[Finding]:
    """Boxes for ids that no table has.

    Args:
        boxes: by id.
        known: the ids of each table.
    """
    ids = set[str]().union(*known)
    unknown = [(name, box) for name, box in boxes.items() if name not in ids]
    if not unknown:
        return []
    what = f"{count(len(unknown), 'crop box', 'crop boxes')} for ids that no table has"
    places = tuple(Place(box.place, name) for name, box in unknown)
    return [Finding("warning", what, places, "see that they are written as in the tables; they have no effect")]
