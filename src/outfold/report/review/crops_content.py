"""What the page of crop boxes works with: photos as small JPEGs, with the boxes that are known and those proposed."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outfold.data.borders import plain_border, scaled
from outfold.data.crops import Box
from outfold.data.media import decode_image, probe_image
from outfold.data.threads import in_order
from outfold.errors import MediaError
from outfold.report.thumbnails import data_uri, shrunk

LONGEST_SIDE = 640
"""Pixels of an embedded photo; 500 of them are some 30 MB."""

Photo = tuple[str, str, Path]
"""A photo's table, id and file."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Framed:
    """A photo of the page.

    Attributes:
        table: it comes from.
        id: of its row.
        width: pixels of the upright photo.
        height: the same.
        image: the photo as a data URI; None where it cannot be read.
        proposal: the part inside a plain border, where there is one.
        box: the part that is known to be used.
        fault: why there is no image, or why the known box is not preset.
    """

    table: str
    id: str
    width: int = 0
    height: int = 0
    image: str | None = None
    proposal: Box | None = None
    box: Box | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Chosen:
    """The photos of a page.

    Attributes:
        photos: those that are shown.
        left_out: how many there is no room for.
        kept: known boxes of photos that are not shown, by id.
        shared: how many ids are in several tables; they are shown once.
    """

    photos: list[Photo]
    left_out: int
    kept: Mapping[str, Box]
    shared: int


def choose(photos: Iterable[Photo], boxes: Mapping[str, Box], most: int) -> Chosen:
    """The photos that a page shows, in their order; where there are too many, those without a box come first."""
    every = list(photos)
    by_id: dict[str, Photo] = {}
    for photo in every:
        by_id.setdefault(photo[1], photo)
    boxed_last = sorted(by_id.values(), key=lambda photo: photo[1] in boxes)
    room = {photo[1] for photo in boxed_last[:most]}
    shown = [photo for name, photo in by_id.items() if name in room]
    kept = {name: box for name, box in boxes.items() if name not in room}
    return Chosen(shown, len(by_id) - len(shown), kept, len(every) - len(by_id))


def framed(
    photos: Sequence[Photo], boxes: Mapping[str, Box], *, workers: int, progress: Progress = lambda done, total: None
) -> list[Framed]:
    """Read photos, and look for plain borders on those without a box.

    Args:
        photos: to be shown.
        boxes: known ones by id.
        workers: threads.
        progress: is told (photos done, photos in all).
    """
    made = []
    for one in in_order(lambda photo: _framed(photo, boxes.get(photo[1])), photos, workers):
        made.append(one)
        progress(len(made), len(photos))
    return made


def data_of(photos: Sequence[Framed], kept: Mapping[str, Box]) -> dict[str, Any]:
    """The page's data; photos that cannot be shown are left out, and their boxes kept."""
    unseen = {one.id: one.box for one in photos if one.image is None and one.box is not None}
    seen = [
        {**vars(one), "proposal": _sides(one.proposal), "box": _sides(one.box)}
        for one in photos
        if one.image is not None
    ]
    return {"photos": seen, "kept": [[name, *(_sides(box) or [])] for name, box in {**unseen, **kept}.items()]}


def _framed(photo: Photo, box: Box | None) -> Framed:
    table, name, path = photo
    try:
        width, height = probe_image(path).upright_size
        side = math.ceil(min(1, LONGEST_SIDE / max(width, height)) * min(width, height))
        pixels = decode_image(path, shortest_side=side)
    except MediaError as error:
        return Framed(table, name, box=box, fault=error.problem)
    fault = None if box is None else box.fault(width, height)
    if fault is not None:
        fault, box = f"the box of {name} lies outside of its photo ({fault})", None
    proposal = None if box is not None else plain_border(pixels)
    if proposal is not None:
        proposal = scaled(proposal, (pixels.shape[1], pixels.shape[0]), (width, height))
    return Framed(table, name, width, height, data_uri(shrunk(pixels, LONGEST_SIDE)), proposal, box, fault)


def _sides(box: Box | None) -> list[int] | None:
    return None if box is None else [box.left, box.top, box.right, box.bottom]
