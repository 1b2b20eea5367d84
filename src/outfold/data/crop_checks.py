"""What can be wrong with crop boxes, found before a run: boxes that leave their photos, and boxes of nobody."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from outfold.data.crops import Box, load_crops
from outfold.data.findings import Finding, Place, count, finding_of, listed, places_of
from outfold.data.inspection import Inspected
from outfold.data.table import Part, Samples, load_samples, sources_of
from outfold.errors import DataError
from outfold.settings.data import Data

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


def check_crops(data: Data, root: Path, train: Samples, targets: Sequence[str]) -> None:
    """Raise DataError where no row of any table has a crop box: the ids are written in another way.

    Args:
        data: the recipe's `data` part.
        root: data root.
        train: the training rows, with their boxes.
        targets: the task's target columns.
    """
    if data.crops is None or train.crops:
        return
    parts: tuple[Part, ...] = ("test", "unlabelled")
    for part in parts:
        if sources_of(data, part) and load_samples(data, root, part, targets=targets).crops:
            return
    raise _of_nobody(load_crops(data.crops, root), train.ids.tolist())


def _of_nobody(boxes: Mapping[str, Box], ids: Sequence[str]) -> DataError:
    return DataError(
        f"data.crops: none of its {count(len(boxes), 'box', 'boxes')} is for an id of the tables",
        got=listed(boxes, 3),
        expected=f"ids as in {listed(ids, 3)}",
        fix="write them as the recipe's id column does: `outfold review crops RECIPE` does so",
    )


def unknown_box_findings(boxes: Mapping[str, Box], known: Iterable[Collection[str]]) -> list[Finding]:
    """Boxes for ids that no table has.

    Args:
        boxes: by id.
        known: the ids of each table.
    """
    tables = [list(table) for table in known]
    ids = set[str]().union(*tables)
    unknown = [(name, box) for name, box in boxes.items() if name not in ids]
    if not unknown:
        return []
    if len(unknown) == len(boxes):
        return [finding_of(_of_nobody(boxes, [name for table in tables for name in table]))]
    what = f"{count(len(unknown), 'crop box', 'crop boxes')} for ids that no table has"
    places = tuple(Place(box.place, name) for name, box in unknown)
    return [Finding("warning", what, places, "see that they are written as in the tables; they have no effect")]
